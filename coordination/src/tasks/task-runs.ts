import type { ClaimedJob } from "@busbar/core";
import type { Lane } from "./lane.ts";
import { COUNTER, NO_COUNTS, type PoolCounters, type Writable } from "./pool-counters.ts";
import {
  RunningTask,
  type RunningTaskParts,
  type TaskEnding,
  type TaskHandler,
  type TaskOutcome,
  unwatchedMs,
} from "./running-task.ts";
import { toTask } from "./task-wire.ts";
import { TypeSlots } from "./type-slots.ts";
import type { PoolEvent } from "./worker-pool-options.ts";

/** What {@link TaskRuns} are made of. */
export interface TaskRunsParts {
  readonly queue: string;
  readonly handlers: Readonly<Record<string, TaskHandler>>;
  readonly typeConcurrency: Readonly<Record<string, number>> | undefined;
  /** What all attempts share. */
  readonly common: Omit<RunningTaskParts, "job" | "task" | "facts" | "place" | "handler">;
  readonly emit: (event: PoolEvent) => void;
  /** A task of a lane is to be looked at again after this time. */
  readonly later: (lane: Lane, delayMs: number) => void;
  /** An attempt is over: its slot is free. */
  readonly ended: (lane: Lane) => void;
}

/** When a task comes again that was given back because of its type. */
const DEFERRED_MS = 200;

/** The tasks that run in a pool. */
export class TaskRuns {
  readonly counters: Writable<PoolCounters> = { ...NO_COUNTS };
  readonly #parts: TaskRunsParts;
  readonly #types: TypeSlots;
  readonly #running = new Set<RunningTask>();
  #ended = 0;
  #isWatching = false;

  /** @throws TypeError or RangeError for a wrong limit of a type */
  constructor(parts: TaskRunsParts) {
    this.#parts = parts;
    this.#types = new TypeSlots(parts.typeConcurrency);
  }

  /** How many run. */
  get size(): number {
    return this.#running.size;
  }

  /** How many have ended, in whatever way. */
  get ended(): number {
    return this.#ended;
  }

  /** Begins a task, or puts it where it belongs. */
  begin(lane: Lane, job: ClaimedJob): void {
    const { queue, handlers, common, emit, later } = this.#parts;
    const parsed = toTask(job, queue);
    if (parsed === undefined) {
      job.deadLetter("this is not a task").catch(() => undefined);
      return;
    }
    const { task, facts } = parsed;
    if (!this.#types.take(task.type)) {
      this.counters.deferred += 1;
      job.giveBack({ delayMs: DEFERRED_MS }).catch(() => undefined);
      later(lane, DEFERRED_MS);
      return;
    }
    const place = { tenant: lane.tenant, lane: lane.name, id: job.id };
    const handler = handlers[task.type];
    const running = new RunningTask({ ...common, job, task, facts, place, handler });
    this.#running.add(running);
    this.#watchSoon();
    lane.running += 1;
    this.counters.started += 1;
    emit({ type: "started", task });
    void running.run().then((outcome) => this.#end(lane, running, outcome));
  }

  /** Which attempt at a task runs here; `undefined` if none does. */
  attemptAt(lane: string | undefined, id: string | undefined): number | undefined {
    return this.#find(lane, id)?.task.attempt;
  }

  /** Ends a task that was cancelled, if it runs here. */
  cancel(lane: string, id: string): void {
    this.#find(lane, id)?.abort("cancelled", new Error("the task was cancelled"));
  }

  /** Ends them all. @returns how many */
  abort(ending: TaskEnding, reason: string): number {
    for (const running of this.#running) running.abort(ending, new Error(reason));
    return this.#running.size;
  }

  /** One timer for all that begin before it fires. */
  #watchSoon(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    const { clock, leaseMs } = this.#parts.common;
    clock.setTimer(
      () => {
        this.#isWatching = false;
        for (const running of this.#running) running.watch();
      },
      unwatchedMs(leaseMs),
      { keepAlive: false },
    );
  }

  #find(lane: string | undefined, id: string | undefined): RunningTask | undefined {
    for (const running of this.#running) {
      if (running.place.id === id && running.place.lane === lane) return running;
    }
    return undefined;
  }

  #end(lane: Lane, running: RunningTask, outcome: TaskOutcome): void {
    const { emit, later, ended } = this.#parts;
    const { task } = running;
    this.#running.delete(running);
    this.#types.free(task.type);
    lane.running -= 1;
    this.#ended += 1;
    this.counters[COUNTER[outcome.type]] += 1;
    if (outcome.type === "retry") later(lane, outcome.delayMs);
    emit({ type: "ended", task, outcome });
    ended(lane);
  }
}
