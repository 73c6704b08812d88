import { describe, expect, it } from "vitest";
import {
  type Draw,
  explore,
  type Played,
  playScenario,
  type ScenarioDefinition,
  shrink,
  type Shrunk,
} from "../../src/index.ts";
import { doubleCounting } from "./planted/double-counting.ts";
import { earlyAck } from "./planted/early-ack.ts";
import { ignoredLoss } from "./planted/ignored-loss.ts";

type Planted = ScenarioDefinition<unknown, unknown>;

async function firstFailure(scenario: Planted): Promise<Played<unknown>> {
  const from = Math.floor(Math.random() * 1_000_000);
  console.log(`${scenario.name}: seeds from ${from}`);
  const { failures } = await explore(scenario, { seeds: 500, from });
  const [failure] = failures;
  if (failure === undefined) throw new Error(`no seed of ${scenario.name} failed`);
  return failure;
}

function faultsOf({ plan }: Shrunk<unknown>): Draw[] {
  return plan.filter(({ value, label }) => value === 1 && !label.endsWith("after"));
}

describe("shrink", () => {
  it.each([
    ["a consumer that is not idempotent", doubleCounting],
    ["a worker that acks before its work is done", earlyAck],
    ["a lock holder that ignores that it lost the lock", ignoredLoss],
  ])(
    "shrinks %s to at most ten steps",
    async (_what, planted) => {
      const scenario = planted as unknown as Planted;
      const failure = await firstFailure(scenario);
      expect(failure.steps.length).toBeGreaterThanOrEqual(100);
      const shrunk = await shrink(scenario, failure, { maxMs: 60_000 });
      expect(shrunk.steps.length).toBeLessThanOrEqual(10);
      expect(shrunk.plan.length).toBeLessThan(failure.plan.length / 10);
      expect(shrunk.finding.by).toBe(failure.finding?.by);
      // It fails because of faults, and again and again.
      expect(faultsOf(shrunk).length).toBeGreaterThan(0);
      const { seed, lingerMs, steps, plan } = shrunk;
      const again = await playScenario(scenario, { seed, lingerMs, steps, plan });
      expect(again.finding?.what).toBe(shrunk.finding.what);
    },
    90_000,
  );

  it("gives the same twice", async () => {
    const scenario = doubleCounting as unknown as Planted;
    const failure = await firstFailure(scenario);
    const { trace: _, ...one } = await shrink(scenario, failure);
    const { trace: __, ...two } = await shrink(scenario, failure);
    expect(two).toEqual(one);
  });

  it("keeps what it has when its runs are used up", async () => {
    const scenario = doubleCounting as unknown as Planted;
    const failure = await firstFailure(scenario);
    const shrunk = await shrink(scenario, failure, { maxRuns: 5 });
    expect(shrunk).toMatchObject({ runs: 5, isCutShort: true, finding: { by: "check" } });
  });

  it("refuses a run that passes", async () => {
    const scenario = doubleCounting as unknown as Planted;
    const passed = await playScenario(scenario, { seed: 1, plan: [] });
    await expect(shrink(scenario, passed)).rejects.toThrow(/did not fail/);
    const failure = { ...passed, finding: { by: "check", what: "x" } };
    await expect(shrink(scenario, failure)).rejects.toThrow(/does not fail again/);
  });
});
