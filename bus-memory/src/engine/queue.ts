import type { QueueStats } from "@busbar/core";
import { Bag } from "./bag.ts";
import { DeadLetterStore } from "./dead-letter-store.ts";
import { DedupWindow } from "./dedup-window.ts";
import type { EngineContext } from "./engine-context.ts";
import { ReadyJobs } from "./ready-jobs.ts";
import { type JobContent, StoredJob } from "./stored-job.ts";
import { type JobHolder, JobTerm, type JobTermOwner } from "./job-term.ts";

/** What a claim asks for. */
export interface ClaimRequest {
  readonly max: number;
  readonly leaseMs: number;
  readonly holder: JobHolder;
}

/** A claim that waits for its first job. */
export interface ClaimWaiter {
  readonly request: ClaimRequest;
  /** Called at most once, with at least one job. */
  grant(claims: JobTerm[]): void;
}

/** What a queue lives on. */
export interface QueueContext {
  readonly engine: EngineContext;
  readonly dedupWindowMs: number;
  /** Numbers jobs: grows over all queues of a namespace. */
  readonly nextNumber: () => number;
}

/** The reason of a dead letter after the last attempt. */
export const MAX_ATTEMPTS = "max attempts";

/** One queue of jobs. */
export class Queue implements JobTermOwner {
  readonly name: string;
  readonly deadLetters: DeadLetterStore<StoredJob> = new DeadLetterStore();
  readonly #context: QueueContext;
  readonly #ready = new ReadyJobs();
  /** Leases and delays. */
  readonly #terms = new Bag<JobTerm>();
  readonly #waiters = new Set<ClaimWaiter>();
  #dedup: DedupWindow<string>;
  #leased = 0;
  /** How many of the ready ones were left by their worker: they count as leased until claimed. */
  #left = 0;
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
      ready: this.#ready.size - this.#left,
      delayed: this.#terms.size - this.#leased,
      leased: this.#leased + this.#left,
      dead: this.deadLetters.size,
      paused: this.#isPaused,
    };
  }

  /** How many jobs are in the hands of workers. */
  get leaseCount(): number {
    return this.#leased;
  }

  /** How many claims wait. */
  get waiterCount(): number {
    return this.#waiters.size;
  }

  /** Adds a job with a copy of the payload; {@link Queue.dispatch} hands it out. */
  enqueue(
    payload: Uint8Array,
    content: JobContent,
    delayMs: number,
  ): { readonly id: string; readonly duplicate: boolean } {
    const { arena, deadlines } = this.#context.engine;
    const { dedupKey } = content;
    if (dedupKey !== undefined) {
      const first = this.#dedup.find(dedupKey, deadlines.nowMs);
      if (first !== undefined) return { id: first, duplicate: true };
    }
    const number = this.#context.nextNumber();
    const id = String(number);
    if (dedupKey !== undefined) this.#dedup.add(dedupKey, id, deadlines.nowMs);
    arena.write(payload);
    if (delayMs > 0) this.#delay(new StoredJob(number, content, arena), delayMs);
    else this.#ready.push(number, content, arena);
    return { id, duplicate: false };
  }

  /** Gives what is ready to the claims that wait, first come first served. */
  dispatch(): void {
    while (this.#waiters.size > 0 && this.#ready.size > 0 && !this.#isPaused) {
      for (const waiter of this.#waiters) {
        this.#waiters.delete(waiter);
        waiter.grant(this.#lease(waiter.request));
        break;
      }
    }
  }

  /** Takes what is ready. */
  claim(request: ClaimRequest): JobTerm[] {
    return this.#isPaused ? [] : this.#lease(request);
  }

  /** Waits for the first job. */
  wait(waiter: ClaimWaiter): void {
    this.#waiters.add(waiter);
  }

  /** Waits no longer. */
  unwait(waiter: ClaimWaiter): void {
    this.#waiters.delete(waiter);
  }

  /** Renews a running lease. */
  renew(lease: JobTerm, leaseMs: number): void {
    const { deadlines } = this.#context.engine;
    deadlines.set(lease, deadlines.nowMs + leaseMs);
  }

  /** Settles the job of a running lease for good. */
  finish(lease: JobTerm): void {
    this.#end(lease);
  }

  /** Settles it: again, unless this was its last attempt. */
  retry(lease: JobTerm, delayMs: number, reason: string | undefined): void {
    this.#end(lease);
    const { job } = lease;
    if (job.attempt >= job.maxAttempts) this.#bury(job, reason || MAX_ATTEMPTS);
    else if (delayMs > 0) this.#delay(job, delayMs);
    else this.#makeReady(job);
  }

  /** Takes a leased job back that its worker never saw: it does not count. */
  giveBack(lease: JobTerm): void {
    this.#end(lease);
    lease.job.attempt -= 1;
    this.#makeReady(lease.job);
  }

  /** Settles it: to the dead letters. */
  giveUp(lease: JobTerm, reason: string): void {
    this.#end(lease);
    this.#bury(lease.job, reason);
  }

  /** Brings a dead letter back: at the end, with all attempts to go. */
  replay(job: StoredJob): void {
    job.rank = this.#context.nextNumber();
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
    const terms = this.#terms.drain();
    this.#leased = 0;
    this.#left = 0;
    for (const term of terms) {
      this.#context.engine.deadlines.clear(term);
      term.state = "purged";
      term.holder?.released();
    }
    return terms.length + this.#ready.clear();
  }

  /** Forgets everything but the claims that wait. */
  delete(): void {
    this.purge();
    this.deadLetters.clear();
    this.#dedup = new DedupWindow(this.#context.dedupWindowMs);
    this.#isPaused = false;
    this.exists = false;
  }

  termOver(term: JobTerm): void {
    const { job } = term;
    if (term.holder === undefined) {
      this.#terms.remove(term);
      this.#makeReady(job);
      return;
    }
    this.#end(term);
    if (job.attempt >= job.maxAttempts) {
      this.#bury(job, MAX_ATTEMPTS);
      return;
    }
    job.wasLeft = true;
    this.#left += 1;
    this.#makeReady(job);
  }

  #lease(request: ClaimRequest): JobTerm[] {
    const { deadlines } = this.#context.engine;
    const { max, leaseMs, holder } = request;
    const endMs = deadlines.nowMs + leaseMs;
    const leases: JobTerm[] = [];
    while (leases.length < max) {
      const job = this.#ready.take();
      if (job === undefined) break;
      job.attempt += 1;
      if (job.wasLeft) {
        job.wasLeft = false;
        this.#left -= 1;
      }
      const lease = new JobTerm(this, job, { holder, fence: ++this.#fence });
      this.#terms.add(lease);
      deadlines.set(lease, endMs);
      leases.push(lease);
    }
    this.#leased += leases.length;
    return leases;
  }

  #end(lease: JobTerm): void {
    this.#context.engine.deadlines.clear(lease);
    this.#terms.remove(lease);
    this.#leased -= 1;
    lease.state = "over";
    lease.holder?.released();
  }

  #delay(job: StoredJob, delayMs: number): void {
    const { deadlines } = this.#context.engine;
    const delay = new JobTerm(this, job);
    this.#terms.add(delay);
    deadlines.set(delay, deadlines.nowMs + delayMs);
  }

  #makeReady(job: StoredJob): void {
    this.#ready.add(job);
    this.dispatch();
  }

  #bury(job: StoredJob, reason: string): void {
    const kept = job.detached();
    this.deadLetters.add({
      id: job.id,
      subject: this.name,
      reason,
      attempts: job.attempt,
      payload: kept.slab,
      headers: job.headers,
      publishedAtMs: job.enqueuedAtMs,
      deadAtMs: this.#context.engine.clock.now(),
      origin: kept,
    });
  }
}
