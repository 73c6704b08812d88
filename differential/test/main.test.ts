import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findNatsServer } from "@busbar/scripts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DifferentialReport, ScriptDifference } from "../src/differential.ts";
import { generate } from "../src/generator/generate.ts";
import type { Outcome } from "../src/outcome.ts";
import { tell } from "./support/worlds.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const PLANTED = fileURLToPath(new URL("planted/one-job-too-many.ts", import.meta.url));
/** Steps before the last look at everything: a script is over in a moment. */
const STEPS = 4;
const LIMIT_MS = 60_000;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

let folder = "";
let bin = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "busbar-differential-"));
  bin = (await findNatsServer()).path;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs the command; `planted` are modules that are loaded before it. */
function run(args: readonly string[], planted: readonly string[] = []): Promise<Ended> {
  const before = ["--conditions=@busbar/source", ...planted.flatMap((one) => ["--import", one])];
  return new Promise((resolve) => {
    execFile(process.execPath, [...before, MAIN, ...args], (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

/** The first seed whose script looks at a queue, and at no time that leaves something to luck. */
async function seedWithStats(): Promise<number> {
  for (let seed = 1; ; seed++) {
    const script = generate(seed, { steps: STEPS });
    if (!script.steps.some(({ op }) => op === "stats")) continue;
    if ((await tell(script)).isClear) return seed;
  }
}

describe("differential", () => {
  it(
    "ends with 0 if nothing differs, and says what was run",
    async () => {
      const json = join(folder, "same.json");
      const args = ["--scripts", "2", "--steps", `${STEPS}`, "--server-bin", bin, "--json", json];
      const { code, stdout, stderr } = await run(args);
      expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
      const report = JSON.parse(await readFile(json, "utf8")) as DifferentialReport;
      expect(report).toMatchObject({ scripts: 2, differences: [], unexplained: 0 });
      expect(report.server).toMatch(/^nats-server \d+\.\d+\.\d+/);
      expect(report.steps).toBeGreaterThan(2 * STEPS);
      // A fresh seed is told: the run can be had again.
      expect(stdout).toContain(`seed ${report.seed}`);
      expect(stdout).toContain(`2 scripts, ${report.steps} steps`);
    },
    LIMIT_MS,
  );

  it(
    "ends with 1 if something differs, and shows it with the line that shows it again",
    async () => {
      const json = join(folder, "different.json");
      const seed = await seedWithStats();
      const only = ["--only", `${seed}`, "--steps", `${STEPS}`, "--server-bin", bin];
      const { code, stdout } = await run([...only, "--json", json], [PLANTED]);
      expect(code, stdout).toBe(1);
      expect(stdout).toContain(`--only ${seed} --server-bin ${bin} --steps ${STEPS}`);
      expect(stdout).toMatch(/expected .*"ready":1/);
      expect(stdout).toMatch(/actual .*"ready":0/);
      const report = JSON.parse(await readFile(json, "utf8")) as DifferentialReport;
      expect(report).toMatchObject({ scripts: 1, unexplained: 1 });
      const { expected, actual, script, minimal } = report.differences[0] as ScriptDifference;
      expect(script).toBe(seed);
      const ready = Number((actual as Record<string, Outcome>)["ready"]);
      expect(expected).toEqual({ ...(actual as object), ready: ready + 1 });
      expect(minimal?.map(({ op }) => op)).toEqual(["stats"]);
    },
    LIMIT_MS,
  );

  it.each([
    [["--scripts", "many"], /--scripts/],
    [["--scripts", "0"], /--scripts.*1 or more/],
    [["--concurrency", "0"], /--concurrency.*1 or more/],
    [["--unit", "0"], /--unit.*50 or more/],
    [["--seed", "-1"], /--seed/],
    [["--unit", "0.5"], /--unit/],
    [["--version", "3"], /--version.*2\.15, 2\.10, 2\.9/],
    [["--script", "1"], /unknown option/],
    [["100"], /too many arguments/],
    [["--server-bin", "/nowhere/nats-server"], /\/nowhere\/nats-server/],
  ])("refuses %j", async (args, says) => {
    const { code, stdout, stderr } = await run(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(says);
    expect(stdout).toBe("");
  });
});
