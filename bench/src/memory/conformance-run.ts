import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Row } from "../report.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const LIMIT_S = 15;

/** What the suite's JSON says. */
interface SuiteResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** How long the whole conformance suite takes on the memory bus, as a process of its own. */
export async function conformanceRow(): Promise<Row> {
  const directory = await mkdtemp(join(tmpdir(), "busbar-bench-"));
  try {
    const file = join(directory, "result.json");
    const startedAt = performance.now();
    await run(["scripts/conformance.ts", "--bus", "memory:", "--json", file]);
    const seconds = (performance.now() - startedAt) / 1_000;
    const result = JSON.parse(await readFile(file, "utf8")) as SuiteResult;
    return {
      name: "the conformance suite on memory",
      unit: "s",
      busbar: seconds,
      target: { of: "busbar", bound: "atMost", value: LIMIT_S },
      note: `${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`,
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Runs tsx as the project's scripts do; a failed case is told by the result, not by the exit. */
function run(args: readonly string[]): Promise<void> {
  const command = [
    join(ROOT, "node_modules/tsx/dist/cli.mjs"),
    "--conditions=@busbar/source",
    ...args,
  ];
  const child = spawn(process.execPath, command, { cwd: ROOT, stdio: "ignore" });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (_code, signal) =>
      signal === null ? resolve() : reject(new Error(`the conformance run was ended by ${signal}`)),
    );
  });
}
