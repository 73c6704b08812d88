import { describe, expect, it } from "vitest";
import {
  ALL_FAULTS,
  defineScenario,
  explore,
  playScenario,
  type ScenarioDefinition,
  ScenarioError,
  testScenario,
} from "../../src/index.ts";
import { exploreFile } from "../../src/sim/explore-file.ts";
import { formatReplay, parseReplay } from "../../src/sim/replay.ts";
import { doubleCounting } from "./planted/double-counting.ts";

type Step = { readonly add: number };

/** Adds numbers; wrong from `limit` on. */
function adding(more: Partial<ScenarioDefinition<Step, { sum: number }>> = {}) {
  return defineScenario<Step, { sum: number }>({
    name: "adding",
    script: (random) => Array.from({ length: 20 }, () => ({ add: Math.floor(random.next() * 10) })),
    setUp: () => ({ sum: 0 }),
    step: (_world, { add }, state) => {
      state.sum += add;
    },
    ...more,
  });
}

describe("playScenario", () => {
  it("plays the script of the seed, or the one that it is given", async () => {
    const sums: number[] = [];
    const scenario = adding({ check: (_world, { sum }) => (sums.push(sum), []) });
    const one = await playScenario(scenario, { seed: 7 });
    await playScenario(scenario, { seed: 7 });
    await playScenario(scenario, { seed: 8 });
    await playScenario(scenario, { seed: 7, steps: [{ add: 4 }, { add: 5 }] });
    expect(one.steps).toHaveLength(20);
    expect(one.finding).toBeUndefined();
    expect(sums[1]).toBe(sums[0]);
    expect(sums[2]).not.toBe(sums[0]);
    expect(sums[3]).toBe(9);
  });

  it("gives what the check finds and what a step throws, and where", async () => {
    const checked = await playScenario(adding({ check: () => ["this", "that"] }), { seed: 1 });
    expect(checked.finding).toMatchObject({ by: "check", what: "this; that" });
    const step = (): never => {
      throw new Error("no more");
    };
    const thrown = await playScenario(adding({ step }), { seed: 1 });
    expect(thrown.finding).toMatchObject({ by: "scenario", what: "no more" });
    expect(thrown.finding?.at).toContain("scenario.test.ts");
  });

  it("happens again with its plan, also after it was a file", async () => {
    const { failures } = await explore(doubleCounting, { seeds: 50 });
    const [failure] = failures;
    if (failure === undefined) throw new Error("no seed failed");
    expect(failure.plan.length).toBeGreaterThan(100);
    const replay = parseReplay(formatReplay(failure));
    expect(replay.steps).toEqual(failure.steps);
    const again = await playScenario<unknown, never>(doubleCounting as never, replay);
    expect(again.finding).toEqual(failure.finding);
    expect(again.plan).toEqual(failure.plan);
    const quiet = await playScenario(doubleCounting, { seed: failure.seed, plan: [] });
    expect(quiet.finding).toBeUndefined();
  });

  it("names what differs if the code is not the same twice", async () => {
    let runs = 0;
    const setUp = (): { sum: number } => ({ sum: (runs += 1) });
    const step = (world: { sleep(ms: number): Promise<void> }, _: Step, state: { sum: number }) =>
      world.sleep(state.sum);
    const played = await playScenario(adding({ setUp, step }), { seed: 1, twice: true });
    expect(played.finding?.by).toBe("determinism");
  });

  it("refuses a name that is no part of a file name, and a replay that is none", () => {
    expect(() => adding({ name: "a/b" })).toThrow(RangeError);
    expect(() => parseReplay("{")).toThrow(RangeError);
    expect(() => parseReplay('{ "version": 1, "scenario": "x", "seed": -1 }')).toThrow(/seed/);
  });
});

describe("explore", () => {
  it("stops at the first failures, and counts rare states in seeds", async () => {
    const scenario = adding({
      reaches: ["big", "never"],
      check: (world, { sum }) => {
        for (const _ of [1, 2]) if (sum >= 100) world.note("reached: big");
        return sum >= 110 ? [`sum ${sum}`] : [];
      },
    });
    const found = await explore(scenario, { seeds: 200, maxFailures: 2 });
    expect(found.failures).toHaveLength(2);
    expect(found.failures.at(-1)?.seed).toBe(found.from + found.seeds - 1);
    expect(found.reached["never"]).toBe(0);
    expect(found.reached["big"]).toBeGreaterThanOrEqual(2);
    expect(found.reached["big"]).toBeLessThanOrEqual(found.seeds);
  });

  it("gives the same on several threads", async () => {
    const file = new URL("planted/threaded.ts", import.meta.url).pathname;
    const options = { seeds: 60, cwd: "/" };
    const one = await exploreFile(file, options);
    const two = await exploreFile(file, { ...options, jobs: 2 });
    expect(two.failures.map(({ seed, finding }) => [seed, finding])).toEqual(
      one.failures.map(({ seed, finding }) => [seed, finding]),
    );
    expect(one.failures).toHaveLength(1);
    const all = await exploreFile(file, { ...options, maxFailures: 60 });
    const allOnTwo = await exploreFile(file, { ...options, maxFailures: 60, jobs: 2 });
    expect(all.failures.length).toBeGreaterThan(1);
    expect(allOnTwo).toMatchObject({ ...all, realMs: expect.any(Number) as number });
  });
});

describe("testScenario", () => {
  it("gives what was explored, or throws with the smallest run that fails", async () => {
    const passed = await testScenario(adding({ faults: ALL_FAULTS }), { seeds: 5 });
    expect(passed.seeds).toBe(5);
    const check = (_: unknown, { sum }: { sum: number }): string[] =>
      sum >= 9 ? ["too much"] : [];
    const error = await testScenario(adding({ check }), { seeds: 5 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ScenarioError);
    const { message, run } = error as ScenarioError;
    expect(run.steps.length).toBeLessThanOrEqual(3);
    expect(message).toContain("adding fails with seed 1: check: too much");
    expect(message).toContain("again: testScenario(…, { from: 1, seeds: 1 })");
  });
});
