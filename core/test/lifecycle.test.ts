import { describe, expect, it, vi } from "vitest";
import { Lifecycle, type Owned, within } from "../src/adapter.ts";
import { VirtualClock } from "../src/index.ts";

const NEVER = new Promise<never>(() => undefined);
const nothing = async (): Promise<void> => undefined;

function owned(stop: Owned["stop"]): Owned {
  return { stop };
}

describe("Lifecycle", () => {
  it("stops everything it owns with one deadline, then finishes", async () => {
    const clock = new VirtualClock();
    const life = new Lifecycle("the bus", clock);
    const log: string[] = [];
    for (const name of ["a", "b"]) {
      life.add(
        owned(async (drainMs) => {
          log.push(`stop ${name} ${drainMs}`);
          await clock.sleep(10);
          log.push(`stopped ${name} at ${clock.monotonic()}`);
          return { abandoned: 1 };
        }),
      );
    }
    expect([life.isOpen, life.size]).toEqual([true, 2]);
    const report = await clock.autoAdvance(
      life.close(100, async () => {
        log.push("finish");
      }),
    );
    expect(report).toEqual({ abandoned: 2 });
    expect(log).toEqual([
      "stop a 100",
      "stop b 100",
      "stopped a at 10",
      "stopped b at 10",
      "finish",
    ]);
    expect([life.isOpen, life.size, clock.pendingTimers]).toEqual([false, 0, 0]);
  });

  it("does not wait longer than it said for what never stops", async () => {
    const clock = new VirtualClock();
    const life = new Lifecycle("the bus", clock);
    life.add(owned(() => NEVER));
    life.add(owned(async () => ({ abandoned: 3 })));
    const report = await clock.autoAdvance(life.close(100, () => NEVER, 50));
    expect(report).toEqual({ abandoned: 4 });
    expect(clock.monotonic()).toBe(200);
    expect(clock.pendingTimers).toBe(0);
  });

  it("counts what fails, at once or later, as abandoned, and finishes all the same", async () => {
    const clock = new VirtualClock();
    const life = new Lifecycle("the bus", clock);
    const finish = vi.fn(nothing);
    life.add(owned(() => Promise.reject(new Error("later"))));
    life.add(
      owned(() => {
        throw new Error("at once");
      }),
    );
    expect(await clock.autoAdvance(life.close(0, finish))).toEqual({ abandoned: 2 });
    expect(finish).toHaveBeenCalledTimes(1);
  });

  it("survives an end that throws at once", async () => {
    const life = new Lifecycle("the bus", new VirtualClock());
    const report = await life.close(0, () => {
      throw new Error("at once");
    });
    expect(report).toEqual({ abandoned: 0 });
  });

  it("closes once: the second call gives the first one's result", async () => {
    const life = new Lifecycle("the bus", new VirtualClock());
    const finish = vi.fn(nothing);
    const first = life.close(0, finish);
    expect(life.close(5, finish)).toBe(first);
    await first;
    await life.close(0, finish);
    expect(finish).toHaveBeenCalledTimes(1);
  });

  it("says that it is closed from the first moment", async () => {
    const life = new Lifecycle("the bus", new VirtualClock());
    expect(() => life.checkOpen()).not.toThrow();
    const heard = vi.fn(() => {
      expect(() => life.checkOpen()).toThrow(expect.objectContaining({ code: "CLOSED" }));
    });
    life.signal.addEventListener("abort", heard);
    const closing = life.close(0, nothing);
    expect(() => life.checkOpen()).toThrow("the bus is closed");
    await closing;
    expect(heard).toHaveBeenCalledTimes(1);
    expect(life.signal.reason).toMatchObject({ code: "CLOSED" });
  });

  it("leaves alone what stopped by itself", async () => {
    const life = new Lifecycle("the bus", new VirtualClock());
    const stop = vi.fn(async () => ({ abandoned: 0 }));
    const one = owned(stop);
    life.add(one);
    life.remove(one);
    await life.close(0, nothing);
    expect(stop).not.toHaveBeenCalled();
  });

  it("stops what comes in when closing has begun, once its constructor is done", async () => {
    const life = new Lifecycle("the bus", new VirtualClock());
    const closing = life.close(0, nothing);
    const stop = vi.fn(() => Promise.reject(new Error("not heard")));
    life.add(owned(stop));
    expect(stop).not.toHaveBeenCalled();
    await closing;
    expect(stop).toHaveBeenCalledWith(0);
    expect(life.size).toBe(0);
  });
});

describe("within", () => {
  it("waits for the work, but no longer than the limit, and leaves no timer", async () => {
    const clock = new VirtualClock();
    expect(await within(clock, Promise.resolve(), 100)).toBe(true);
    expect(await within(clock, Promise.reject(new Error("x")), 100)).toBe(true);
    expect(clock.pendingTimers).toBe(0);
    expect(await clock.autoAdvance(within(clock, NEVER, 100))).toBe(false);
    expect(clock.monotonic()).toBe(100);
  });
});
