import type { Bus, DeadLetter } from "@busbar/core";
import { laneQueue } from "./lanes.ts";
import type { TaskInput } from "./task.ts";
import type { TaskHandle } from "./task-handle.ts";
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
  readonly submit: (input: TaskInput) => Promise<TaskHandle>;
}

/**
 * The tasks of a queue that failed for good, by tenant: stored until they are replayed or discarded, or
 * their tenant is deleted. *Errors*: `NOT_FOUND` for an unknown tenant, and those of `DeadLetters`.
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
    const { tenant, job } = partsOf(id);
    const letter = await this.#letters.get(await this.#jobs(tenant), job);
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
    const { tenant, job } = partsOf(id);
    const jobs = await this.#jobs(tenant);
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
    const { tenant, job } = partsOf(id);
    return this.#letters.discard(await this.#jobs(tenant), job);
  }

  /** Removes all of a tenant's. @returns how many */
  async purge(tenant: string): Promise<number> {
    return this.#letters.purge(await this.#jobs(tenant));
  }

  get #letters(): Bus["jobs"]["deadLetters"] {
    return this.#parts.bus.jobs.deadLetters;
  }

  async #jobs(tenant: string): Promise<string> {
    return laneQueue(this.#parts.queue, await this.#parts.lane(tenant));
  }
}

function partsOf(id: string): { readonly tenant: string; readonly job: string } {
  const dot = id.indexOf(".");
  return { tenant: id.slice(0, Math.max(0, dot)), job: id.slice(dot + 1) };
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
