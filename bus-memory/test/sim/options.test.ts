import { describe, expect, it } from "vitest";
import { ALL_FAULTS, type FaultOptions, simulate, type SimulateOptions } from "../../src/index.ts";

/** What is said of wrong options. The scenario must not even begin. */
async function refusal(options: object): Promise<Error> {
  let hasBegun = false;
  const error = await simulate(options as SimulateOptions, async () => {
    hasBegun = true;
  }).catch((failure: unknown) => failure);
  expect(hasBegun).toBe(false);
  expect(error).toBeInstanceOf(Error);
  return error as Error;
}

const faults = (options: object): object => ({ faults: options });
const spell = (everyMs: unknown, forMs: unknown = [1, 2]): object => ({ everyMs, forMs });

describe("options of simulate", () => {
  it.each([
    [{ seed: -1 }, RangeError, "seed must be an integer from 0 to 4294967295, got -1"],
    [{ seed: 1.5 }, RangeError, "seed must be an integer from 0 to 4294967295, got 1.5"],
    [{ seed: 2 ** 32 }, RangeError, "seed must be an integer from 0 to 4294967295, got 4294967296"],
    [
      { seed: "1" },
      TypeError,
      "seed must be a number, an integer from 0 to 4294967295, got string",
    ],
    [{ maxMs: 0 }, RangeError, "maxMs must be from 1 to 315360000000 milliseconds, got 0"],
    [{ maxMs: Number.NaN }, TypeError, "maxMs must be a number, from 1 to .*, got NaN"],
    [
      { drainWithinMs: 0 },
      RangeError,
      "drainWithinMs must be from 1 to 86400000 milliseconds, got 0",
    ],
    [{ unsyncedMs: -1 }, RangeError, "unsyncedMs must be from 0 to 86400000 milliseconds, got -1"],
    [{ graceMs: -1 }, RangeError, "graceMs must be from 0 to 86400000 milliseconds, got -1"],
    [
      { maxEventsAtOnce: 5 },
      RangeError,
      "maxEventsAtOnce must be an integer from 1000 to .*, got 5",
    ],
  ] as const)("refuses %j", async (options, type, message) => {
    const error = await refusal(options);
    expect(error).toBeInstanceOf(type);
    expect(error.message).toMatch(new RegExp(`^${message}`));
  });

  it.each([
    [{ reorder: 1.1 }, "faults.reorder must be a number from 0 to 1, got 1.1"],
    [{ dropRequest: -0.1 }, "faults.dropRequest must be a number from 0 to 1, got -0.1"],
    [{ dropReply: "often" }, "faults.dropReply must be a number from 0 to 1, got often"],
    [{ dropSettle: Number.NaN }, "faults.dropSettle must be a number from 0 to 1, got NaN"],
    [{ dropDelivery: 2 }, "faults.dropDelivery must be a number from 0 to 1, got 2"],
    [{ duplicate: 2 }, "faults.duplicate must be a number from 0 to 1, got 2"],
    [
      { slow: { chance: 2, forMs: [1, 2] } },
      "faults.slow.chance must be a number from 0 to 1, got 2",
    ],
    [
      { slow: { chance: 0.5, forMs: [2, 1] } },
      "faults.slow.forMs must be .min, max. with .*, got .2,1.",
    ],
    [
      { delayMs: [5, 1] },
      "faults.delayMs must be .min, max. with 0 <= min <= max <= 86400000, got .5,1.",
    ],
    [{ delayMs: [-1, 1] }, "faults.delayMs must be"],
    [{ delayMs: 5 }, "faults.delayMs must be .min, max. .*, got 5"],
    [{ partition: spell([0, 1]) }, "faults.partition.everyMs must be .min, max. with 1 <= min"],
    [{ pause: spell([1, 2], [3, 2]) }, "faults.pause.forMs must be"],
    [{ crash: { everyMs: [1, 2] } }, "faults.crash.forMs must be"],
    [{ serverCrash: spell([1, 86_400_001]) }, "faults.serverCrash.everyMs must be"],
    [
      { serverCrash: { ...spell([1, 2]), lostSettlesMs: -1 } },
      "faults.serverCrash.lostSettlesMs must be a number from 0 to 86400000, got -1",
    ],
    [
      { serverCrash: { ...spell([1, 2]), lostWritesMs: "all" } },
      "faults.serverCrash.lostWritesMs must be a number from 0 to 86400000, got all",
    ],
    [{ skewMs: -1 }, "faults.skewMs must be a number from 0 to 86400000, got -1"],
    [{ clockDrift: 0.6 }, "faults.clockDrift must be a number from 0 to 0.5, got 0.6"],
  ] as const)("refuses faults %j", async (options, message) => {
    const error = await refusal(faults(options));
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toMatch(new RegExp(`^${message}`));
  });

  it("refuses a fault that there is not, and names those that there are", async () => {
    const error = await refusal(faults({ partitions: spell([1, 2]) }));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/^faults\.partitions: no such fault; there are /);
    for (const field of Object.keys(ALL_FAULTS)) expect(error.message).toContain(field);
  });

  it("takes every bound of a range", async () => {
    const least: FaultOptions = { delayMs: [0, 0], dropRequest: 0, skewMs: 0, clockDrift: 0 };
    const most: FaultOptions = { delayMs: [0, 1], reorder: 1, skewMs: 86_400_000, clockDrift: 0.5 };
    for (const options of [least, most]) {
      const run = { seed: 0xffff_ffff, faults: options, drain: false, maxMs: 1_000 } as const;
      const { seed } = await simulate(run, async (world) => {
        await world.process("p").bus.kv.put("b", "k", "v");
      });
      expect(seed).toBe(0xffff_ffff);
    }
  });

  it("leaves ALL_FAULTS as it is", () => {
    expect(Object.isFrozen(ALL_FAULTS)).toBe(true);
  });
});
