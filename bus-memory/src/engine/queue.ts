import type { QueueStats } from "@busbar/core";
import { Bag } from "./bag.ts";
import { DeadLetterStore } from "./dead-letter-store.ts";
import { DedupWindow } from "./dedup-window.ts";
import type { EngineContext } from "./message-hub.ts";
import { ReadyJobs } from "./ready-jobs.ts";
import { type JobContent, type JobHolder, type JobOwner, StoredJob } from "./stored-job.ts";

/** What a claim asks for. */
export interface ClaimTerms {
  readonly max: number;
  readonly leaseMs: number;
  readonly holder: JobHolder;
}

/** A claim that waits for its first job. */
export interface ClaimWaiter {
  readonly terms: ClaimTerms;
  /** Called at most once, with at least one job. */
  grant(jobs: StoredJob[]): void;
}

/** What a queue lives on. */
export interface QueueContext {
  readonly engine: EngineContext;
  readonly dedupWindowMs: number;
  /** Numbers jobs: grows over all queues of a namespace. */
  readonly nextRank: () => number;
}

/** The reason of a dead letter after the last attempt. */
export const MAX_ATTEMPTS = "max attempts";

/** One queue of jobs. */
export class Queue implements JobOwner {
  readonly name: string;
  readonly deadLetters: DeadLetterStore<StoredJob> = new DeadLetterStore();
  readonly #context: QueueContext;
  readonly #ready = new ReadyJobs();
  /** Leased and delayed jobs. */
  readonly #timed = new Bag<StoredJob>();
  readonly #waiters = new Set<ClaimWaiter>();
  #dedup: DedupWindow<string>;
  #leased = 0;
  #fence = 0;
  #isPaused = false;
  /** Whether it was used since it was made or deleted. */
  exists = false;

  constructor(name: string, context: QueueContext) {
    this.name = name;
    this.#context = context;
    this.#dedup = new DedupWindow(context.dedupWindowMs);
  }

  /** Counts. */
  get stats(): QueueStats {
    return {
      ready: this.#ready.size,
      delayed: this.#timed.size - this.#leased,
      leased: this.#leased,
      dead: this.deadLetters.size,
      paused: this.#isPaused,
    };
  }

  /** How many claims wait. */
  get waiterCount(): number {
    return this.#waiters.size;
  }

  /** Adds a job; {@link Queue.dispatch} hands it out. */
  enqueue(
    content: JobContent,
    delayMs: number,
  ): { readonly id: string; readonly duplicate: boolean } {
    const { deadlines } = this.#context.engine;
    const { dedupKey } = content;
    if (dedupKey !== undefined) {
      const first = this.#dedup.find(dedupKey, deadlines.nowMs);
      if (first !== undefined) return { id: first, duplicate: true };
    }
    const job = new StoredJob(this, this.#context.nextRank(), content);
    if (dedupKey !== undefined) this.#dedup.add(dedupKey, job.id, deadlines.nowMs);
    if (delayMs > 0) this.#delay(job, delayMs);
    else this.#ready.add(job);
    return { id: job.id, duplicate: false };
  }

  /** Gives what is ready to the claims that wait, first come first served. */
  dispatch(): void {
    while (this.#waiters.size > 0 && this.#ready.size > 0 && !this.#isPaused) {
      for (const waiter of this.#waiters) {
        this.#waiters.delete(waiter);
        waiter.grant(this.#lease(waiter.terms));
        break;
      }
    }
  }

  /** Takes what is ready. */
  claim(terms: ClaimTerms): StoredJob[] {
    return this.#isPaused ? [] : this.#lease(terms);
  }

  /** Waits for the first job. */
  wait(waiter: ClaimWaiter): void {
    this.#waiters.add(waiter);
  }

  /** Waits no longer. */
  unwait(waiter: ClaimWaiter): void {
    this.#waiters.delete(waiter);
  }

  /** Renews the lease of a leased job. */
  renew(job: StoredJob, leaseMs: number): void {
    const { deadlines } = this.#context.engine;
    deadlines.set(job, deadlines.nowMs + leaseMs);
  }

  /** Settles a leased job for good. */
  finish(job: StoredJob): void {
    this.#endLease(job);
    job.state = "gone";
  }

  /** Settles a leased job: again, unless this was its last attempt. */
  retry(job: StoredJob, delayMs: number, reason: string | undefined): void {
    this.#endLease(job);
    if (job.attempt >= job.content.maxAttempts) this.#bury(job, reason || MAX_ATTEMPTS);
    else if (delayMs > 0) this.#delay(job, delayMs);
    else this.#makeReady(job);
  }

  /** Settles a leased job: to the dead letters. */
  giveUp(job: StoredJob, reason: string): void {
    this.#endLease(job);
    this.#bury(job, reason);
  }

  /** Brings a dead letter back: at the end, with all attempts to go. */
  replay(job: StoredJob): void {
    job.attempt = 0;
    job.rank = this.#context.nextRank();
    this.exists = true;
    this.#makeReady(job);
  }

  /** Hands nothing out until {@link Queue.resume}. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Hands out again. */
  resume(): void {
    this.#isPaused = false;
    this.dispatch();
  }

  /** Removes every job that is not dead. @returns how many. */
  purge(): number {
    const { deadlines } = this.#context.engine;
    const timed = this.#timed.drain();
    this.#leased = 0;
    for (const job of timed) {
      deadlines.clear(job);
      job.state = "gone";
      this.#release(job);
    }
    return timed.length + this.#ready.clear();
  }

  /** Forgets everything but the claims that wait. */
  delete(): void {
    this.purge();
    this.deadLetters.clear();
    this.#dedup = new DedupWindow(this.#context.dedupWindowMs);
    this.#isPaused = false;
    this.exists = false;
  }

  timeOver(job: StoredJob): void {
    if (job.state === "leased") {
      this.retry(job, 0, undefined);
    } else {
      this.#timed.remove(job);
      this.#makeReady(job);
    }
  }

  #lease(terms: ClaimTerms): StoredJob[] {
    const { deadlines } = this.#context.engine;
    const { max, leaseMs, holder } = terms;
    const endMs = deadlines.nowMs + leaseMs;
    const jobs: StoredJob[] = [];
    while (jobs.length < max) {
      const job = this.#ready.take();
      if (job === undefined) break;
      job.state = "leased";
      job.attempt += 1;
      job.fence = ++this.#fence;
      job.holder = holder;
      this.#timed.add(job);
      this.#leased += 1;
      deadlines.set(job, endMs);
      jobs.push(job);
    }
    return jobs;
  }

  #endLease(job: StoredJob): void {
    this.#context.engine.deadlines.clear(job);
    this.#timed.remove(job);
    this.#leased -= 1;
    this.#release(job);
  }

  #release(job: StoredJob): void {
    const { holder } = job;
    job.holder = undefined;
    holder?.released();
  }

  #delay(job: StoredJob, delayMs: number): void {
    const { deadlines } = this.#context.engine;
    job.state = "delayed";
    this.#timed.add(job);
    deadlines.set(job, deadlines.nowMs + delayMs);
  }

  #makeReady(job: StoredJob): void {
    job.state = "ready";
    this.#ready.add(job);
    this.dispatch();
  }

  #bury(job: StoredJob, reason: string): void {
    job.state = "dead";
    const { content } = job;
    this.deadLetters.add({
      id: job.id,
      subject: this.name,
      reason,
      attempts: job.attempt,
      payload: content.payload,
      headers: content.headers,
      publishedAtMs: content.enqueuedAtMs,
      deadAtMs: this.#context.engine.clock.now(),
      origin: job,
    });
  }
}
