import { VirtualClock } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { Pace } from "../src/pace.ts";

const WORK_MS = 6_000;

/** Runs items that each take a while; `isInTime` says of a run, counted per item from 1, how it was. */
async function paced(
  count: number,
  atMost: number,
  isInTime: (item: number, tries: number) => boolean,
): Promise<{ pace: Pace; never: number[]; tries: Map<number, number>; most: number }> {
  const clock = new VirtualClock();
  const pace = new Pace({ clock, atMost });
  const tries = new Map<number, number>();
  let running = 0;
  let most = 0;
  const items = Array.from({ length: count }, (_, item) => item);
  const never = await clock.autoAdvance(
    pace.run(items, async (item) => {
      tries.set(item, (tries.get(item) ?? 0) + 1);
      most = Math.max(most, ++running);
      await clock.sleep(WORK_MS);
      running -= 1;
      return isInTime(item, tries.get(item) ?? 0);
    }),
  );
  return { pace, never, tries, most };
}

describe("Pace", () => {
  it("does everything once if nothing is late, ever more at a time", async () => {
    const { pace, never, tries, most } = await paced(600, 60, () => true);
    expect(never).toEqual([]);
    expect(tries.size).toBe(600);
    expect(Math.max(...tries.values())).toBe(1);
    expect(most).toBe(60);
    expect(pace.late).toBe(0);
  });

  it("never does more at a time than it may", async () => {
    expect((await paced(20, 3, () => true)).most).toBe(3);
  });

  it("does again what was late", async () => {
    const { pace, never, tries } = await paced(50, 20, (item, run) => item % 10 !== 0 || run > 2);
    expect(never).toEqual([]);
    expect(tries.get(10)).toBe(3);
    expect(tries.get(11)).toBe(1);
    expect(pace.late).toBe(10);
  });

  it("does fewer at a time when some are late", async () => {
    const { pace } = await paced(50, 50, (_item, run) => run > 3);
    expect(pace.limit).toBeLessThan(20);
    expect(pace.limit).toBeGreaterThan(0);
  });

  it("gives up what is late each time, and says so", async () => {
    const { never, tries } = await paced(10, 5, (item) => item !== 7);
    expect(never).toEqual([7]);
    expect(tries.get(7)).toBeGreaterThan(1);
  });
});
