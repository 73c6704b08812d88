import { VirtualClock } from "@busbar/core";
import { settle } from "@busbar/core/adapter";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Alarm, Deadlines } from "../../src/engine/deadlines.ts";

function start(): { clock: VirtualClock; deadlines: Deadlines } {
  const clock = new VirtualClock();
  const deadlines = new Deadlines(clock);
  deadlines.start();
  return { clock, deadlines };
}

describe("Deadlines", () => {
  it("fires in the order of time, equal ones in the order in which they were set", async () => {
    const { clock, deadlines } = start();
    const fired: string[] = [];
    for (const [name, dueMs] of Object.entries({ c: 30, a: 10, b1: 20, b2: 20, b3: 20 })) {
      deadlines.set(new Alarm(() => fired.push(`${name}@${clock.monotonic()}`)), dueMs);
    }
    await clock.runUntilIdle();
    expect(fired).toEqual(["a@10", "b1@20", "b2@20", "b3@20", "c@30"]);
  });

  it("uses one timer for any number of deadlines", () => {
    const { clock, deadlines } = start();
    for (let index = 0; index < 1_000; index++) {
      deadlines.set(new Alarm(() => undefined), 1_000 - index);
    }
    expect(deadlines.size).toBe(1_000);
    expect(clock.pendingTimers).toBe(1);
  });

  it("forgets what is cleared, and the timer with the last one", async () => {
    const { clock, deadlines } = start();
    for (let index = 0; index < 10_000; index++) {
      const alarm = new Alarm(() => undefined);
      deadlines.set(alarm, 30_000 + index);
      deadlines.clear(alarm);
      deadlines.clear(alarm);
    }
    expect(deadlines.size).toBe(0);
    await settle();
    expect(clock.pendingTimers).toBe(0);
  });

  it("moves the timer on when the earliest is cleared", async () => {
    const { clock, deadlines } = start();
    const fired: number[] = [];
    const early = new Alarm(() => fired.push(0));
    deadlines.set(early, 10);
    deadlines.set(new Alarm(() => fired.push(clock.monotonic())), 50);
    deadlines.clear(early);
    await clock.advanceToNext();
    expect(clock.monotonic()).toBe(50);
    expect(fired).toEqual([50]);
  });

  it("puts one off without firing early", async () => {
    const { clock, deadlines } = start();
    const fired: number[] = [];
    const alarm = new Alarm(() => fired.push(clock.monotonic()));
    deadlines.set(alarm, 100);
    await clock.advance(90);
    deadlines.set(alarm, 190);
    await clock.advance(50);
    expect(fired).toEqual([]);
    deadlines.set(alarm, 150);
    await clock.runUntilIdle();
    expect(fired).toEqual([150]);
  });

  it("lets happen what is due when an operation begins, with no turn for the timer", () => {
    let busyMs = 0;
    class BusyClock extends VirtualClock {
      override monotonic(): number {
        return super.monotonic() + busyMs;
      }
    }
    const deadlines = new Deadlines(new BusyClock());
    deadlines.start();
    const fired: number[] = [];
    deadlines.set(new Alarm(() => fired.push(1)), 5);
    busyMs = 10;
    expect(deadlines.tick()).toBe(10);
    expect(fired).toEqual([1]);
  });

  it("keeps no timer while it is stopped, and catches up at the start", async () => {
    const { clock, deadlines } = start();
    const fired: number[] = [];
    deadlines.set(new Alarm(() => fired.push(clock.monotonic())), 5);
    deadlines.stop();
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(20);
    expect(fired).toEqual([]);
    deadlines.start();
    expect(fired).toEqual([20]);
  });

  it("bears deadlines that set, clear and tick while they fire", async () => {
    const { clock, deadlines } = start();
    const fired: string[] = [];
    const victim = new Alarm(() => fired.push("victim"));
    deadlines.set(
      new Alarm(() => {
        fired.push("first");
        deadlines.clear(victim);
        deadlines.set(new Alarm(() => fired.push("again")), deadlines.nowMs);
        deadlines.tick();
        fired.push("end");
      }),
      10,
    );
    deadlines.set(victim, 10);
    await clock.runUntilIdle();
    expect(fired).toEqual(["first", "again", "end"]);
  });

  it("fires exactly what a sorted list would, whatever is set, moved and cleared", async () => {
    const step = fc.tuple(fc.nat(20), fc.nat(100), fc.constantFrom("set", "clear"));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const { clock, deadlines } = start();
        const wanted = new Map<number, number>();
        const fired: [number, number][] = [];
        const alarms = Array.from({ length: 21 }, (_, index) => {
          return new Alarm(() => fired.push([index, clock.monotonic()]));
        });
        for (const [index, dueMs, what] of steps) {
          if (what === "set") deadlines.set(alarms[index] as Alarm, dueMs);
          else deadlines.clear(alarms[index] as Alarm);
          if (what === "set") wanted.set(index, dueMs);
          else wanted.delete(index);
        }
        expect(deadlines.size).toBe(wanted.size);
        await clock.runUntilIdle();
        expect(fired.map(([, atMs]) => atMs)).toEqual([...wanted.values()].sort((a, b) => a - b));
        expect(new Map(fired)).toEqual(wanted);
        expect(deadlines.size).toBe(0);
      }),
      { numRuns: 50 },
    );
  });
});
