import type { Headers, Payload } from "@busbar/core";

/** Of the tasks of a tenant those with the higher priority are first, whatever their age. */
export type TaskPriority = "low" | "normal" | "high";

/** Waits between attempts: `firstMs`, then `factor` times the one before, up to `maxMs`. */
export interface Backoff {
  /** 0 to 86_400_000. @defaultValue 1_000 */
  readonly firstMs?: number | undefined;
  /** 1 to 10. @defaultValue 2 */
  readonly factor?: number | undefined;
  /** 0 to 86_400_000. @defaultValue 300_000 */
  readonly maxMs?: number | undefined;
  /** Which part of a wait is random: 0 for none, 1 for all of it. @defaultValue 0.5 */
  readonly jitter?: number | undefined;
}

/** A task to submit. */
export interface TaskInput {
  /** Whose task it is. */
  readonly tenant: string;
  /** Which handler runs it: a plain name of up to 128 characters. */
  readonly type: string;
  /** @defaultValue nothing */
  readonly payload?: Payload | undefined;
  /** Up to about 7 KiB of them. */
  readonly headers?: Headers | undefined;
  /** @defaultValue "normal" */
  readonly priority?: TaskPriority | undefined;
  /** A second task of the tenant with the same key is not made; see `Job.dedupKey`. */
  readonly dedupKey?: string | undefined;
  /** Not to be run before this many milliseconds from now. Not with `runAtMs`. */
  readonly delayMs?: number | undefined;
  /** Not to be run before this time, in milliseconds since the Unix epoch. */
  readonly runAtMs?: number | undefined;
  /** Not to be begun after this time, in milliseconds since the Unix epoch. Default: never too late. */
  readonly deadlineMs?: number | undefined;
  /** How often it is begun at most, 1 to 1_000. @defaultValue 5 */
  readonly maxAttempts?: number | undefined;
  /** How long one attempt may take, in milliseconds, 1 to 86_400_000. Default: that of the worker pool. */
  readonly timeoutMs?: number | undefined;
  readonly backoff?: Backoff | undefined;
  /**
   * Whether its result, attempts and logs are kept, for `TaskQueueParts.keepMs`. Without them it costs one
   * write less, and how it ended is not known unless it is dead. @defaultValue true
   */
  readonly keepResult?: boolean | undefined;
}

/** A task in the hands of a worker. */
export interface Task {
  /** Unique: the tenant's id, a dot, and the id of the job. */
  readonly id: string;
  readonly tenant: string;
  readonly queue: string;
  readonly type: string;
  readonly priority: TaskPriority;
  /** The worker owns the bytes. */
  readonly payload: Uint8Array;
  readonly headers: Headers;
  readonly dedupKey: string | undefined;
  /** 1 for the first. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Grows with every attempt of this task; see `ClaimedJob.fence`. */
  readonly fence: number;
  readonly deadlineMs: number | undefined;
  /** By the server's clock, in milliseconds since the Unix epoch. */
  readonly submittedAtMs: number;
}
