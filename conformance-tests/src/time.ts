import { type Clock, systemClock } from "@busbar/core";
import { ConformanceFailure } from "./assert.ts";
import type { Harness } from "./case.ts";

/** A limit of {@link withLimits}. */
export interface Limit {
  readonly clock: Clock;
  readonly limitMs: number;
  /** What the failure says. */
  readonly what: string;
}

/** The result of `work`, or a failure when the first of the limits is over. */
export async function withLimits<T>(work: Promise<T>, limits: readonly Limit[]): Promise<T> {
  let cancel = (): void => undefined;
  const overdue = new Promise<never>((_resolve, reject) => {
    const timers = limits.map(({ clock, limitMs, what }) =>
      clock.setTimer(() => reject(new ConformanceFailure(what)), limitMs),
    );
    cancel = () => {
      for (const timer of timers) timer.cancel();
    };
  });
  try {
    return await Promise.race([work, overdue]);
  } finally {
    cancel();
  }
}

/** The result of `work`, or a rejection with the signal's reason as soon as it aborts. */
export async function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return work;
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Polls until `condition` holds; resolves with false when `limitMs` are over before. */
export async function poll(
  clock: Clock,
  limitMs: number,
  condition: () => boolean | Promise<boolean>,
): Promise<boolean> {
  const deadline = clock.monotonic() + limitMs;
  for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 25)) {
    if (await condition()) return true;
    if (clock.monotonic() >= deadline) return false;
    await clock.sleep(waitMs);
  }
}

/** The clock of a harness. */
export function clockOf(harness: Harness): Clock {
  return harness.time?.clock ?? systemClock;
}

/** Waits for `promise` while the harness's time runs. */
export function underTime<T>(harness: Harness, promise: Promise<T>): Promise<T> {
  return harness.time ? harness.time.run(promise) : promise;
}
