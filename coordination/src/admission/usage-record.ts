import { type BucketDefinition, defineBucket } from "@busbar/core";
import { z } from "zod";
import type { TaskAmount } from "./quota.ts";

/** What a process has reserved and not yet told that it used it. */
export interface Holding extends TaskAmount {
  /** Another one with each write of the process, so that others see that it is alive. */
  readonly stamp: number;
}

/** What is known of the submissions of a tenant to a queue. */
export interface UsageRecord {
  /** The UTC day that is counted, in days since the Unix epoch. */
  readonly day: number;
  /** How many tasks were taken from that day. */
  readonly dayTasks: number;
  /** The token bucket. A token has as many parts as a minute has milliseconds, so all numbers are whole. */
  readonly minute?: { readonly parts: number; readonly atMs: number } | undefined;
  /** By the name of the process. */
  readonly holders: Readonly<Record<string, Holding>>;
}

export const DAY_MS = 86_400_000;
/** Parts of a token: a quota of q a minute gains q parts in a millisecond. */
export const TOKEN = 60_000;

const count = z.int().min(0);
const schema: z.ZodType<UsageRecord, unknown> = z.strictObject({
  day: count,
  dayTasks: count,
  minute: z.strictObject({ parts: z.number().min(0), atMs: z.number() }).optional(),
  holders: z.record(
    z.string(),
    z.strictObject({ stamp: count, tasks: count, scheduled: count, bytes: count }),
  ),
});

/** Where the records are, each under the queue and the storage id of the tenant. */
export const usageBucket: BucketDefinition<typeof schema> = defineBucket({
  bucket: "task-usage",
  schema,
});

const EMPTY: UsageRecord = { day: 0, dayTasks: 0, holders: {} };

export function dayOf(nowMs: number): number {
  return Math.floor(nowMs / DAY_MS);
}

/** The record as it is at a time: a new day, more tokens. Time does not go back in it. */
export function recordAt(
  { day: before, dayTasks, minute, holders }: UsageRecord = EMPTY,
  perMinute: number | null,
  nowMs: number,
): UsageRecord {
  const day = Math.max(before, dayOf(nowMs));
  return {
    day,
    dayTasks: day === before ? dayTasks : 0,
    ...(perMinute !== null && { minute: refill(minute, perMinute, held(holders, "tasks"), nowMs) }),
    holders,
  };
}

/** How much the holders have together. */
export function held(holders: UsageRecord["holders"], unit: keyof TaskAmount): number {
  return Object.values(holders).reduce((sum, holding) => sum + holding[unit], 0);
}

/** What was taken and may still be used has its place in the bucket: it is not filled by others. */
function refill(
  minute: UsageRecord["minute"],
  perMinute: number,
  outstanding: number,
  nowMs: number,
): { parts: number; atMs: number } {
  const capacity = perMinute * TOKEN;
  const { parts, atMs: before } = minute ?? { parts: capacity, atMs: nowMs };
  const atMs = Math.max(before, nowMs);
  const full = capacity - outstanding * TOKEN;
  return { parts: Math.max(0, Math.min(full, parts + (atMs - before) * perMinute)), atMs };
}
