import type { Clock } from "@busbar/core";
import { check, checkRange, ConformanceFailure } from "../../assert.ts";
import type { CaseContext } from "../../case.ts";

/** Timers and clocks round: so much earlier than due is not early. */
export const ROUNDING_MS = 2;

/** When a call began and when its answer came, on the monotonic clock of the case. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Runs `work` and tells when. */
export async function timed<T>(
  clock: Clock,
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly span: Span }> {
  const from = clock.monotonic();
  const value = await work();
  return { value, span: { from, to: clock.monotonic() } };
}

/**
 * Fails unless it is now the time at which something falls due that a call of `began` set to `ms`:
 * not before, and not later than it may be.
 */
export function checkDue(context: CaseContext, began: Span, ms: number, what: string): void {
  const now = context.clock.monotonic();
  checkNotBefore(context, began, ms, what);
  const lateMs = now - began.to - ms;
  const allowedMs = lateness(context);
  check(lateMs <= allowedMs, `${what}: ${lateMs} ms late, allowed are ${allowedMs}`);
}

/** How late a timer of the server may be: what the backend declares, and what this machine adds. */
export function lateness(context: CaseContext): number {
  return context.bus.capabilities.timerGranularityMs + context.toleranceMs;
}

/** Fails if `ms` have not passed since `began`. */
export function checkNotBefore(context: CaseContext, began: Span, ms: number, what: string): void {
  const earlyMs = began.from + ms - context.clock.monotonic();
  check(earlyMs <= ROUNDING_MS, `${what}: ${earlyMs} ms early`);
}

/** Fails if the call took longer than the tolerance. */
export function checkAtOnce(context: CaseContext, span: Span, what: string): void {
  checkRange(span.to - span.from, 0, context.toleranceMs, `${what}, in milliseconds`);
}

/** Marks a promise that is awaited later: its failure is not unhandled in between. */
export function later<T>(promise: Promise<T>): Promise<T> {
  void promise.catch(() => undefined);
  return promise;
}

/** Waits for `promise`, but fails with `what` after `limitMs`. */
export async function within<T>(
  context: CaseContext,
  promise: Promise<T>,
  what: string,
  limitMs = 10_000,
): Promise<T> {
  const limit = new AbortController();
  const late = context.clock.sleep(limitMs, { signal: limit.signal }).then(() => {
    throw new ConformanceFailure(`${what}: nothing within ${limitMs} ms`);
  });
  try {
    return await Promise.race([promise, later(late)]);
  } finally {
    limit.abort();
  }
}

/**
 * Counts the rounds of a loop that a broken backend may keep going for ever; it would not even let
 * the case's time run out.
 */
export function bounded(what: string, limit: number = 10_000): () => void {
  let rounds = 0;
  return () => {
    rounds += 1;
    check(rounds <= limit, `${what}: no end after ${limit} rounds`);
  };
}

/** The numbers from 0 to `count` - 1. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/** Runs `work` for each number below `count`, at most `width` at a time. */
export async function inWaves(
  count: number,
  width: number,
  work: (index: number) => Promise<unknown>,
): Promise<void> {
  for (let start = 0; start < count; start += width) {
    const wave = range(Math.min(width, count - start));
    await Promise.all(wave.map((offset) => work(start + offset)));
  }
}

/** Sorts what a group of racing calls came to. */
export function outcomes<T>(settled: readonly PromiseSettledResult<T>[]): {
  readonly values: T[];
  readonly errors: unknown[];
} {
  const values: T[] = [];
  const errors: unknown[] = [];
  for (const one of settled) {
    if (one.status === "fulfilled") values.push(one.value);
    else errors.push(one.reason);
  }
  return { values, errors };
}
