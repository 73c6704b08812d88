import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { systemClock, VirtualClock } from "../src/index.ts";

/** What is used after everything that is unused was collected. */
function heapUsed(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}

describe("VirtualClock", () => {
  it("stands still until it is told to move", async () => {
    const clock = new VirtualClock({ startAtMs: 5_000 });
    expect([clock.now(), clock.monotonic()]).toEqual([5_000, 0]);
    await clock.advance(0.5);
    // The time of day has whole milliseconds, as the machine's clock has.
    expect([clock.now(), clock.monotonic()]).toEqual([5_000, 0.5]);
    expect(new VirtualClock().now()).toBe(1_700_000_000_000);
  });

  it("fires in the order of time, equal ones in the order in which they were set", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(20), { maxLength: 60 }), async (delays) => {
        const clock = new VirtualClock();
        const fired: { delayMs: number; index: number; atMs: number }[] = [];
        delays.forEach((delayMs, index) => {
          clock.setTimer(() => fired.push({ delayMs, index, atMs: clock.monotonic() }), delayMs);
        });
        await clock.advance(20);
        const expected = delays
          .map((delayMs, index) => ({ delayMs, index, atMs: delayMs }))
          .sort((a, b) => a.delayMs - b.delayMs || a.index - b.index);
        expect(fired).toEqual(expected);
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it("keeps that order whatever is cancelled", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(10), fc.boolean()), { minLength: 200, maxLength: 400 }),
        async (entries) => {
          const clock = new VirtualClock();
          const fired: number[] = [];
          const timers = entries.map(([delayMs], index) => {
            return clock.setTimer(() => fired.push(index), delayMs);
          });
          entries.forEach(([, cancelled], index) => {
            if (cancelled || index % 3 > 0) timers[index]!.cancel();
          });
          const left = entries
            .map(([delayMs, cancelled], index) => ({ delayMs, cancelled, index }))
            .filter(({ cancelled, index }) => !cancelled && index % 3 === 0);
          expect(clock.pendingTimers).toBe(left.length);
          while (await clock.advanceToNext());
          left.sort((a, b) => a.delayMs - b.delayMs || a.index - b.index);
          expect(fired).toEqual(left.map(({ index }) => index));
        },
      ),
      { numRuns: 10 },
    );
  });

  it("runs what a timer sets in motion to its end before the next one fires", async () => {
    const clock = new VirtualClock();
    const log: string[] = [];
    const work = async (name: string): Promise<void> => {
      for (let step = 0; step < 20; step++) await Promise.resolve();
      log.push(`${name} at ${clock.monotonic()}`);
    };
    clock.setTimer(() => void work("a"), 10);
    clock.setTimer(() => void work("b"), 10);
    clock.setTimer(() => log.push("c"), 10.5);
    await clock.advance(11);
    expect(log).toEqual(["a at 10", "b at 10", "c"]);
  });

  it("fires timers that timers set, if they fall due on the way", async () => {
    const clock = new VirtualClock();
    const at: number[] = [];
    const tick = (): void => {
      at.push(clock.monotonic());
      clock.setTimer(tick, 10);
    };
    clock.setTimer(tick, 10);
    await clock.advance(35);
    expect(at).toEqual([10, 20, 30]);
    expect(clock.monotonic()).toBe(35);
    expect(clock.pendingTimers).toBe(1);
  });

  it("takes a negative delay for none, and never fires at infinity", async () => {
    const clock = new VirtualClock();
    const fired = vi.fn();
    clock.setTimer(fired, -5);
    clock.setTimer(fired, Number.NaN);
    const never = clock.setTimer(() => {
      throw new Error("fired");
    }, Number.POSITIVE_INFINITY);
    await clock.advance(0);
    expect(fired).toHaveBeenCalledTimes(2);
    expect(clock.pendingTimers).toBe(0);
    expect(await clock.advanceToNext()).toBe(false);
    never.cancel();
  });

  it("refuses to go back, or to the end of time", () => {
    const clock = new VirtualClock();
    for (const byMs of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => clock.advance(byMs)).toThrow(RangeError);
    }
  });

  it("queues calls that move time while it moves", async () => {
    const clock = new VirtualClock();
    const log: string[] = [];
    clock.setTimer(() => log.push("5"), 5);
    clock.setTimer(() => log.push("15"), 15);
    await Promise.all([
      clock.advance(10).then(() => log.push("first")),
      clock.advance(10).then(() => log.push("second")),
    ]);
    expect(log).toEqual(["5", "first", "15", "second"]);
    expect(clock.monotonic()).toBe(20);
  });

  it("goes on after a timer that throws", async () => {
    const clock = new VirtualClock();
    clock.setTimer(() => {
      throw new Error("mine");
    }, 5);
    const fired = vi.fn();
    clock.setTimer(fired, 6);
    await expect(clock.advance(10)).rejects.toThrow("mine");
    await clock.advance(10);
    expect(fired).toHaveBeenCalledTimes(1);
  });
});

describe("VirtualClock timers", () => {
  it("do nothing once cancelled, also inside the same instant", async () => {
    const clock = new VirtualClock();
    const fired = vi.fn();
    const second = { cancel: (): void => undefined };
    const first = clock.setTimer(() => second.cancel(), 5);
    second.cancel = (
      (timer) => () =>
        timer.cancel()
    )(clock.setTimer(fired, 5));
    expect(clock.pendingTimers).toBe(2);
    await clock.advance(5);
    first.cancel();
    second.cancel();
    expect(fired).not.toHaveBeenCalled();
    expect(clock.pendingTimers).toBe(0);
  });

  it("do not pile up when they are cancelled before their time", () => {
    const clock = new VirtualClock();
    const keep = clock.setTimer(() => undefined, 1_000_000);
    const before = heapUsed();
    for (let index = 0; index < 500_000; index++) {
      const callback = (): unknown => index;
      clock.setTimer(callback, 30_000 + index).cancel();
    }
    expect(heapUsed() - before).toBeLessThan(1_000_000);
    expect(clock.pendingTimers).toBe(1);
    keep.cancel();
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("VirtualClock.advanceToNext", () => {
  it("moves to the next timer, or not at all", async () => {
    const clock = new VirtualClock();
    const sleep = clock.sleep(100);
    expect(await clock.advanceToNext()).toBe(true);
    await sleep;
    expect(clock.monotonic()).toBe(100);
    expect(await clock.advanceToNext()).toBe(false);
    expect(clock.monotonic()).toBe(100);
  });
});

describe("VirtualClock.runUntilIdle", () => {
  it("runs until no timer is left", async () => {
    const clock = new VirtualClock();
    const work = (async () => {
      for (let step = 0; step < 5; step++) await clock.sleep(3_600_000);
      return clock.monotonic();
    })();
    expect(await clock.runUntilIdle()).toBe(true);
    expect(await work).toBe(18_000_000);
  });

  it("stops at its limit where there is always one more timer", async () => {
    const clock = new VirtualClock();
    let beats = 0;
    const beat = (): void => {
      beats += 1;
      clock.setTimer(beat, 1_000);
    };
    beat();
    expect(await clock.runUntilIdle({ maxMs: 10_000 })).toBe(false);
    expect(beats).toBe(11);
  });
});

describe("VirtualClock.autoAdvance", () => {
  it("gives the result of what it waits for, or its error", async () => {
    const clock = new VirtualClock();
    const work = async (): Promise<string> => {
      await clock.sleep(60_000);
      return `done at ${clock.monotonic()}`;
    };
    expect(await clock.autoAdvance(work())).toBe("done at 60000");
    const failing = clock.sleep(5).then(() => {
      throw new Error("mine");
    });
    await expect(clock.autoAdvance(failing)).rejects.toThrow("mine");
    expect(await clock.autoAdvance(Promise.resolve(5))).toBe(5);
  });

  it("moves no further than it must", async () => {
    const clock = new VirtualClock();
    void clock.sleep(100);
    await clock.autoAdvance(clock.sleep(10));
    expect(clock.monotonic()).toBe(10);
    expect(clock.pendingTimers).toBe(1);
  });

  it("waits for real work while no timer is set", async () => {
    const clock = new VirtualClock();
    const work = async (): Promise<number> => {
      await systemClock.sleep(30);
      await clock.sleep(60_000);
      await systemClock.sleep(30);
      return clock.monotonic();
    };
    expect(await clock.autoAdvance(work())).toBe(60_000);
    await expect(clock.autoAdvance(work(), { graceMs: 5 })).rejects.toThrow(/^deadlock: /);
  });

  it("calls a deadlock by its name", async () => {
    const clock = new VirtualClock();
    await expect(clock.autoAdvance(new Promise(() => undefined))).rejects.toThrow(/^deadlock: /);
    clock.setTimer(() => undefined, 50).cancel();
    await expect(clock.autoAdvance(new Promise(() => undefined))).rejects.toThrow(/^deadlock: /);
  });

  it("gives up beyond its limit", async () => {
    const clock = new VirtualClock();
    const beat = (): void => void clock.setTimer(beat, 1_000);
    beat();
    const forever = clock.autoAdvance(new Promise(() => undefined), { maxMs: 5_000 });
    await expect(forever).rejects.toThrow("still pending at +5000 ms");
  });

  it("serves two at a time", async () => {
    const clock = new VirtualClock();
    const both = [clock.autoAdvance(clock.sleep(50)), clock.autoAdvance(clock.sleep(20))];
    await Promise.all(both);
    expect(clock.monotonic()).toBe(50);
  });
});

describe("VirtualClock.sleep", () => {
  it("takes its timer back when it is aborted", async () => {
    const clock = new VirtualClock();
    const controller = new AbortController();
    const sleep = clock.sleep(50, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(sleep).rejects.toThrow("enough");
    expect(clock.pendingTimers).toBe(0);
  });
});
