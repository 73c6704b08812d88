import type { EnqueueResult, QueueStats } from "@busbar/core";
import type { ResolvedJob } from "@busbar/core/adapter";
import type { BusContext } from "./context.ts";
import { addDeadLetter, type DeadLetterRow, deleteAll } from "./dead-letters.ts";
import { findDuplicate, remember } from "./dedup.ts";

// What can be done to a queue, each within a transaction. A job is in exactly one place: its row is
// waiting or leased, or it is a dead letter.

/** The reason of a dead letter after the last attempt. */
const MAX_ATTEMPTS = "max attempts";
/** By how much a worker takes its lease for over before the file does. */
const MARGIN_MS = 2;

/** A queue as it is stored. */
export interface QueueRow {
  readonly id: number;
  readonly name: string;
  readonly paused: number;
}

/** A job as it is stored. */
export interface JobRow {
  readonly id: number;
  readonly leased: number;
  readonly due_ms: number;
  readonly priority: number;
  readonly attempt: number;
  readonly fence: number;
  readonly max_attempts: number;
  readonly dedup_key: string | null;
  readonly payload: Uint8Array;
  readonly headers: string;
  readonly enqueued_ms: number;
}

/** What a dead letter needs besides to become a job again. */
type Origin = Pick<JobRow, "priority" | "max_attempts" | "dedup_key">;

/** A queue that exists. */
export function findQueue(context: BusContext, name: string): QueueRow | undefined {
  const sql = "SELECT id, name, paused FROM queue WHERE ns = ? AND name = ?";
  return context.file.one(sql, context.ns, name);
}

/** A queue, made if need be. */
export function useQueue(context: BusContext, name: string): QueueRow {
  const existing = findQueue(context, name);
  if (existing !== undefined) return existing;
  return { id: context.file.insert("queue", { ns: context.ns, name }), name, paused: 0 };
}

/** Adds a job. */
export function addJob(context: BusContext, queue: QueueRow, job: ResolvedJob): EnqueueResult {
  const { clock, file } = context;
  const { dedupKey, runAtMs, delayMs } = job;
  const scope = dedupScope(queue);
  const first = dedupKey === undefined ? undefined : findDuplicate(context, scope, dedupKey);
  if (first !== undefined) return { id: first, duplicate: true };
  const nowMs = clock.now();
  const id = file.next("job");
  file.insert("job", {
    queue: queue.id,
    id,
    place: id,
    due_ms: runAtMs ?? nowMs + delayMs,
    priority: job.priority,
    max_attempts: job.maxAttempts,
    dedup_key: dedupKey ?? null,
    payload: job.payload,
    headers: JSON.stringify(job.headers),
    enqueued_ms: nowMs,
  });
  if (dedupKey !== undefined) remember(context, scope, dedupKey, String(id));
  return { id: String(id), duplicate: false };
}

/** Leases up to `max` jobs: by priority, then those that came back, then in order. */
export function leaseJobs(
  context: BusContext,
  queue: QueueRow,
  wanted: { readonly max: number; readonly maxPriority: number; readonly leaseMs: number },
): JobRow[] {
  const { file, clock } = context;
  // Read once: a job that falls due in between would be handed out although it has to be given up.
  const nowMs = clock.now();
  buryJobs(context, queue.id, nowMs);
  const rows = file.all<{ id: number }>(
    `SELECT id FROM job WHERE queue = ? AND priority <= ? AND due_ms <= ?
      ORDER BY priority DESC, (fence > 0) DESC, place LIMIT ?`,
    queue.id,
    wanted.maxPriority,
    nowMs,
    wanted.max,
  );
  const dueMs = nowMs + wanted.leaseMs + MARGIN_MS;
  const sql = `UPDATE job SET leased = 1, due_ms = ?, attempt = attempt + 1, fence = ?
    WHERE id = ? RETURNING *`;
  return rows.map(({ id }) => file.one<JobRow>(sql, dueMs, file.next("fence"), id) as JobRow);
}

/** In how many milliseconds a job of a queue is due, up to a priority, that is not ready now. */
export function nextDueMs(context: BusContext, queue: QueueRow, maxPriority: number): number {
  const sql = "SELECT min(due_ms) AS due FROM job WHERE queue = ? AND priority <= ?";
  const due = context.file.one<{ due: number | null }>(sql, queue.id, maxPriority)?.due;
  return due === null || due === undefined ? Number.POSITIVE_INFINITY : due - context.clock.now();
}

/** A lease as its worker knows it. */
export interface HeldJob {
  readonly id: number;
  readonly queue: number;
  readonly fence: number;
}

/** The row of a leased job; `"lost"` if the lease is over, `"gone"` if the job was taken out of its queue. */
export function readHeld(context: BusContext, held: HeldJob): JobRow | "lost" | "gone" {
  const { file, clock } = context;
  const row = file.one<JobRow>("SELECT * FROM job WHERE id = ?", held.id);
  if (row === undefined) {
    const dead = "SELECT 1 FROM dead_letter WHERE kind = 'queue' AND owner = ? AND id = ?";
    return file.one(dead, held.queue, String(held.id)) === undefined ? "gone" : "lost";
  }
  return row.fence === held.fence && row.leased && row.due_ms > clock.now() ? row : "lost";
}

/** Makes a lease last from now. */
export function renewLease(context: BusContext, held: HeldJob, leaseMs: number): void {
  const dueMs = context.clock.now() + leaseMs + MARGIN_MS;
  context.file.run("UPDATE job SET due_ms = ? WHERE id = ?", dueMs, held.id);
}

/** Ends a job for good. */
export function finishJob(context: BusContext, held: HeldJob): void {
  context.file.run("DELETE FROM job WHERE id = ?", held.id);
}

/** Gives a job back that has had so many attempts. */
export function returnJob(
  context: BusContext,
  held: HeldJob,
  next: { readonly attempt: number; readonly delayMs: number },
): void {
  const sql = "UPDATE job SET leased = 0, attempt = ?, due_ms = ? WHERE id = ?";
  context.file.run(sql, next.attempt, context.clock.now() + next.delayMs, held.id);
}

/** Moves a job to the dead letters. */
export function buryJob(
  context: BusContext,
  queue: Pick<QueueRow, "id" | "name">,
  job: JobRow,
  why: { readonly reason: string; readonly deadMs: number },
): void {
  const { priority, max_attempts, dedup_key } = job;
  const origin: Origin = { priority, max_attempts, dedup_key };
  context.file.run("DELETE FROM job WHERE id = ?", job.id);
  addDeadLetter(context, "queue", queue.id, {
    id: String(job.id),
    subject: queue.name,
    reason: why.reason,
    attempts: job.attempt,
    payload: job.payload,
    headers: job.headers,
    published_ms: job.enqueued_ms,
    dead_ms: why.deadMs,
    origin: JSON.stringify(origin),
  });
}

/** Gives up the jobs whose last lease has run out by now. */
export function buryJobs(context: BusContext, queue: number, nowMs: number): void {
  const { file } = context;
  const over = file.all<JobRow & { readonly name: string }>(
    `SELECT job.*, queue.name FROM job JOIN queue ON queue.id = job.queue
      WHERE job.queue = ? AND due_ms <= ? AND leased AND attempt >= max_attempts ORDER BY due_ms`,
    queue,
    nowMs,
  );
  for (const job of over) {
    const { name, due_ms: deadMs } = job;
    buryJob(context, { id: queue, name }, job, { reason: MAX_ATTEMPTS, deadMs });
  }
}

/** Brings a dead letter back: at the end, with all attempts to go. */
export function reviveJob(context: BusContext, queue: number, letter: DeadLetterRow): void {
  const { payload, headers, published_ms } = letter;
  context.file.insert("job", {
    ...(JSON.parse(letter.origin) as Origin),
    queue,
    id: Number(letter.id),
    place: context.file.next("job"),
    due_ms: context.clock.now(),
    payload,
    headers,
    enqueued_ms: published_ms,
  });
}

/** A job that is not dead. */
export function findJob(context: BusContext, queue: QueueRow, id: number): JobRow | undefined {
  buryJobs(context, queue.id, context.clock.now());
  return context.file.one("SELECT * FROM job WHERE queue = ? AND id = ?", queue.id, id);
}

/** Removes a job that is not dead. @returns whether there was one. */
export function removeJob(context: BusContext, queue: QueueRow, id: number): boolean {
  buryJobs(context, queue.id, context.clock.now());
  return context.file.run("DELETE FROM job WHERE queue = ? AND id = ?", queue.id, id) > 0;
}

/** Counts. */
export function countJobs(context: BusContext, queue: QueueRow): QueueStats {
  const nowMs = context.clock.now();
  buryJobs(context, queue.id, nowMs);
  const counts = context.file.one<Omit<QueueStats, "paused">>(
    `SELECT count(*) FILTER (WHERE NOT leased AND due_ms <= ?1) AS ready,
        count(*) FILTER (WHERE NOT leased AND due_ms > ?1) AS delayed,
        count(*) FILTER (WHERE leased) AS leased,
        (SELECT count(*) FROM dead_letter WHERE kind = 'queue' AND owner = ?2) AS dead
      FROM job WHERE queue = ?2`,
    nowMs,
    queue.id,
  ) as Omit<QueueStats, "paused">;
  return { ...counts, paused: queue.paused === 1 };
}

/** Removes every job that is not dead. @returns how many. */
export function purgeQueue(context: BusContext, queue: QueueRow): number {
  buryJobs(context, queue.id, context.clock.now());
  return context.file.run("DELETE FROM job WHERE queue = ?", queue.id);
}

/** Removes a queue with everything in it. */
export function deleteQueue(context: BusContext, queue: QueueRow): void {
  context.file.run("DELETE FROM job WHERE queue = ?", queue.id);
  deleteAll(context, "queue", queue.id);
  context.file.run("DELETE FROM dedup WHERE scope = ?", dedupScope(queue));
  context.file.run("DELETE FROM queue WHERE id = ?", queue.id);
}

function dedupScope(queue: QueueRow): string {
  return `job ${queue.id}`;
}
