import {
  type ClaimedJob,
  type Clock,
  errorCode,
  isBusError,
  type Random,
  type Timer,
} from "@busbar/core";
import { describeThrown } from "@busbar/core/adapter";
import type { JsonValue } from "../tenants/tenant.ts";
import { backoffMs, type ResolvedBackoff } from "./backoff.ts";
import { toJson } from "./json-result.ts";
import { DiscardTask, RetryTask } from "./task-errors.ts";
import type { TaskPlace } from "./task-handle.ts";
import type { Task } from "./task.ts";
import {
  isFinal,
  MAX_ATTEMPTS_KEPT,
  MAX_LINE,
  MAX_LOG_LINES,
  type TaskFailure,
  type TaskRecord,
} from "./task-record.ts";
import type { TaskRecords } from "./task-records.ts";
import type { TaskSignals } from "./task-signals.ts";
import type { TaskFacts } from "./task-wire.ts";

/**
 * Runs a task; what it returns is the result, as JSON. What it throws is a failed attempt;
 * `RetryTask` and `DiscardTask` say more.
 */
export type TaskHandler = (task: Task, context: TaskContext) => unknown;

/** What a handler may want besides the task. */
export interface TaskContext {
  /**
   * Aborts when the attempt is over for the queue: timeout, cancel, lost lease, the pool is stopped. A
   * handler that goes on works without protection; its result is not taken.
   */
  readonly signal: AbortSignal;
  /** The clock of the pool. */
  readonly clock: Clock;
  /** Reports how far it is: told live, and the last one is kept with the attempt. */
  readonly progress: (value: JsonValue) => void;
  /** Writes a line of up to 1_000 characters: told live, and the last hundred are kept with the attempt. */
  readonly log: (line: string) => void;
}

/** How an attempt ended. */
export type TaskOutcome =
  | { readonly type: "done"; readonly value: JsonValue }
  | { readonly type: "retry"; readonly delayMs: number; readonly error: unknown }
  | { readonly type: "dead"; readonly error: unknown }
  /** Somebody has cancelled it, or another attempt had ended it. */
  | { readonly type: "cancelled" }
  /** The pool was stopped: given back, without using up an attempt. */
  | { readonly type: "returned" }
  /** The queue has given it to somebody else, or will: nothing was settled. */
  | { readonly type: "lost"; readonly error: unknown };

/** Why an attempt is ended before its handler ends. */
export type TaskEnding = "timeout" | "cancelled" | "stopped" | "lost";

/** What a {@link RunningTask} needs. */
export interface RunningTaskParts {
  readonly job: ClaimedJob;
  readonly task: Task;
  readonly facts: TaskFacts;
  readonly place: TaskPlace;
  readonly handler: TaskHandler | undefined;
  readonly records: TaskRecords;
  readonly signals: TaskSignals;
  readonly workerId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly leaseMs: number;
  readonly timeoutMs: number;
  readonly backoff: ResolvedBackoff;
}

const MAX_REASON = 256;
const MAX_MESSAGE = 1_024;
/** How often a record is written that could not be, and the first pause; each is twice the last. */
const WRITES = 5;
const FIRST_PAUSE_MS = 100;

/** How long an attempt may take until it is watched, in milliseconds. */
export function unwatchedMs(leaseMs: number): number {
  return Math.min(20, leaseMs / 8);
}

type Handled =
  | { readonly ok: true; readonly value: JsonValue }
  | { readonly ok: false; readonly error: unknown; readonly failure: TaskFailure };

/**
 * One attempt: *running* -> the handler ends, or the signal aborts -> *settling* -> *over*. The lease is
 * renewed while the handler runs. A result is written down before the job is settled: a worker that dies
 * between the two leaves a task that has ended, and whoever is handed it sees that.
 */
export class RunningTask {
  readonly task: Task;
  readonly #parts: RunningTaskParts;
  /** Made when the handler asks for its signal: few do, and it costs more than the rest of an attempt. */
  #controller: AbortController | undefined;
  readonly #logs: string[] = [];
  #progress: JsonValue | undefined;
  #ending: { readonly type: TaskEnding; readonly reason: unknown } | undefined;
  /** Leaves the handler behind. */
  #interrupt: ((reason: unknown) => void) | undefined;
  #startedAtMs = 0;
  /** By the monotonic clock. */
  #begunAt = 0;
  /** Set once it is watched. */
  #lost: AbortSignal | undefined;
  #beatTimer: Timer | undefined;
  #limitTimer: Timer | undefined;
  #isOver = false;

  constructor(parts: RunningTaskParts) {
    this.#parts = parts;
    this.task = parts.task;
  }

  /** Where its task is stored. */
  get place(): TaskPlace {
    return this.#parts.place;
  }

  /** Ends the attempt: the handler's signal aborts. The first reason counts. */
  abort(ending: TaskEnding, reason: unknown): void {
    if (this.#ending !== undefined) return;
    this.#ending = { type: ending, reason };
    this.#controller?.abort(reason);
    this.#interrupt?.(reason);
  }

  /**
   * Begins to renew the lease, and to watch it and the time limit. Its owner calls it when the attempt takes
   * longer than `unwatchedMs(leaseMs)`: most are over by then, and the timers would cost more than they do.
   */
  watch(): void {
    if (this.#lost !== undefined || this.#isOver) return;
    const { job, clock, facts, timeoutMs } = this.#parts;
    this.#lost = job.lease.lost;
    if (this.#lost.aborted) this.#onLost();
    else this.#lost.addEventListener("abort", this.#onLost);
    const limitMs = facts.timeoutMs ?? timeoutMs;
    const leftMs = limitMs - (clock.monotonic() - this.#begunAt);
    const tooLong = (): void =>
      this.abort("timeout", new Error(`the attempt took longer than ${limitMs} ms`));
    this.#limitTimer = clock.setTimer(tooLong, Math.max(0, leftMs));
    this.#beatLater();
  }

  /** Runs the handler and settles. Never rejects. */
  async run(): Promise<TaskOutcome> {
    const { job, clock, facts, timeoutMs, leaseMs } = this.#parts;
    this.#startedAtMs = clock.now();
    this.#begunAt = clock.monotonic();
    if ((facts.timeoutMs ?? timeoutMs) <= unwatchedMs(leaseMs)) this.watch();
    try {
      if (this.#isLost) return this.#outcomeOfLost();
      if (this.task.attempt > 1 && (await this.#hasEnded())) return await this.#drop();
      const handled = await this.#handle();
      if (this.#isLost) return this.#outcomeOfLost();
      if (this.#ending?.type === "cancelled") return await this.#drop();
      return await this.#settle(handled);
    } catch (error) {
      // It could not be settled, or not surely: if it was not, it comes again, by this or by its lease.
      await job
        .nak({ delayMs: FIRST_PAUSE_MS, reason: "it could not be settled" })
        .catch(() => undefined);
      return { type: "lost", error };
    } finally {
      this.#lost?.removeEventListener("abort", this.#onLost);
      this.#isOver = true;
      this.#beatTimer?.cancel();
      this.#limitTimer?.cancel();
    }
  }

  /** Whether somebody else may have the job. */
  get #isLost(): boolean {
    const { lease } = this.#parts.job;
    return this.#lost?.aborted ?? lease.expiresAtMs <= this.#parts.clock.now();
  }

  #outcomeOfLost(): TaskOutcome {
    return { type: "lost", error: this.#parts.job.lease.lost.reason };
  }

  readonly #onLost = (): void => this.abort("lost", this.#lost?.reason);

  async #handle(): Promise<Handled> {
    const { handler, task, clock } = this.#parts;
    try {
      if (this.#ending !== undefined) throw this.#ending.reason;
      if (task.attempt > task.maxAttempts) {
        throw new DiscardTask("its workers died, or were cut off, at every attempt", "exhausted");
      }
      if (handler === undefined) {
        throw new DiscardTask(`there is no handler for tasks of type ${task.type}`, "unhandled");
      }
      if (task.deadlineMs !== undefined && clock.now() > task.deadlineMs) {
        throw new DiscardTask("its deadline was over before it could begin", "deadline");
      }
      const work = handler(task, this.#context());
      const value = isThenable(work) ? await this.#unlessInterrupted(work) : work;
      return { ok: true, value: toJson(value) };
    } catch (error) {
      return { ok: false, error, failure: this.#failureOf(error) };
    }
  }

  /** What a handler gives; one that does not listen to its signal is left behind. */
  #unlessInterrupted(work: PromiseLike<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#interrupt = reject;
      if (this.#ending !== undefined) reject(this.#ending.reason);
      work.then(resolve, reject);
    });
  }

  #signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#ending !== undefined) this.#controller.abort(this.#ending.reason);
    }
    return this.#controller.signal;
  }

  #context(): TaskContext {
    const signal = (): AbortSignal => this.#signal();
    const { task, clock, signals, place } = this.#parts;
    const { attempt } = task;
    return {
      get signal() {
        return signal();
      },
      clock,
      progress: (value) => {
        this.#progress = value;
        signals.tell(place.lane, place.id, { type: "progress", attempt, value });
      },
      log: (text) => {
        const line = text.slice(0, MAX_LINE);
        if (this.#logs.push(line) > MAX_LOG_LINES) this.#logs.shift();
        signals.tell(place.lane, place.id, { type: "log", attempt, line });
      },
    };
  }

  async #settle(handled: Handled): Promise<TaskOutcome> {
    const { job, task, facts, random } = this.#parts;
    if (handled.ok) {
      try {
        if (!(await this.#end({ status: "done", value: handled.value }))) return await this.#drop();
      } catch (error) {
        if (errorCode(error) !== "PAYLOAD_TOO_LARGE") throw error;
        const tooLarge = new DiscardTask("its result is larger than a payload may be", "invalid");
        return await this.#settle({
          ok: false,
          error: tooLarge,
          failure: this.#failureOf(tooLarge),
        });
      }
      await job.ack();
      return { type: "done", value: handled.value };
    }
    const { error, failure } = handled;
    if (this.#ending?.type === "stopped") {
      await job.giveBack();
      return { type: "returned" };
    }
    const reason = reasonOf(failure);
    if (error instanceof DiscardTask || task.attempt >= task.maxAttempts) {
      if (!(await this.#end({ status: "dead", error: failure }))) return this.#drop();
      await job.deadLetter(reason);
      return { type: "dead", error };
    }
    const backoff = facts.backoff ?? this.#parts.backoff;
    const delayMs =
      error instanceof RetryTask ? error.delayMs : backoffMs(backoff, task.attempt, random);
    const { signals, place } = this.#parts;
    if (!(await this.#write({ status: "retrying", error: failure }))) return this.#drop();
    await job.nak({ delayMs, reason });
    signals.tell(place.lane, place.id, { type: "retrying", attempt: task.attempt, delayMs });
    return { type: "retry", delayMs, error };
  }

  /** It had ended before: whatever this attempt did does not count. */
  async #drop(): Promise<TaskOutcome> {
    const { job, records, place, facts } = this.#parts;
    const record = facts.noResult ? undefined : await records.get(place.lane, place.id);
    // Whoever wrote that it is dead may have died before it was in the dead letters.
    if (record?.status === "dead") await job.deadLetter(reasonOf(record.error));
    else await job.ack();
    return { type: "cancelled" };
  }

  /** Writes down how it ended, and tells. @returns false if it had ended in another way */
  async #end(
    how: Pick<TaskRecord, "value" | "error"> & { readonly status: "done" | "dead" },
  ): Promise<boolean> {
    const { signals, place } = this.#parts;
    if (!(await this.#write(how))) return false;
    signals.tell(place.lane, place.id, { type: "ended", status: how.status });
    return true;
  }

  async #write(how: Pick<TaskRecord, "status" | "value" | "error">): Promise<boolean> {
    const { records, facts, place, task, workerId, clock, job } = this.#parts;
    if (facts.noResult) return true;
    const endedAtMs = clock.now();
    const { attempt } = task;
    const own = { attempt, workerId, startedAtMs: this.#startedAtMs, endedAtMs, error: how.error };
    const make = (previous?: TaskRecord): TaskRecord => ({
      ...how,
      type: task.type,
      attempts: [...(previous?.attempts ?? []), own].slice(-MAX_ATTEMPTS_KEPT),
      logs: this.#logs,
      progress: this.#progress,
      updatedAtMs: endedAtMs,
    });
    for (let write = 1; ; write++) {
      try {
        const mine = make();
        const stands =
          attempt === 1
            ? await records.writeFirst(place.lane, place.id, mine)
            : await records.write(place.lane, place.id, make);
        // A write whose answer was lost is met again: the same moment is the same attempt.
        return !isFinal(stands) || isSame(stands, mine);
      } catch (error) {
        const mayPass = isBusError(error) && error.retryable;
        if (!mayPass || write === WRITES || job.lease.lost.aborted) throw error;
        await clock.sleep(FIRST_PAUSE_MS * 2 ** (write - 1));
      }
    }
  }

  async #hasEnded(): Promise<boolean> {
    const { records, place, facts } = this.#parts;
    return !facts.noResult && isFinal(await records.get(place.lane, place.id));
  }

  #failureOf(error: unknown): TaskFailure {
    const message = describeThrown(error).message.slice(0, MAX_MESSAGE);
    if (error instanceof DiscardTask) return { kind: error.kind, message };
    return { kind: this.#ending?.type === "timeout" ? "timeout" : "failed", message };
  }

  #beatLater(): void {
    if (this.#isOver) return;
    const { clock, leaseMs } = this.#parts;
    this.#beatTimer = clock.setTimer(() => void this.#beat(), leaseMs / 3);
  }

  async #beat(): Promise<void> {
    try {
      await this.#parts.job.heartbeat();
      if (await this.#hasEnded()) this.abort("cancelled", new Error("the task was cancelled"));
      this.#beatLater();
    } catch (error) {
      // Lost or settled: `lost` tells. Anything else is tried again while there is time.
      const code = errorCode(error);
      if (code !== "LEASE_LOST" && code !== "ALREADY_SETTLED" && code !== "CLOSED")
        this.#beatLater();
    }
  }
}

/** As a dead letter has it. */
function reasonOf(failure: TaskFailure | undefined): string {
  return failure?.message.slice(0, MAX_REASON).trim() || "the handler failed";
}

function isSame(one: TaskRecord, other: TaskRecord): boolean {
  const [last, mine] = [one.attempts.at(-1), other.attempts.at(-1)];
  return (
    one.status === other.status &&
    last?.workerId === mine?.workerId &&
    last?.attempt === mine?.attempt &&
    last?.startedAtMs === mine?.startedAtMs
  );
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined | null)?.then === "function";
}
