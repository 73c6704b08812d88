import { type Clock, errorCode, type Random, type TypedBucket } from "@busbar/core";
import { describeThrown } from "@busbar/core/adapter";
import { changeEntry } from "../change-entry.ts";
import type { TaskQueue } from "../tasks/task-queue.ts";
import type { TenantDirectory } from "../tenants/tenant-directory.ts";
import type { ScheduleName } from "./schedule.ts";
import { idOf, storageIdOf } from "./schedule-key.ts";
import {
  dueTick,
  nextTickMs,
  type scheduleBucket,
  type ScheduleEntry,
  type ScheduleRecord,
  taskOf,
  timesOf,
} from "./schedule-record.ts";

/** What became of a tick. */
export interface TickOutcome extends ScheduleName {
  readonly tickAtMs: number;
  /** The task that was submitted; `undefined` if that failed. */
  readonly taskId: string | undefined;
  /** Why it failed. */
  readonly error: unknown;
}

/** What {@link tick} needs. */
export interface TickParts {
  readonly queue: TaskQueue;
  readonly bucket: TypedBucket<(typeof scheduleBucket)["schema"]>;
  readonly tenants: TenantDirectory;
  readonly clock: Clock;
  readonly random: Random;
  /** For how long a submit that is repeated makes no second task, in milliseconds. */
  readonly dedupWindowMs: number;
  readonly onTick: ((outcome: TickOutcome) => void) | undefined;
}

/** When a schedule is to be looked at again; never, if there is no time. */
export interface NextLook {
  /** That of the record that was seen last; 0 if there is none. */
  readonly revision: number;
  readonly atMs?: number | undefined;
}

/** A read record, and since when its pending tick may have been submitted. */
interface Standing {
  readonly entry: ScheduleEntry;
  /** By this process's monotonic clock, at the latest. */
  readonly begunMs: number;
}

/** How long a tick waits whose task could not be submitted. */
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;
/** A task that is refused with one of these will be refused again. */
const FINAL = new Set<unknown>(["INVALID_ARGUMENT", "PAYLOAD_TOO_LARGE", "UNSUPPORTED"]);

/**
 * Submits what is due of one schedule.
 *
 * States of a tick: *due* -> its time is written down as pending -> *pending* -> its task is submitted, with
 * the tick as dedup key -> *submitted* -> the record says so -> *done*. Every write is a compare-and-set, so
 * that of several who are at it one goes on; the others see the new record.
 *
 * A pending tick that is found may have been submitted or not. Submitting it again makes no second task as
 * long as the dedup window lasts, which is judged by the server's clock: the record is written once more, and
 * the two times compared. Half of the window is left for the submit. After that nobody can know: with
 * `catchUp: "none"` the tick is given up, else it is submitted.
 */
export async function tick(parts: TickParts, key: string, signal: AbortSignal): Promise<NextLook> {
  let standing = await find(parts, key);
  while (standing !== undefined && !signal.aborted) {
    const { entry } = standing;
    const { value, revision } = entry;
    if (value.paused || !isActive(parts, entry)) return { revision };
    if (value.pending === undefined) {
      const begun = begin(value, parts.clock.now());
      if (begun.pending === undefined) return { revision, atMs: nextLook(parts, value) };
      standing = await write(parts, entry, begun);
      continue;
    }
    const { atMs } = value.pending;
    if (parts.clock.monotonic() - standing.begunMs > parts.dedupWindowMs / 2) {
      standing = await find(parts, key);
      continue;
    }
    const outcome = await submit(parts, entry, atMs);
    parts.onTick?.(outcome);
    const retryMs = outcome.error === undefined ? undefined : retryAfter(outcome.error);
    if (retryMs !== undefined) return { revision, atMs: parts.clock.now() + retryMs };
    standing = await finish(parts, key, outcome);
  }
  return { revision: standing?.entry.revision ?? 0 };
}

/** When a record as it is now is to be looked at. */
export function nextLook(
  { clock }: Pick<TickParts, "clock">,
  record: ScheduleRecord,
): number | undefined {
  if (record.paused) return undefined;
  if (record.pending) return clock.now();
  const times = timesOf(record);
  const nowMs = clock.now();
  // Ticks that are over and not to be submitted are passed by.
  const isDue = dueTick(record, times, nowMs) !== undefined;
  return nextTickMs(record, times, isDue ? record.doneMs : Math.max(record.doneMs, nowMs));
}

/** The record with its next tick begun, if one is due. */
function begin(record: ScheduleRecord, nowMs: number): ScheduleRecord {
  if (record.paused) return record;
  const atMs = dueTick(record, timesOf(record), nowMs);
  return atMs === undefined ? record : { ...record, pending: { atMs } };
}

function over(record: ScheduleRecord, atMs: number): ScheduleRecord {
  return { ...record, pending: undefined, doneMs: Math.max(record.doneMs, atMs) };
}

function result({ ticks }: ScheduleRecord, { tickAtMs, error }: TickOutcome) {
  if (error === undefined) return { ticks: ticks + 1, lastTickAtMs: tickAtMs };
  return { lastRefusal: { tickAtMs, message: describeThrown(error).message } };
}

/** Reads a record. If it has a pending tick, finds out whether that is safe to submit. */
async function find(parts: TickParts, key: string): Promise<Standing | undefined> {
  const { bucket, clock, dedupWindowMs } = parts;
  for (;;) {
    const found = await bucket.get(key);
    if (found === undefined) return undefined;
    const { value, createdAtMs } = found;
    if (value.pending === undefined || value.paused) return { entry: found, begunMs: 0 };
    const { atMs, sinceMs = createdAtMs } = value.pending;
    const begunMs = clock.monotonic();
    const written = await write(parts, found, { ...value, pending: { atMs, sinceMs } });
    const again = await bucket.get(key);
    // Somebody else is at it.
    if (again === undefined || again.revision !== written?.entry.revision) continue;
    const isInDoubt = again.createdAtMs - sinceMs > dedupWindowMs / 2;
    if (!isInDoubt || value.catchUp !== "none") return { entry: again, begunMs };
    await write(parts, again, over(again.value, atMs));
  }
}

/** Writes down what became of a tick, whoever has begun it, unless somebody else did; begins the next one. */
async function finish(
  parts: TickParts,
  key: string,
  outcome: TickOutcome,
): Promise<Standing | undefined> {
  const { bucket, clock } = parts;
  const { tickAtMs } = outcome;
  const begunMs = clock.monotonic();
  let isOwn = false;
  const entry = await changeEntry(
    bucket,
    key,
    (found) => {
      isOwn = found?.value.pending?.atMs === tickAtMs;
      if (found === undefined || !isOwn) return undefined;
      const done = { ...over(found.value, tickAtMs), ...result(found.value, outcome) };
      return begin(done, clock.now());
    },
    parts,
  );
  return isOwn && entry ? { entry, begunMs } : find(parts, key);
}

/** Writes, if nobody else did meanwhile. @returns what is there then */
async function write(
  parts: TickParts,
  { key, revision }: ScheduleEntry,
  value: ScheduleRecord,
): Promise<Standing | undefined> {
  const begunMs = parts.clock.monotonic();
  try {
    const entry = { key, value, revision: await parts.bucket.cas(key, value, revision) };
    return { entry, begunMs };
  } catch (error) {
    if (errorCode(error) !== "CONFLICT") throw error;
    return find(parts, key);
  }
}

async function submit(parts: TickParts, entry: ScheduleEntry, tickAtMs: number) {
  const { tenant, task } = entry.value;
  const id = idOf(entry.key);
  const { headers, ...rest } = taskOf(task);
  try {
    const submitted = await parts.queue.submit({
      ...rest,
      tenant,
      headers: { ...headers, schedule: id, "schedule-tick": String(tickAtMs) },
      dedupKey: `schedule/${id}/${tickAtMs}`,
    });
    return { tenant, id, tickAtMs, taskId: submitted.id, error: undefined };
  } catch (error) {
    return { tenant, id, tickAtMs, taskId: undefined, error };
  }
}

/** After how long a failed submit is tried again; `undefined` for never. */
function retryAfter(error: unknown): number | undefined {
  const code = errorCode(error);
  if (code === undefined || FINAL.has(code)) return undefined;
  const { details } = error as { readonly details?: { readonly retryAfterMs?: unknown } };
  const wishedMs = details?.retryAfterMs;
  return Math.min(MAX_RETRY_MS, typeof wishedMs === "number" ? wishedMs : RETRY_MS);
}

/** Only the tenant that has put it, and no later one of the same id. */
function isActive({ tenants }: TickParts, { key, value }: ScheduleEntry): boolean {
  const tenant = tenants.peek(value.tenant);
  return tenant?.status === "active" && tenant.storageId === storageIdOf(key);
}
