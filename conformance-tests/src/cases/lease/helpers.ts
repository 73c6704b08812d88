import type { Bus, Lease, LeaseOptions } from "@busbar/core";
import { check, checkCode } from "../../assert.ts";
import type { CaseContext } from "../../case.ts";
import { type Span, timed } from "../jobs/timing.ts";

/** The bucket of most cases. */
export const BUCKET = "locks";
/** The key of most cases. */
export const KEY = "leader";
/** A time to live that no case outlasts. */
export const LONG_MS = 60_000;

/** Takes the lease on {@link KEY}. */
export function acquire(bus: Bus, ttlMs: number, options?: Partial<LeaseOptions>): Promise<Lease> {
  return bus.kv.lease(BUCKET, KEY, { ...options, ttlMs });
}

/** Takes the lease on {@link KEY} and tells when. */
export async function acquireTimed(
  context: CaseContext,
  bus: Bus,
  options: LeaseOptions,
): Promise<{ readonly lease: Lease; readonly span: Span }> {
  const { value, span } = await timed(context.clock, () => bus.kv.lease(BUCKET, KEY, options));
  return { lease: value, span };
}

/** Fails unless somebody else has the lease on {@link KEY}. */
export async function checkHeld(bus: Bus, what: string): Promise<void> {
  await checkCode(acquire(bus, LONG_MS), "LEASE_HELD", what);
}

/** Fails unless the lease on {@link KEY} is free; leaves it free. Gives the fence it had. */
export async function checkFree(bus: Bus): Promise<number> {
  const lease = await acquire(bus, LONG_MS);
  await lease.release();
  return lease.fence;
}

/** Fails unless the fences grow strictly. */
export function checkFencesGrow(fences: readonly number[], what: string): void {
  for (const [index, fence] of fences.entries()) {
    const before = fences[index - 1] ?? 0;
    check(Number.isSafeInteger(fence) && fence > before, `${what}: ${fence} comes after ${before}`);
  }
}
