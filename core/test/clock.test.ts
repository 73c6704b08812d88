import { describe, expect, it, vi } from "vitest";
import { settle } from "../src/adapter.ts";
import { SystemClock, systemClock } from "../src/index.ts";

describe("SystemClock", () => {
  it("calls at once what is overdue, without a warning of Node", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): number => warnings.push(warning);
    process.on("warning", onWarning);
    await new Promise<void>((resolve) => {
      new SystemClock().setTimer(resolve, -500);
    });
    // Node tells of a warning in a later turn.
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  });

  it("tells wall time and time that only grows", () => {
    expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(50);
    const first = systemClock.monotonic();
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(first);
  });

  it("never fires early", async () => {
    const early: number[] = [];
    await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const delayMs = 1 + index / 7;
        const started = systemClock.monotonic();
        await systemClock.sleep(delayMs);
        const passedMs = systemClock.monotonic() - started;
        if (passedMs < delayMs) early.push(passedMs - delayMs);
      }),
    );
    expect(early).toEqual([]);
  });

  it("does not fire when cancelled", async () => {
    const fired = vi.fn();
    systemClock.setTimer(fired, 1).cancel();
    const timer = systemClock.setTimer(() => undefined, 0);
    await systemClock.sleep(5);
    timer.cancel();
    timer.cancel();
    expect(fired).not.toHaveBeenCalled();
  });

  it("waits for longer than the machine's timers can, and can be cancelled all the while", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    try {
      const clock = new SystemClock();
      const fired = vi.fn();
      const cancelled = vi.fn();
      const days = 24 * 60 * 60 * 1_000;
      clock.setTimer(fired, 60 * days);
      const timer = clock.setTimer(cancelled, 60 * days);
      clock.setTimer(cancelled, Number.POSITIVE_INFINITY);
      vi.advanceTimersByTime(59 * days);
      expect(fired).not.toHaveBeenCalled();
      timer.cancel();
      vi.advanceTimersByTime(2 * days);
      expect(fired).toHaveBeenCalledTimes(1);
      expect(cancelled).not.toHaveBeenCalled();
    } finally {
      vi.useRealTimers();
    }
  });

  it("rejects a sleep with the reason of the signal, and leaves no listener", async () => {
    const controller = new AbortController();
    const sleep = systemClock.sleep(60_000, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(sleep).rejects.toThrow("enough");
    await expect(systemClock.sleep(0, { signal: controller.signal })).rejects.toThrow("enough");
    const other = new AbortController();
    const removed = vi.spyOn(other.signal, "removeEventListener");
    await systemClock.sleep(0, { signal: other.signal });
    expect(removed).toHaveBeenCalledTimes(1);
  });

  it("can let the process end", () => {
    const handle = { unref: vi.fn() };
    const spy = vi.spyOn(globalThis, "setTimeout").mockReturnValue(handle as never);
    try {
      systemClock.setTimer(() => undefined, 5, { keepAlive: false });
      expect(handle.unref).toHaveBeenCalledTimes(1);
      systemClock.setTimer(() => undefined, 5);
      expect(handle.unref).toHaveBeenCalledTimes(1);
      // A browser's handle is a number.
      spy.mockReturnValue(5 as never);
      systemClock.setTimer(() => undefined, 5, { keepAlive: false });
    } finally {
      spy.mockRestore();
    }
  });
});

describe("settle", () => {
  it("lets promise chains of any depth run", async () => {
    let depth = 0;
    const chain = async (): Promise<void> => {
      for (; depth < 1_000; depth++) await Promise.resolve();
    };
    void chain();
    await settle();
    expect(depth).toBe(1_000);
  });
});
