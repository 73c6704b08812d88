import type { QueueStats, StorageStats } from "@busbar/core";
import { Bag } from "./bag.ts";
import { DeadLetterStore, type StoredDeadLetter } from "./dead-letter-store.ts";
import { DedupWindow } from "./dedup-window.ts";
import type { EngineContext } from "./engine-context.ts";
import type { Journal } from "./journal.ts";
import { ReadyJobs } from "./ready-jobs.ts";
import { type JobContent, StoredJob } from "./stored-job.ts";
import { type JobHolder, JobTerm, type JobTermOwner } from "./job-term.ts";

/** What a claim asks for. */
export interface ClaimRequest {
  readonly max: number;
  readonly maxPriority: number;
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
  /** Takes a number back: it is given again if no other was given since. */
  readonly loseNumber: (number: number) => void;
}

/** Holds the leases of jobs whose settle was lost: whoever had them has them no more. */
const NOBODY: JobHolder = { released: () => undefined };

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
  /** How often it was emptied: what comes from before must not come back. */
  #purges = 0;
  /** Jobs with this number or a greater one were lost in the crash from which it recovers. */
  #lostFrom = Number.POSITIVE_INFINITY;
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

  /** What is stored, dead letters too. */
  get storage(): StorageStats {
    const terms = this.#terms.items.reduce((bytes, { job }) => bytes + job.length, 0);
    return {
      objects: this.#ready.size + this.#terms.size + this.deadLetters.size,
      bytes: this.#ready.bytes + terms + this.deadLetters.bytes,
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
    const { arena, deadlines, journal } = this.#context.engine;
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
    if (journal) this.#journalEnqueue(journal, number, dedupKey);
    return { id, duplicate: false };
  }

  /** Gives what is ready to the claims that wait, first come first served. */
  dispatch(): void {
    for (const waiter of this.#waiters) {
      if (this.#ready.size === 0 || this.#isPaused) return;
      const leases = this.#lease(waiter.request);
      if (leases.length === 0) continue;
      this.#waiters.delete(waiter);
      waiter.grant(leases);
    }
  }

  /** Takes what is ready. */
  claim(request: ClaimRequest): JobTerm[] {
    return this.#isPaused ? [] : this.#lease(request);
  }

  /** A job that is not dead, by its number. */
  find(number: number): StoredJob | undefined {
    return this.#termOf(number)?.job ?? this.#ready.find(number);
  }

  /** Takes a job out that is not dead. @returns false if there is none of this number. */
  remove(number: number): boolean {
    const term = this.#termOf(number);
    if (term) {
      this.#removeTerm(term);
      term.state = "removed";
      if (term.holder === undefined) return true;
      this.#leased -= 1;
      term.holder.released();
      return true;
    }
    const job = this.#ready.find(number);
    if (job === undefined) return false;
    this.#ready.remove(job);
    if (job.wasLeft) this.#left -= 1;
    return true;
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
    const { journal } = this.#context.engine;
    if (journal) this.#journalFinish(journal, lease);
  }

  /** Settles it: again, unless this was its last attempt. */
  retry(lease: JobTerm, delayMs: number, reason: string | undefined): void {
    this.#end(lease);
    const { job } = lease;
    if (job.attempt >= job.maxAttempts) this.#bury(job, reason || MAX_ATTEMPTS);
    else this.#takeBack(job, delayMs);
  }

  /** Settles it: again, without an attempt used up. */
  giveBack(lease: JobTerm, delayMs: number): void {
    this.#end(lease);
    lease.job.attempt -= 1;
    this.#takeBack(lease.job, delayMs);
  }

  /** Settles it: to the dead letters. */
  giveUp(lease: JobTerm, reason: string): void {
    this.#end(lease);
    const letter = this.#bury(lease.job, reason);
    const { journal } = this.#context.engine;
    if (journal) this.#journalGiveUp(journal, lease, letter);
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
    this.#purges += 1;
    this.#leased = 0;
    this.#left = 0;
    for (const term of terms) {
      this.#context.engine.deadlines.clear(term);
      term.state = "removed";
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

  /** The server has crashed and is back: lost jobs are gone. */
  recover(): void {
    const lostFrom = this.#lostFrom;
    if (lostFrom === Number.POSITIVE_INFINITY) return;
    this.#lostFrom = Number.POSITIVE_INFINITY;
    this.#left -= this.#ready.dropFrom(lostFrom);
    for (const term of this.#terms.items.filter(({ job }) => job.number >= lostFrom)) {
      if (term.holder) this.#end(term);
      else this.#removeTerm(term);
    }
    this.deadLetters.removeWhere(({ origin }) => origin.number >= lostFrom);
  }

  termOver(term: JobTerm): void {
    const { job } = term;
    if (term.holder === undefined) {
      this.#terms.remove(term);
      this.#makeReady(job);
      return;
    }
    this.#end(term);
    job.wasLeft = true;
    this.#left += 1;
    this.#makeReady(job);
  }

  #lease(request: ClaimRequest): JobTerm[] {
    const { deadlines } = this.#context.engine;
    const { max, maxPriority, leaseMs, holder } = request;
    const endMs = deadlines.nowMs + leaseMs;
    const leases: JobTerm[] = [];
    while (leases.length < max) {
      const job = this.#ready.take(maxPriority);
      if (job === undefined) break;
      if (job.wasLeft) {
        job.wasLeft = false;
        this.#left -= 1;
      }
      if (job.attempt >= job.maxAttempts) {
        // Its last worker left it. As with JetStream that is found by the claim that comes upon it.
        this.#bury(job, MAX_ATTEMPTS);
        continue;
      }
      job.attempt += 1;
      job.wasClaimed = true;
      const lease = new JobTerm(this, job, { holder, fence: ++this.#fence });
      this.#terms.add(lease);
      deadlines.set(lease, endMs);
      leases.push(lease);
    }
    this.#leased += leases.length;
    return leases;
  }

  #journalEnqueue(journal: Journal, number: number, dedupKey: string | undefined): void {
    journal.add("write", this.#context.engine.deadlines.nowMs, () => {
      this.#context.loseNumber(number);
      if (dedupKey !== undefined) this.#dedup.remove(dedupKey, String(number));
      // Newest first: all from this one on are lost. Wherever they are, recover finds them.
      this.#lostFrom = number;
    });
  }

  #journalFinish(journal: Journal, lease: JobTerm): void {
    const purges = this.#purges;
    journal.add("settle", this.#context.engine.deadlines.nowMs, () => {
      if (this.#purges === purges) this.#holdAgain(lease);
    });
  }

  #journalGiveUp(journal: Journal, lease: JobTerm, letter: StoredDeadLetter<StoredJob>): void {
    const purges = this.#purges;
    // Lost with the writes: as long as its letter is there, nobody gets the job.
    journal.add("write", this.#context.engine.deadlines.nowMs, () => {
      if (this.#purges !== purges || this.deadLetters.get(letter.id) !== letter) return;
      this.deadLetters.remove(letter.id);
      this.#holdAgain(lease);
    });
  }

  /** The settle was lost: to the server the lease runs on, though nobody has it any more. */
  #holdAgain({ job, fence, dueMs }: JobTerm): void {
    const lease = new JobTerm(this, job, { holder: NOBODY, fence });
    this.#terms.add(lease);
    this.#leased += 1;
    this.#context.engine.deadlines.set(lease, dueMs);
  }

  #end(lease: JobTerm): void {
    this.#removeTerm(lease);
    this.#leased -= 1;
    lease.state = "over";
    lease.holder?.released();
  }

  #termOf(number: number): JobTerm | undefined {
    return this.#terms.items.find(({ job }) => job.number === number);
  }

  #removeTerm(term: JobTerm): void {
    this.#context.engine.deadlines.clear(term);
    this.#terms.remove(term);
  }

  #takeBack(job: StoredJob, delayMs: number): void {
    if (delayMs > 0) this.#delay(job, delayMs);
    else this.#makeReady(job);
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

  #bury(job: StoredJob, reason: string): StoredDeadLetter<StoredJob> {
    const kept = job.detached();
    const letter = {
      id: job.id,
      subject: this.name,
      reason,
      attempts: job.attempt,
      payload: kept.slab,
      headers: job.headers,
      publishedAtMs: job.enqueuedAtMs,
      deadAtMs: this.#context.engine.clock.now(),
      origin: kept,
    };
    this.deadLetters.add(letter);
    return letter;
  }
}
