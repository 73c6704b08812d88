import { describe, expect, it } from "vitest";
import {
  ALL_FAULTS,
  atMost,
  boundedDuplicates,
  type CountingChecker,
  type FaultOptions,
  simulate,
  standardCheckers,
} from "../../../src/index.ts";
import { DENSE, SMALL, workload, type WorkloadSize } from "./workload.ts";

const LOSSES: FaultOptions = {
  ...ALL_FAULTS,
  serverCrash: {
    everyMs: [10_000, 40_000],
    forMs: [50, 3_000],
    lostSettlesMs: 300,
    lostWritesMs: 300,
  },
};

/** What all runs together have counted. */
async function runs(
  seeds: { readonly from: number; readonly count: number },
  faults: FaultOptions | undefined,
  size: WorkloadSize,
): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (let seed = seeds.from; seed < seeds.from + seeds.count; seed += 1) {
    let checkers: readonly CountingChecker[] = [];
    const make = (): readonly CountingChecker[] => {
      // Three workers with up to three jobs each, and what their dead lives may still hold.
      checkers = [...standardCheckers(), boundedDuplicates({ perMessage: 20 }), atMost(9, "mail")];
      return checkers;
    };
    const drain = (world: { isAtRest(): boolean }): boolean => world.isAtRest();
    await simulate({ seed, checkers: make, drain, ...(faults && { faults }) }, (world) =>
      workload(world, size),
    );
    for (const { name, counts } of checkers) {
      for (const [what, count] of Object.entries(counts)) {
        sums[`${name}: ${what}`] = (sums[`${name}: ${what}`] ?? 0) + count;
      }
    }
  }
  return sums;
}

// A failure names its seed.
describe("checkers on a healthy simulator", () => {
  it("find nothing without faults, seeds 1 to 20", { timeout: 60_000 }, async () => {
    const sums = await runs({ from: 1, count: 20 }, undefined, SMALL);
    expect(sums["no lost jobs: unknown"]).toBe(0);
    expect(sums["no lost jobs: afterKill"]).toBe(0);
    expect(sums["no lost jobs: retries"]).toBeGreaterThan(0);
    expect(sums["linearizable kv: gaveUp"]).toBe(0);
  });

  it("find nothing with all faults, seeds 1 to 200", { timeout: 180_000 }, async () => {
    const sums = await runs({ from: 1, count: 200 }, ALL_FAULTS, SMALL);
    // The runs had what the checkers have to tell from failures.
    for (const what of [
      "no lost jobs: unknown",
      "no lost jobs: afterLostSettle",
      "no lost jobs: afterKill",
      "no lost jobs: afterLease",
      "no lost messages: unknown",
      "no lost messages: redeliveries",
      "order per subject: givenBack",
      "one holder per fence: leases",
      "one holder per fence: guarded",
      "linearizable kv: unknown",
      "bounded duplicates: duplicateJobs",
      "bounded duplicates: duplicateMessages",
    ]) {
      expect(sums[what], what).toBeGreaterThan(0);
    }
    expect(sums["linearizable kv: gaveUp"]).toBe(0);
  });

  it("find nothing where crashes lose writes, seeds 1 to 25", { timeout: 180_000 }, async () => {
    const sums = await runs({ from: 1, count: 25 }, LOSSES, DENSE);
    expect(sums["no lost jobs: lostWrites"]).toBeGreaterThan(0);
    expect(sums["no lost messages: lostWrites"]).toBeGreaterThan(0);
  });
});
