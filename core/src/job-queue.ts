import type { AckOptions } from "./pubsub.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { Headers, Payload } from "./payload.ts";

/** A job to enqueue. */
export interface Job {
  /** The bytes. */
  readonly payload: Payload;
  /** Headers to send along. */
  readonly headers?: Headers;
  /**
   * A second job with the same key within the dedup window (`capabilities.dedupWindowMs`) is not
   * made; its enqueue answers with the first one's id. 1 to 256 printable ASCII characters.
   */
  readonly dedupKey?: string;
  /**
   * How often it is handed out at most, 1 to 1_000; after that it is in the dead letters.
   * @defaultValue 5
   */
  readonly maxAttempts?: number;
  /**
   * Higher ones are handed out first among what is ready: an integer from 0 to 9. Equal ones in the
   * order in which they were enqueued.
   * @defaultValue 0
   */
  readonly priority?: number;
  /** Not to be handed out before this many milliseconds from now. Not with `runAtMs`. @defaultValue 0 */
  readonly delayMs?: number;
  /** Not to be handed out before this time, in milliseconds since the Unix epoch. */
  readonly runAtMs?: number;
}

/** A job that is in its queue: ready, delayed or leased. */
export interface QueuedJob {
  /** Unique within the queue. */
  readonly id: string;
  /** The queue. */
  readonly queue: string;
  /** The bytes; whoever got it owns them. */
  readonly payload: Uint8Array;
  /** The headers. */
  readonly headers: Headers;
  /** The dedup key, if it was enqueued with one. */
  readonly dedupKey: string | undefined;
  /** The priority. */
  readonly priority: number;
  /** How many attempts there may be. */
  readonly maxAttempts: number;
  /** When it was enqueued, by the server's clock, in milliseconds since the Unix epoch. */
  readonly enqueuedAtMs: number;
}

/** The answer to an enqueue. */
export interface EnqueueResult {
  /** Unique within the queue. */
  readonly id: string;
  /** True if the dedup key was seen before: no job was made. */
  readonly duplicate: boolean;
}

/** Options of {@link JobQueue.enqueue} and {@link JobQueue.enqueueMany}. */
export interface EnqueueOptions {
  /** How long to wait for the acknowledgement, in milliseconds. @defaultValue 5_000 */
  readonly timeoutMs?: number;
  /** Stops waiting; the outcome is then unknown. */
  readonly signal?: AbortSignal;
}

/** Options of {@link JobQueue.claim}. */
export interface ClaimOptions {
  /** Who claims: a plain name, for operators. */
  readonly workerId: string;
  /**
   * How long each job is this worker's without a heartbeat, in milliseconds, 50 to 86_400_000.
   * @defaultValue 30_000
   */
  readonly leaseMs?: number;
  /** Most jobs, 1 to 1_000. Fewer are returned where fewer are ready. @defaultValue 1 */
  readonly max?: number;
  /** Only jobs of this priority or a lower one: an integer from 0 to 9. @defaultValue 9 */
  readonly maxPriority?: number;
  /** How long to wait for the first job if none is ready, in milliseconds. @defaultValue 0 */
  readonly waitMs?: number;
  /** Stops waiting. Jobs that were under way are given back, without using up an attempt. */
  readonly signal?: AbortSignal;
}

/** The time a claimed job is its worker's. */
export interface JobLease {
  /** Until when, by this process's wall clock, in milliseconds since the Unix epoch. */
  readonly expiresAtMs: number;
  /**
   * Aborts (with `LEASE_LOST` as reason) when the lease is over and the job was not settled. Reading
   * it the first time starts a timer; whoever does not need it does not pay for it.
   */
  readonly lost: AbortSignal;
}

/** Options of {@link ClaimedJob.nak}. */
export interface JobNakOptions {
  /** Not to be handed out again before this many milliseconds. @defaultValue 0 */
  readonly delayMs?: number;
  /** Why; kept as the reason if this was the last attempt. Up to 256 characters. */
  readonly reason?: string;
}

/** Options of {@link ClaimedJob.giveBack}. */
export interface JobGiveBackOptions {
  /** Not to be handed out again before this many milliseconds. @defaultValue 0 */
  readonly delayMs?: number;
}

/**
 * A job in the hands of a worker, for the time of its lease.
 *
 * Exactly one of `ack`, `nak`, `giveBack` and `deadLetter` settles it; the second call rejects with
 * `ALREADY_SETTLED`. Once the lease is over, every call rejects with `LEASE_LOST` and changes
 * nothing; the job is handed out again, or dead-lettered if this was the last attempt.
 */
export interface ClaimedJob extends QueuedJob {
  /** 1 for the first. What no worker saw, or what one gave back, does not count. */
  readonly attempt: number;
  /** Grows with every claim of this job. */
  readonly fence: number;
  /** The time it is this worker's. */
  readonly lease: JobLease;
  /**
   * Renews the lease from now, for the time it was claimed with or for another one. Confirmed by
   * the server.
   * @throws BusError `LEASE_LOST`, `ALREADY_SETTLED`, `TIMEOUT`, `DISCONNECTED`
   */
  heartbeat(options?: { readonly leaseMs?: number }): Promise<void>;
  /** Settles: done, never again. */
  ack(options?: AckOptions): Promise<void>;
  /** Settles: again, not before the delay; the last attempt goes to the dead letters. */
  nak(options?: JobNakOptions): Promise<void>;
  /**
   * Settles: again, not before the delay, as if it had not been claimed. It uses up no attempt, also
   * not the last one; only the fence grows.
   */
  giveBack(options?: JobGiveBackOptions): Promise<void>;
  /** Settles: to the dead letters, at once. The reason has up to 256 characters. */
  deadLetter(reason: string): Promise<void>;
}

/** What is in a queue. A job is in exactly one of the four. */
export interface QueueStats {
  /** Can be claimed now. */
  readonly ready: number;
  /** Waits for its time: enqueued, naked or given back with a delay. */
  readonly delayed: number;
  /** In the hands of a worker, or its lease is over and nobody claimed since. */
  readonly leased: number;
  /** In the dead letters. */
  readonly dead: number;
  /** True if nothing is handed out until {@link JobQueue.resume}. */
  readonly paused: boolean;
}

/**
 * Durable queues of jobs with competing workers. A queue is made on first use.
 *
 * *Delivery*: at least once, up to `maxAttempts`; a job is lost never, and handed to two workers at
 * a time never. *Order*: priority, then order of enqueueing, among what is ready; a job that comes
 * back is handed out before those of its priority that nobody had yet; several that came back, in no
 * stated order. *Concurrency*: all methods, from any number of processes.
 */
export interface JobQueue {
  /**
   * Adds a job.
   * @throws BusError `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`, `LIMIT_EXCEEDED`, `TIMEOUT`,
   *   `DISCONNECTED`, `CLOSED`
   */
  enqueue(queue: string, job: Job, options?: EnqueueOptions): Promise<EnqueueResult>;
  /**
   * Adds many, in order. All are checked before the first is sent; if one fails later, the error's
   * `details.results` has the answer for each (`undefined` where it failed).
   */
  enqueueMany(
    queue: string,
    jobs: readonly Job[],
    options?: EnqueueOptions,
  ): Promise<EnqueueResult[]>;
  /**
   * Takes up to `max` jobs; an empty array if none is ready.
   * @throws BusError `INVALID_ARGUMENT`, `DISCONNECTED`, `CLOSED`
   */
  claim(queue: string, options: ClaimOptions): Promise<ClaimedJob[]>;
  /**
   * A job that is in the queue and not dead, whatever its state; it is not claimed. `undefined` if it
   * was acked, is dead or was removed, and for every text that is no id.
   */
  get(queue: string, id: string): Promise<QueuedJob | undefined>;
  /**
   * Takes a job out of the queue for good, also a leased one: what its worker does later has no
   * effect. Its dedup key stays remembered. Resolves with false if {@link JobQueue.get} would not
   * find it; of several calls at a time one resolves with true.
   * @throws BusError `DISCONNECTED`, `TIMEOUT`: whether it was removed is not known if the answer is lost
   */
  remove(queue: string, id: string): Promise<boolean>;
  /** Counts. */
  stats(queue: string): Promise<QueueStats>;
  /**
   * Stops handing out. On this bus it holds for every claim that starts after it resolved; on
   * others as soon as they hear of it, one way over the network. Leased jobs go on.
   */
  pause(queue: string): Promise<void>;
  /** Hands out again. */
  resume(queue: string): Promise<void>;
  /**
   * Removes every job that is not dead, also leased ones: what their workers do later has no effect.
   * @returns how many.
   */
  purge(queue: string): Promise<number>;
  /**
   * Removes a queue with its jobs and dead letters, also leased ones: what their workers do later has
   * no effect, neither on a queue of this name that is made anew. Other buses hear of it one way over
   * the network. Resolves with false if it did not exist.
   */
  deleteQueue(queue: string): Promise<boolean>;
  /** The dead letters of queues. */
  readonly deadLetters: DeadLetters;
}
