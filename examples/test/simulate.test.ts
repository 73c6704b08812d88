import { ScenarioError, testScenario } from "@busbar/bus-memory";
import { describe, expect, it } from "vitest";
import { scenario as demo } from "../simulate/demo.ts";
import { scenario as orders } from "../simulate/orders.ts";

describe("the examples of simulations", () => {
  it("find the order that is billed twice, in a few steps", async () => {
    const error = await testScenario(orders).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ScenarioError);
    expect((error as ScenarioError).run.steps.length).toBeLessThanOrEqual(10);
  });

  it("play the demo with fresh seeds and all faults", async () => {
    const { from, seeds, reached } = await testScenario(demo, { seeds: 100, from: "random" });
    console.log(`demo: seeds ${from} to ${from + seeds - 1}`);
    for (const [state, times] of Object.entries(reached)) expect(times, state).toBeGreaterThan(0);
  }, 60_000);
});
