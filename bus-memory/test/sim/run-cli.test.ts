import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatEvent, type TraceEvent } from "../../src/index.ts";
import { runSimulateCli } from "../../src/sim/run-cli.ts";

const FAILING = fileURLToPath(new URL("planted/double-counting-file.ts", import.meta.url));
const SOMETIMES = fileURLToPath(new URL("planted/threaded.ts", import.meta.url));

let cwd = "";
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "busbar-simulate-"));
});
afterAll(() => rm(cwd, { recursive: true }));

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = "";
  let err = "";
  const code = await runSimulateCli(argv, {
    cwd,
    output: { write: (text) => (out += text) },
    errors: { write: (text) => (err += text) },
  });
  return { code, out, err };
}

const fileText = (name: string): Promise<string> => readFile(join(cwd, name), "utf8");

describe("busbar-simulate", () => {
  it("shrinks a failure, and prints one line with which it happens again", async () => {
    const { code, out } = await run(FAILING, "--seeds", "300");
    expect(code).toBe(1);
    expect(out).toMatch(/^double-counting fails with seed \d+: check: total \d+ instead of \d+\n/);
    const [, steps = ""] = /Steps, (\d+) of 120:/.exec(out) ?? [];
    expect(Number(steps)).toBeLessThanOrEqual(10);
    for (const line of out.split("\n").filter((own) => !own.startsWith("again:"))) {
      expect(line.length).toBeLessThanOrEqual(100);
    }
    const [, command = ""] = /^again: npx busbar-simulate (.*)$/m.exec(out) ?? [];
    const again = await run(...command.split(" "));
    expect(again.code).toBe(1);
    const [, found] = /same way \(.*\): (.*)/.exec(out) ?? [];
    expect(again.out).toContain(`: ${found}\n`);
  });

  it("prints the same for the same seeds, on any number of threads", async () => {
    const one = await run(FAILING, "--seeds", "40", "--from", "5");
    const two = await run(FAILING, "--seeds", "40", "--from", "5", "--jobs", "2");
    expect(two).toMatchObject({ code: one.code, out: one.out });
    const passing = await run(SOMETIMES, "--seed", "1", "--timeline");
    expect(await run(SOMETIMES, "--seed", "1", "--timeline")).toEqual(passing);
    expect(passing.out).toContain("threaded passes with seed 1");
  });

  it("writes the trace as JSONL and as a diagram, and the seeds as JSON", async () => {
    const files = ["--trace", "t.jsonl", "--mermaid", "t.mmd", "--json", "t.json"];
    await run(FAILING, "--seeds", "40", ...files);
    const lines = (await fileText("t.jsonl")).trimEnd().split("\n");
    const events = lines.map((line) => JSON.parse(line) as TraceEvent);
    expect(events.map(formatEvent).join("\n")).toContain("message.ack");
    expect(await fileText("t.mmd")).toMatch(/^sequenceDiagram\n {2}participant p0 as server\n/);
    const found = JSON.parse(await fileText("t.json")) as Record<string, unknown>;
    expect(found).toMatchObject({ version: 1, scenario: "double-counting" });
    expect(found["failures"]).toMatchObject([{ by: "check" }]);
  });

  it("leaves a failure as it is with --no-shrink", async () => {
    const { out } = await run(FAILING, "--seeds", "40", "--no-shrink");
    expect(out.split("\n")).toHaveLength(4);
    const [, command = ""] = /^again: npx busbar-simulate (.*)$/m.exec(out) ?? [];
    const [failure] = out.split("\n");
    expect((await run(...command.split(" "))).out).toContain(failure);
  });

  it("says which states were reached, and that one never was", async () => {
    const { code, out } = await run(SOMETIMES, "--seed", "1");
    expect({ code, out }).toEqual({ code: 0, out: "threaded passes with seed 1\n" });
    const few = await run(SOMETIMES, "--seeds", "1");
    expect(few.out).toContain("reached in 0 of 1 seeds: high\nsome states were never reached\n");
  });

  it("refuses what it does not understand with 2", async () => {
    expect(await run()).toMatchObject({ code: 2 });
    expect(await run(FAILING, "--seeds", "x")).toMatchObject({ code: 2 });
    expect(await run("nowhere.ts")).toMatchObject({ code: 2 });
    const one = await run(FAILING, "--seed", "1", "--json", "one.json");
    expect(one).toMatchObject({ code: 2, err: expect.stringMatching(/--json is about many/) });
    const noScenario = await run(fileURLToPath(import.meta.resolve("./planted/insist.ts")));
    expect(noScenario).toMatchObject({ code: 2, err: expect.stringMatching(/has no scenario/) });
    expect(await run(SOMETIMES, "--replay", "nowhere.json")).toMatchObject({ code: 2 });
    const { out } = await run(FAILING, "--seeds", "40");
    const [, replay = ""] = /--replay (.*)$/m.exec(out) ?? [];
    const other = await run(SOMETIMES, "--replay", replay);
    expect(other).toMatchObject({ code: 2, err: expect.stringMatching(/not of threaded/) });
    expect(await run("--help")).toMatchObject({ code: 0 });
  });
});
