import type { Random } from "@busbar/core";
import { checkDuration } from "@busbar/core/adapter";
import type { Backoff } from "./task.ts";

/** A {@link Backoff} with the defaults filled in. */
export type ResolvedBackoff = { readonly [Name in keyof Backoff]-?: number };

const DAY_MS = 86_400_000;

/** @throws TypeError or RangeError which name the field */
export function resolveBackoff(backoff: Backoff = {}): ResolvedBackoff {
  const { firstMs = 1_000, factor = 2, maxMs = 300_000, jitter = 0.5 } = backoff;
  checkDuration("backoff.firstMs", firstMs, 0, DAY_MS);
  checkNumber("backoff.factor", factor, 1, 10);
  checkDuration("backoff.maxMs", maxMs, 0, DAY_MS);
  checkNumber("backoff.jitter", jitter, 0, 1);
  return { firstMs, factor, maxMs, jitter };
}

/** The wait after a failed attempt, which is counted from 1. */
export function backoffMs(backoff: ResolvedBackoff, attempt: number, random: Random): number {
  const { firstMs, factor, maxMs, jitter } = backoff;
  const wholeMs = Math.min(maxMs, firstMs * factor ** (attempt - 1));
  return wholeMs * (1 - jitter * random.next());
}

function checkNumber(field: string, value: number, min: number, max: number): void {
  if (typeof value === "number" && value >= min && value <= max) return;
  throw new RangeError(`${field} must be from ${min} to ${max}, got ${String(value)}`);
}
