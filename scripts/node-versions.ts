import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findNode, type NodeBinary } from "./node-versions/node-binary.ts";
import { startNatsServer } from "./src/index.ts";

// Runs what is published, the built packages, on every Node that they support: the whole suite on
// memory in virtual time, and its smoke cases on memory in real time and on a nats-server. The first
// version is the lowest that `engines` of the packages names.
//
//   npm run node-versions -- [--json FILE] [VERSION...]

const VERSIONS = ["22.0.0", "22", "24", "26"];
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CLI = join(ROOT, "conformance-tests/dist/cli.js");
const HARNESS = join(ROOT, "conformance-tests/test/support/memory-harness.ts");
// Inside of the repository, so that the packages are found from there.
const CACHE_DIR = join(ROOT, ".cache");

interface Totals {
  readonly passed: number;
  readonly failed: number;
}

interface Check extends Totals {
  readonly node: string;
  readonly check: string;
  /** What the command printed, if it failed. */
  readonly output?: string;
}

/** The conformance command on one Node. A run that leaves no report counts as one failure. */
async function runSuite(
  node: NodeBinary,
  check: string,
  args: readonly string[],
  report: string,
): Promise<Check> {
  const child = spawn(node.path, [CLI, ...args, "--json", report], {
    stdio: ["ignore", "pipe", "pipe"],
    // Conditions or loaders of this process would lead back to the sources.
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  let output = "";
  const collect = (chunk: Buffer): void => void (output += chunk.toString());
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  const totals = await readTotals(report);
  const failed = Math.max(totals.failed, code === 0 && totals.passed > 0 ? 0 : 1);
  const result = { node: node.version, check, passed: totals.passed, failed };
  return failed === 0 ? result : { ...result, output };
}

async function readTotals(report: string): Promise<Totals> {
  try {
    return JSON.parse(await readFile(report, "utf8")) as Totals;
  } catch {
    return { passed: 0, failed: 1 };
  }
}

/** The tests' own harness as JavaScript: the oldest versions read nothing else. */
async function writeHarness(folder: string): Promise<string> {
  const file = join(folder, "virtual-memory.mjs");
  const source = stripTypeScriptTypes(await readFile(HARNESS, "utf8"));
  const asHarness = "export { virtualMemoryHarness as conformanceHarness };";
  await writeFile(file, `${source}\n${asHarness}\n`);
  return file;
}

const { values, positionals } = parseArgs({
  options: { json: { type: "string" } },
  allowPositionals: true,
});
const startedAt = performance.now();
const wanted = positionals.length > 0 ? positionals : VERSIONS;
await mkdir(CACHE_DIR, { recursive: true });
const folder = await mkdtemp(join(CACHE_DIR, "node-versions-"));
const checks: Check[] = [];
try {
  await using server = await startNatsServer();
  const harness = await writeHarness(folder);
  for (const node of await Promise.all(wanted.map(findNode))) {
    const suites: Readonly<Record<string, readonly string[]>> = {
      "suite on memory": ["--bus", harness],
      "smoke on memory": ["--bus", "memory:", "--level", "L0"],
      "smoke on nats": ["--bus", server.url, "--level", "L0"],
    };
    const runs = Object.entries(suites).map(([check, args], index) =>
      runSuite(node, check, args, join(folder, `${node.version}-${index}.json`)),
    );
    for (const result of await Promise.all(runs)) {
      checks.push(result);
      const { check, passed, failed, output } = result;
      console.log(`node ${node.version}, ${check}: ${passed} passed, ${failed} failed`);
      if (output !== undefined) console.log(output);
    }
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
const sum = (key: keyof Totals): number => checks.reduce((total, check) => total + check[key], 0);
const totals: Totals = { passed: sum("passed"), failed: sum("failed") };
if (values.json !== undefined) {
  await mkdir(dirname(values.json), { recursive: true });
  await writeFile(values.json, `${JSON.stringify({ ...totals, checks }, undefined, 2)}\n`);
}
const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
console.log(`${totals.passed} passed, ${totals.failed} failed, in ${seconds} s`);
process.exitCode = totals.failed === 0 ? 0 : 1;
