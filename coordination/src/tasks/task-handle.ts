import { type Bus, BusError, type Clock, type QueuedJob, type Timer } from "@busbar/core";
import { checkDuration, Mailbox } from "@busbar/core/adapter";
import type { JsonValue } from "../tenants/tenant.ts";
import { type Lanes, laneQueue } from "./lanes.ts";
import { askPools } from "./pool-report.ts";
import {
  type FinalStatus,
  isFinal,
  type TaskFailure,
  type TaskRecord,
  type TaskResult,
  type TaskStatus,
} from "./task-record.ts";
import type { TaskRecords } from "./task-records.ts";
import type { TaskEvent, TaskSignals } from "./task-signals.ts";
import { factsOf } from "./task-wire.ts";

/** Where a task is stored. */
export interface TaskPlace {
  readonly tenant: string;
  /** The tenant's storage id. */
  readonly lane: string;
  /** Of the job. */
  readonly id: string;
}

/** What handles work with. */
export interface TaskHandleParts {
  readonly bus: Bus;
  readonly queue: string;
  readonly lanes: Lanes;
  readonly records: TaskRecords;
  readonly signals: TaskSignals;
  readonly clock: Clock;
}

/** Options of {@link TaskHandle.result}. */
export interface ResultOptions {
  /** How long to wait, in milliseconds. Default: until it has ended. */
  readonly timeoutMs?: number | undefined;
  /** Stops waiting; rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What is known of a task at one moment. */
export interface TaskSight {
  readonly record: TaskRecord | undefined;
  /** The job, while it is in the queue. */
  readonly job: QueuedJob | undefined;
  /** Why it is in the dead letters, if it is. */
  readonly dead: TaskFailure | undefined;
}

/** The end of a task is looked for that often, besides being told. */
const FIRST_LOOK_MS = 500;
const LAST_LOOK_MS = 5_000;
/** Events of a task that wait for a slow reader; the oldest are dropped. */
const MAX_HEARD = 1_024;
const MAX_TIMEOUT_MS = 2_147_483_647;

/**
 * A task that was submitted, by this process or another one. It holds nothing open.
 *
 * *Errors*: those of the bus besides the ones named; `NOT_FOUND` once nothing is known of the task any
 * more: it never was, was purged, or its record was kept for long enough.
 */
export class TaskHandle<Value = JsonValue> {
  /** See `Task.id`. */
  readonly id: string;
  readonly tenant: string;
  /** True if the dedup key was seen before: no task was made, and this is the first one. */
  readonly duplicate: boolean;
  readonly #parts: TaskHandleParts;
  readonly #place: TaskPlace;

  constructor(parts: TaskHandleParts, place: TaskPlace, duplicate = false) {
    this.#parts = parts;
    this.#place = place;
    this.id = `${place.tenant}.${place.id}`;
    this.tenant = place.tenant;
    this.duplicate = duplicate;
  }

  /** Where it is. Asks the pools whether they run it, which takes up to a second. */
  async status(): Promise<TaskStatus> {
    const { record, job, dead } = await this.#sight();
    if (isFinal(record)) return record.status;
    if (dead) return "dead";
    if (job === undefined) throw this.#notFound();
    const { bus, queue } = this.#parts;
    const { lane, id } = this.#place;
    const pools = await askPools(bus, queue, { lane, id });
    if (pools.some(({ attempt }) => attempt !== undefined)) return "running";
    return record === undefined ? "queued" : "retrying";
  }

  /** What is kept of it: its attempts, logs and result. `undefined` before its first attempt has ended. */
  async record(): Promise<TaskRecord | undefined> {
    return this.#parts.records.get(this.#place.lane, this.#place.id);
  }

  /**
   * Waits for its end. A failed task is a result too.
   * @throws BusError `TIMEOUT`; `UNSUPPORTED` if it was submitted with `keepResult: false`; RangeError for
   *   a wrong timeout
   */
  async result(options: ResultOptions = {}): Promise<TaskResult<Value>> {
    const { timeoutMs, signal } = options;
    if (timeoutMs !== undefined) checkDuration("timeoutMs", timeoutMs, 0, MAX_TIMEOUT_MS);
    signal?.throwIfAborted();
    const { signals, clock } = this.#parts;
    const { lane, id } = this.#place;
    const endMs = clock.monotonic() + (timeoutMs ?? Number.POSITIVE_INFINITY);
    const ended = new Ended();
    const stop = await signals.listen(lane, id, (event) => ended.heard(event));
    const onAbort = (): void => ended.wake();
    signal?.addEventListener("abort", onAbort);
    try {
      return await this.#waitFor(ended, endMs, options);
    } finally {
      signal?.removeEventListener("abort", onAbort);
      stop();
    }
  }

  async #waitFor(
    ended: Ended,
    endMs: number,
    { timeoutMs, signal }: ResultOptions,
  ): Promise<TaskResult<Value>> {
    const { clock } = this.#parts;
    for (let lookMs = FIRST_LOOK_MS; ; lookMs = Math.min(LAST_LOOK_MS, lookMs * 2)) {
      const result = await this.#resultNow();
      if (result) return result;
      const leftMs = endMs - clock.monotonic();
      if (leftMs <= 0) {
        throw new BusError("TIMEOUT", `task ${this.id} has not ended within ${timeoutMs} ms`, {
          details: { task: this.id },
        });
      }
      await ended.within(clock, Math.min(lookMs, leftMs));
      signal?.throwIfAborted();
    }
  }

  /** What happens to it from now on, live; ends when it has ended, or with the signal. */
  async *events(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<TaskEvent, void> {
    const { lane, id } = this.#place;
    const { signal } = options;
    signal?.throwIfAborted();
    const heard = new Mailbox<TaskEvent>({ maxItems: MAX_HEARD });
    const end = (): void => heard.end();
    const stop = await this.#parts.signals.listen(lane, id, (event) => {
      if (event) heard.push(event);
      if (event === undefined || event.type === "ended") end();
    });
    signal?.addEventListener("abort", end);
    try {
      const { record } = await this.#sight();
      if (isFinal(record)) {
        yield { type: "ended", status: record.status };
        return;
      }
      for (let next = await heard.next(); !next.done; next = await heard.next()) yield next.value;
    } finally {
      signal?.removeEventListener("abort", end);
      stop();
    }
  }

  /**
   * Ends it, wherever it is: it is not begun any more, and where it runs its signal aborts, at once or, if
   * the message is lost, with the next heartbeat of its lease. What its handler returns then is not taken.
   * @returns false if it had ended
   * @throws BusError `NOT_FOUND`; `DISCONNECTED`, `TIMEOUT`: whether it was cancelled is not known
   */
  async cancel(reason = "cancelled"): Promise<boolean> {
    const { bus, queue, lanes, records, signals, clock } = this.#parts;
    const { lane, id } = this.#place;
    const { record, job, dead } = await this.#sight();
    if (isFinal(record)) {
      // Whoever ended it was interrupted. What is dead is still to be buried, by its worker.
      if (job && record.status !== "dead") await bus.jobs.remove(laneQueue(queue, lane), id);
      return false;
    }
    if (dead) return false;
    if (job === undefined) throw this.#notFound();
    const facts = factsOf(job.headers);
    const cancelled: TaskRecord = {
      attempts: [],
      logs: [],
      ...record,
      status: "cancelled",
      type: facts?.type ?? "",
      error: { kind: "cancelled", message: reason.slice(0, 1_024) },
      updatedAtMs: clock.now(),
    };
    if (facts?.noResult) {
      // Its worker writes nothing: that it is removed decides.
      if (!(await bus.jobs.remove(laneQueue(queue, lane), id))) return false;
      await records.write(lane, id, () => cancelled);
    } else {
      // The record first: from then on nobody else can say how it ended.
      if ((await records.write(lane, id, () => cancelled)) !== cancelled) return false;
      await bus.jobs.remove(laneQueue(queue, lane), id);
    }
    await lanes.cancel(lane, id).catch(() => undefined);
    signals.tell(lane, id, { type: "ended", status: "cancelled" });
    return true;
  }

  async #resultNow(): Promise<TaskResult<Value> | undefined> {
    const { record, job, dead } = await this.#sight();
    if (isFinal(record)) return toResult(record);
    if (dead) return { ok: false, error: dead };
    if (job === undefined) throw this.#notFound();
    if (factsOf(job.headers)?.noResult) {
      throw new BusError("UNSUPPORTED", `task ${this.id} was submitted with keepResult: false`, {
        details: { task: this.id },
      });
    }
    return undefined;
  }

  /** Everything that is stored of it. */
  async #sight(): Promise<TaskSight> {
    return sightOf(this.#parts, this.#place);
  }

  #notFound(): BusError {
    return new BusError("NOT_FOUND", `nothing is known of task ${this.id}`, {
      details: { task: this.id },
    });
  }
}

/** Everything that is stored of a task. */
export async function sightOf(
  { bus, queue, records }: TaskHandleParts,
  { lane, id }: TaskPlace,
): Promise<TaskSight> {
  const jobs = laneQueue(queue, lane);
  // In this order: what leaves the queue has been written down before.
  const job = await bus.jobs.get(jobs, id);
  const record = await records.get(lane, id);
  if (job !== undefined || isFinal(record)) return { record, job, dead: undefined };
  const letter = await bus.jobs.deadLetters.get(jobs, id);
  const dead = letter && ({ kind: "exhausted", message: letter.reason } as const);
  return { record, job, dead };
}

function toResult<Value>(record: TaskRecord & { readonly status: FinalStatus }): TaskResult<Value> {
  if (record.status === "done") return { ok: true, value: (record.value ?? null) as Value };
  return { ok: false, error: record.error ?? { kind: "failed", message: "" } };
}

/** Waits for the live message that says that a task has ended. */
class Ended {
  #isOver = false;
  #wake: (() => void) | undefined;

  heard(event: TaskEvent | undefined): void {
    if (event !== undefined && event.type !== "ended") return;
    this.#isOver = event !== undefined;
    this.wake();
  }

  wake(): void {
    this.#wake?.();
  }

  /** Resolves when it has come, or after this time. */
  async within(clock: Clock, limitMs: number): Promise<void> {
    if (this.#isOver) {
      // Told, and not to be seen yet: another look, a little later.
      await clock.sleep(Math.min(limitMs, 20));
      return;
    }
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = clock.setTimer(resolve, limitMs);
    });
    timer?.cancel();
  }
}
