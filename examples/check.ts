import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startNatsServer } from "@busbar/scripts";

// Runs every example and compares what it prints with what its last comment says: `...` stands for
// anything within a line. Those that say "on memory and NATS" run on a nats-server too, those that say
// "on NATS" start one themselves; the demo runs on both, and its exit code is its verdict. `--json FILE`
// writes `{ passed, failed }`.

const HERE = fileURLToPath(new URL(".", import.meta.url));
/** Programs that say by their exit code whether all was as it should be. */
const JUDGES = ["file-index/main.ts", "demo/main.ts"];
const TIMEOUT_MS = 120_000;

interface Expectation {
  readonly onMemory: boolean;
  readonly onNats: boolean;
  readonly text: string;
}

const totals = { passed: 0, failed: 0 };
function report(name: string, problem: string | undefined, ms = 0): void {
  totals[problem === undefined ? "passed" : "failed"] += 1;
  console.log(`${problem === undefined ? "ok    " : "FAILED"} ${name} (${Math.round(ms)} ms)`);
  if (problem !== undefined) console.log(problem.replaceAll(/^/gm, "       "));
}

function expectationOf(source: string): Expectation | undefined {
  const match =
    /\/\* Prints, on (?<where>memory|memory and NATS|NATS):\n(?<text>.*)\n\*\/\n$/s.exec(source);
  if (!match?.groups) return undefined;
  const { where = "", text = "" } = match.groups;
  return { onMemory: where.includes("memory"), onNats: where.includes("NATS"), text };
}

function matches(expected: string, printed: string): boolean {
  const escaped = expected
    .split("...")
    .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${escaped.join(".*")}$`).test(printed.trimEnd());
}

interface Outcome {
  readonly out: string;
  /** What went wrong with it, other than what it printed. */
  readonly problem?: string;
}

function run(file: string, args: readonly string[], busUrl?: string): Promise<Outcome> {
  const env = { ...process.env };
  delete env["BUSBAR_URL"];
  if (busUrl !== undefined) env["BUSBAR_URL"] = busUrl;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...process.execArgv, join(HERE, file), ...args],
      { env, timeout: TIMEOUT_MS, killSignal: "SIGKILL" },
      (error, out, errors) =>
        resolve(error ? { out, problem: `${error.message}\n${errors}` } : { out }),
    );
  });
}

async function checkExample(file: string, bus: string, wanted: string, url?: string) {
  const startedAt = performance.now();
  const { out, problem } = await run(file, [], url);
  const difference = matches(wanted, out) ? undefined : `printed:\n${out}\nexpected:\n${wanted}`;
  const found = [difference, problem].filter((text) => text !== undefined).join("\n");
  report(`${file} on ${bus}`, found === "" ? undefined : found, performance.now() - startedAt);
}

async function checkJudge(file: string, bus: string, url: string) {
  const startedAt = performance.now();
  const { out, problem } = await run(file, ["--bus", url]);
  const found = problem === undefined ? undefined : `${problem}\n${out}`;
  report(`${file} on ${bus}`, found, performance.now() - startedAt);
}

const { values: options } = parseArgs({ options: { json: { type: "string" } } });
await using server = await startNatsServer();
const files = (await readdir(HERE)).filter((name) => name.endsWith(".ts") && name !== "check.ts");
for (const file of files.sort()) {
  const expectation = expectationOf(await readFile(join(HERE, file), "utf8"));
  if (expectation === undefined) {
    report(file, "it does not say what it prints");
    continue;
  }
  if (expectation.onMemory) await checkExample(file, "memory", expectation.text);
  if (!expectation.onNats) continue;
  // Each in a namespace of its own.
  const url = `${server.url}?namespace=${file.replace(/\.ts$/, "")}`;
  await checkExample(file, `nats-server ${server.version}`, expectation.text, url);
}

for (const file of JUDGES) {
  await checkJudge(file, "memory", "memory:");
  await checkJudge(file, `nats-server ${server.version}`, server.url);
}

console.log(`${totals.passed} passed, ${totals.failed} failed`);
if (options.json !== undefined) await writeFile(options.json, JSON.stringify(totals));
process.exitCode = totals.failed === 0 ? 0 : 1;
