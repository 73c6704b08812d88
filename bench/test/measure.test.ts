import { describe, expect, it } from "vitest";
import { compare, forEachInFlight, inFlight, type Side } from "../src/measure.ts";

describe("compare", () => {
  it("runs each side in each place of the order, and pairs the rounds", async () => {
    const order: string[] = [];
    const side = (name: string, operations: number): Side => ({
      run: () => {
        order.push(name);
        return Promise.resolve({ operations, ms: 100 });
      },
    });
    const sides = { busbar: side("B", 300), raw: side("R", 200), rawDefault: side("D", 100) };
    const result = await compare(sides, { rounds: 3, slices: 1 });
    expect(result).toMatchObject({ busbar: 3_000, raw: 2_000, rawDefault: 1_000, ratio: 1.5 });
    expect(order.slice(-9).join("")).toBe("RBDBDRDRB");
  });

  it("gets a side ready before each slice", async () => {
    let ready = 0;
    const side: Side = {
      prepare: () => {
        ready += 1;
        return Promise.resolve();
      },
      run: () => Promise.resolve({ operations: ready, ms: 1 }),
    };
    const idle: Side = { run: () => Promise.resolve({ operations: 1, ms: 1 }) };
    await compare({ busbar: side, raw: idle, rawDefault: idle }, { rounds: 2, slices: 2 });
    expect(ready).toBe(7);
  });
});

describe("inFlight", () => {
  it("keeps so many operations under way and counts them", async () => {
    let underWay = 0;
    let most = 0;
    const { operations } = await inFlight(20, 8, async () => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay -= 1;
    });
    expect(most).toBe(8);
    expect(operations).toBeGreaterThanOrEqual(8);
  });
});

describe("forEachInFlight", () => {
  it("does each item once", async () => {
    const done: number[] = [];
    await forEachInFlight([1, 2, 3, 4, 5], 2, async (item) => {
      await Promise.resolve();
      done.push(item);
    });
    expect(done.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5]);
  });
});
