import { type ClaimedJob, type Clock, errorCode, type Random, type Timer } from "@busbar/core";
import { describeThrown } from "@busbar/core/adapter";
import { backoffMs, type ResolvedBackoff } from "./backoff.ts";
import type { Task } from "./task.ts";
import type { TaskFacts } from "./task-wire.ts";

/** Runs a task. What it throws is a failed attempt; {@link RetryTask} and {@link DiscardTask} say more. */
export type TaskHandler = (task: Task, context: TaskContext) => unknown;

/** What a handler may want besides the task. */
export interface TaskContext {
  /**
   * Aborts when the attempt is over for the queue: timeout, lost lease, the pool is stopped. A handler
   * that goes on works without protection; its result is not taken.
   */
  readonly signal: AbortSignal;
  /** The clock of the pool. */
  readonly clock: Clock;
}

/** Thrown by a handler: again, after this time. It counts as an attempt. */
export class RetryTask extends Error {
  override readonly name = "RetryTask";
  readonly delayMs: number;

  constructor(delayMs: number, reason = "the handler asked for another attempt") {
    super(reason);
    this.delayMs = delayMs;
  }
}

/** Thrown by a handler: never again. The task goes to the dead letters, with the reason. */
export class DiscardTask extends Error {
  override readonly name = "DiscardTask";
}

/** How an attempt ended. */
export type TaskOutcome =
  | { readonly type: "done" }
  | { readonly type: "retry"; readonly delayMs: number; readonly error: unknown }
  | { readonly type: "dead"; readonly error: unknown }
  /** The queue has given it to somebody else, or will: nothing was settled. */
  | { readonly type: "lost"; readonly error: unknown };

/** What a {@link RunningTask} needs. */
export interface RunningTaskParts {
  readonly job: ClaimedJob;
  readonly task: Task;
  readonly facts: TaskFacts;
  readonly handler: TaskHandler | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly leaseMs: number;
  readonly timeoutMs: number;
  readonly backoff: ResolvedBackoff;
}

const MAX_REASON = 256;

/**
 * One attempt: *running* -> the handler ends, or the signal aborts -> *settling* -> *over*. The lease is
 * renewed while the handler runs.
 */
export class RunningTask {
  readonly task: Task;
  readonly #parts: RunningTaskParts;
  readonly #ending = new AbortController();
  #beatTimer: Timer | undefined;
  #limitTimer: Timer | undefined;
  #isOver = false;

  constructor(parts: RunningTaskParts) {
    this.#parts = parts;
    this.task = parts.task;
  }

  /** Ends the attempt: the handler's signal aborts. */
  abort(reason: unknown): void {
    this.#ending.abort(reason);
  }

  /** Runs the handler and settles. Never rejects. */
  async run(): Promise<TaskOutcome> {
    const { job } = this.#parts;
    const { lost } = job.lease;
    const onLost = (): void => this.abort(lost.reason);
    if (lost.aborted) return { type: "lost", error: lost.reason };
    lost.addEventListener("abort", onLost);
    this.#beatLater();
    try {
      const failure = await this.#failure();
      if (lost.aborted) return { type: "lost", error: lost.reason };
      return await this.#settle(failure);
    } catch (error) {
      // It could not be settled, or not surely: if it was not, the lease ends and it comes again.
      return { type: "lost", error };
    } finally {
      lost.removeEventListener("abort", onLost);
      this.#isOver = true;
      this.#beatTimer?.cancel();
      this.#limitTimer?.cancel();
    }
  }

  /** What the handler failed with; `undefined` if it did not. */
  async #failure(): Promise<{ readonly error: unknown } | undefined> {
    const { handler, task, facts, clock, timeoutMs } = this.#parts;
    const { signal } = this.#ending;
    if (handler === undefined) {
      return { error: new DiscardTask(`there is no handler for tasks of type ${task.type}`) };
    }
    if (task.deadlineMs !== undefined && clock.now() > task.deadlineMs) {
      return { error: new DiscardTask("its deadline was over before it could begin") };
    }
    const limitMs = facts.timeoutMs ?? timeoutMs;
    const tooLong = (): void => this.abort(new Error(`the attempt took longer than ${limitMs} ms`));
    this.#limitTimer = clock.setTimer(tooLong, limitMs);
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    try {
      const work = (async () => handler(task, { signal, clock }))();
      // A handler that does not listen to its signal is left behind.
      await Promise.race([work, aborted]);
      return undefined;
    } catch (error) {
      return { error };
    }
  }

  async #settle(failure: { readonly error: unknown } | undefined): Promise<TaskOutcome> {
    const { job, task, facts, random } = this.#parts;
    if (failure === undefined) {
      await job.ack();
      return { type: "done" };
    }
    const { error } = failure;
    const reason = reasonOf(error);
    if (error instanceof DiscardTask || task.attempt >= task.maxAttempts) {
      await job.deadLetter(reason);
      return { type: "dead", error };
    }
    const backoff = facts.backoff ?? this.#parts.backoff;
    const delayMs =
      error instanceof RetryTask ? error.delayMs : backoffMs(backoff, task.attempt, random);
    await job.nak({ delayMs, reason });
    return { type: "retry", delayMs, error };
  }

  #beatLater(): void {
    if (this.#isOver) return;
    const { clock, leaseMs } = this.#parts;
    this.#beatTimer = clock.setTimer(() => void this.#beat(), leaseMs / 3);
  }

  async #beat(): Promise<void> {
    try {
      await this.#parts.job.heartbeat();
      this.#beatLater();
    } catch (error) {
      // Lost or settled: `lost` tells. Anything else is tried again while there is time.
      const code = errorCode(error);
      if (code !== "LEASE_LOST" && code !== "ALREADY_SETTLED" && code !== "CLOSED")
        this.#beatLater();
    }
  }
}

function reasonOf(error: unknown): string {
  return describeThrown(error).message.slice(0, MAX_REASON).trim() || "the handler failed";
}
