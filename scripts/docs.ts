import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { blockArguments, fillBlocks, type Renderer } from "./docs/blocks.ts";
import { readBuses } from "./docs/buses.ts";
import { renderCapabilities, renderSkipped } from "./docs/capability-tables.ts";
import { caseGroups, renderCases } from "./docs/case-lists.ts";
import { renderCode } from "./docs/code-block.ts";
import { renderErrors } from "./docs/error-table.ts";
import { renderMutants } from "./docs/mutant-table.ts";
import { renderParityRules } from "./docs/parity-table.ts";
import { sampleBlocks, sampleReport } from "./docs/report-samples.ts";
import { renderReportFields, renderReportSchema } from "./docs/report-schema.ts";
import { simulateBlocks } from "./docs/simulate-blocks.ts";

// Fills the parts of the documentation that are known better elsewhere: the cases of the suite, what
// each backend says that it can do, the error codes, the mutants, the rules of parity, the reports and
// their schema, code from files. `--check` changes nothing and fails if a page is out of date.

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CONTRACTS = "docs/contracts.md";
const PAGES = [
  "README.md",
  CONTRACTS,
  "docs/capabilities.md",
  "docs/mutants.md",
  "docs/parity.md",
  "docs/reports.md",
  "docs/tasks.md",
  "docs/testing-your-code.md",
  "docs/write-a-backend.md",
];
const SCHEMA = "conformance-tests/report.schema.json";

const check = process.argv.includes("--check");
const buses = await readBuses();
const nats = buses.map(({ name }) => name).filter((name) => name.startsWith("nats-server"));
const renderers: Readonly<Record<string, Renderer>> = {
  cases: renderCases,
  code: renderCode,
  capabilities: () => renderCapabilities(buses),
  skipped: () => renderSkipped(buses),
  errors: renderErrors,
  mutants: renderMutants,
  "parity-rules": () => renderParityRules(nats),
  "report-fields": renderReportFields,
  ...sampleBlocks(await sampleReport()),
};

const stale: string[] = [];
async function update(page: string, text: string): Promise<void> {
  stale.push(page);
  if (!check) await writeFile(ROOT + page, text);
}

for (const page of PAGES) {
  const text = await readFile(ROOT + page, "utf8");
  const filled = fillBlocks(text, { ...renderers, simulate: await simulateBlocks(text) });
  if (page === CONTRACTS) {
    const named = blockArguments(text, "cases");
    const missing = caseGroups().filter((group) => !named.includes(group));
    if (missing.length > 0) throw new Error(`${page} says nothing about ${missing.join(", ")}`);
  }
  if (filled !== text) await update(page, filled);
}
const schema = renderReportSchema();
if (schema !== (await readFile(ROOT + SCHEMA, "utf8").catch(() => ""))) {
  await update(SCHEMA, schema);
}
if (check && stale.length > 0) {
  console.error(`out of date: ${stale.join(", ")}; npm run docs brings them up to date`);
  process.exitCode = 1;
} else {
  console.log(stale.length > 0 ? `changed: ${stale.join(", ")}` : "up to date");
}
