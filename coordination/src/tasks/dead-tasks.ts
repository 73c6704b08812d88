import type { Bus, DeadLetter } from "@busbar/core";
import { laneQueue } from "./lanes.ts";
import type { TaskInput } from "./task.ts";
import type { TaskHandle, TaskPlace } from "./task-handle.ts";
import { attemptsOf, factsOf, userHeadersOf } from "./task-wire.ts";

/** A task that failed for good. */
export interface DeadTask {
  /** See `Task.id`. */
  readonly id: string;
  readonly tenant: string;
  /** `undefined` if it is not a task: something else has enqueued it. */
  readonly type: string | undefined;
  readonly payload: Uint8Array;
  readonly headers: DeadLetter["headers"];
  /** Of the last failure. */
  readonly reason: string;
  readonly attempts: number;
  /** By the server's clock, in milliseconds since the Unix epoch. */
  readonly submittedAtMs: number;
  readonly deadAtMs: number;
}

/** A page of dead tasks, oldest first. */
export interface DeadTaskPage {
  readonly tasks: readonly DeadTask[];
  /** Where the next page begins; `undefined` if this was the last one. */
  readonly next: string | undefined;
}

/** What {@link DeadTasks} are made of. */
export interface DeadTasksParts {
  readonly bus: Bus;
  readonly queue: string;
  /** The lane of a tenant. @throws BusError `NOT_FOUND` */
  readonly lane: (tenant: string) => Promise<string>;
  /** Where a task is stored. @throws BusError `INVALID_ARGUMENT`, `NOT_FOUND` */
  readonly place: (id: string) => Promise<TaskPlace>;
  readonly submit: (input: TaskInput) => Promise<TaskHandle>;
}

/**
 * The tasks of a queue that failed for good, by tenant: stored until they are replayed or discarded, or
 * their tenant is deleted. *Errors*: `NOT_FOUND` for an unknown tenant, `INVALID_ARGUMENT` for an
 * id that is none, and those of `DeadLetters`.
 */
export class DeadTasks {
  readonly #parts: DeadTasksParts;

  constructor(parts: DeadTasksParts) {
    this.#parts = parts;
  }

  /** One page, oldest first. `limit`: 1 to 1_000, default 100. */
  async list(
    tenant: string,
    options: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<DeadTaskPage> {
    const { entries, next } = await this.#letters.list(await this.#jobs(tenant), options);
    return { tasks: entries.map((letter) => toDeadTask(tenant, letter)), next };
  }

  /** One of them, or `undefined`. */
  async get(id: string): Promise<DeadTask | undefined> {
    const { tenant, jobs, job } = await this.#find(id);
    const letter = await this.#letters.get(jobs, job);
    return letter && toDeadTask(tenant, letter);
  }

  /** How many a tenant has. */
  async count(tenant: string): Promise<number> {
    return this.#letters.count(await this.#jobs(tenant));
  }

  /**
   * Submits it again as a new task, as it was but without delay, deadline and dedup key, and removes it
   * here. Quotas count it. Idempotent over a crash, within the dedup window.
   * @returns the new task, or `undefined` if there is no such dead task
   */
  async replay(id: string): Promise<TaskHandle | undefined> {
    const { tenant, jobs, job } = await this.#find(id);
    const letter = await this.#letters.get(jobs, job);
    const facts = letter && factsOf(letter.headers);
    if (letter === undefined || facts === undefined) return undefined;
    const { type, timeoutMs, backoff, noResult, priority, maxAttempts } = facts;
    const handle = await this.#parts.submit({
      tenant,
      type,
      payload: letter.payload,
      headers: userHeadersOf(letter.headers),
      dedupKey: `replay.${job}.${letter.deadAtMs}`,
      keepResult: noResult !== true,
      timeoutMs,
      backoff,
      priority,
      maxAttempts,
    });
    await this.#letters.discard(jobs, job);
    return handle;
  }

  /** Removes it for good. @returns false if there is none */
  async discard(id: string): Promise<boolean> {
    const { jobs, job } = await this.#find(id);
    return this.#letters.discard(jobs, job);
  }

  /** Removes all of a tenant's. @returns how many */
  async purge(tenant: string): Promise<number> {
    return this.#letters.purge(await this.#jobs(tenant));
  }

  get #letters(): Bus["jobs"]["deadLetters"] {
    return this.#parts.bus.jobs.deadLetters;
  }

  async #find(id: string) {
    const { tenant, lane, id: job } = await this.#parts.place(id);
    return { tenant, jobs: laneQueue(this.#parts.queue, lane), job };
  }

  async #jobs(tenant: string): Promise<string> {
    return laneQueue(this.#parts.queue, await this.#parts.lane(tenant));
  }
}

function toDeadTask(tenant: string, letter: DeadLetter): DeadTask {
  const facts = factsOf(letter.headers);
  return {
    id: `${tenant}.${letter.id}`,
    tenant,
    type: facts?.type,
    payload: letter.payload,
    headers: userHeadersOf(letter.headers),
    reason: letter.reason,
    // The last time that it was handed out may not have been an attempt.
    attempts: facts ? Math.min(letter.attempts, attemptsOf(facts)) : letter.attempts,
    submittedAtMs: letter.publishedAtMs,
    deadAtMs: letter.deadAtMs,
  };
}
