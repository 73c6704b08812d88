import type {
  AckOptions,
  ClaimedJob,
  Headers,
  JobGiveBackOptions,
  JobLease,
  JobNakOptions,
} from "@busbar/core";
import {
  alreadySettled,
  checkJobLease,
  checkReason,
  jobLeaseLost,
  resolveDelay,
} from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import { copyOf } from "./engine/arena.ts";
import { Alarm } from "./engine/deadlines.ts";
import type { Queue } from "./engine/queue.ts";
import type { JobTerm } from "./engine/job-term.ts";
import type { LeaseWatcher, WorkerHand } from "./worker-hand.ts";

/** A job in the hands of a worker. */
export class MemoryClaimedJob implements ClaimedJob, LeaseWatcher {
  readonly id: string;
  readonly queue: string;
  readonly headers: Headers;
  readonly dedupKey: string | undefined;
  readonly priority: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly fence: number;
  readonly enqueuedAtMs: number;
  readonly #context: BusContext;
  readonly #hand: WorkerHand;
  readonly #queue: Queue;
  readonly #claim: JobTerm;
  readonly #leaseMs: number;
  /** The end of the lease by the worker's own clock. */
  #deadlineMs: number;
  #isSettled = false;
  #payload: Uint8Array | undefined = undefined;
  #lease: JobLease | undefined = undefined;
  #lost: AbortController | undefined = undefined;
  #alarm: Alarm | undefined = undefined;

  constructor(
    claim: JobTerm,
    leaseMs: number,
    parts: { readonly context: BusContext; readonly hand: WorkerHand; readonly queue: Queue },
  ) {
    const { context, hand, queue } = parts;
    const { job } = claim;
    this.id = job.id;
    this.queue = queue.name;
    this.headers = job.headers;
    this.dedupKey = job.dedupKey;
    this.priority = job.priority;
    this.attempt = job.attempt;
    this.maxAttempts = job.maxAttempts;
    this.fence = claim.fence;
    this.enqueuedAtMs = job.enqueuedAtMs;
    this.#context = context;
    this.#hand = hand;
    this.#queue = queue;
    this.#claim = claim;
    this.#leaseMs = leaseMs;
    this.#deadlineMs = context.nowMs + leaseMs;
  }

  /** Copied when it is asked for: a buffer of its own costs more than the rest of a claim. */
  get payload(): Uint8Array {
    this.#payload ??= copyOf(this.#claim.job);
    return this.#payload;
  }

  get lease(): JobLease {
    this.#lease ??= new LeaseView(
      () => this.#expiresAtMs(),
      () => this.#watchLease(),
    );
    return this.#lease;
  }

  async heartbeat(options?: { readonly leaseMs?: number }): Promise<void> {
    const leaseMs = options?.leaseMs === undefined ? this.#leaseMs : checkJobLease(options.leaseMs);
    const nowMs = this.#check();
    this.#deadlineMs = nowMs + leaseMs;
    if (this.#alarm) this.#context.deadlines.set(this.#alarm, this.#deadlineMs);
    if (this.#claim.state === "running") this.#queue.renew(this.#claim, leaseMs);
  }

  async ack(_options?: AckOptions): Promise<void> {
    if (this.#settle()) this.#queue.finish(this.#claim);
  }

  async nak(options?: JobNakOptions): Promise<void> {
    const delayMs = resolveDelay(options?.delayMs);
    const reason = options?.reason === undefined ? undefined : checkReason(options.reason);
    if (this.#settle()) this.#queue.retry(this.#claim, delayMs, reason);
  }

  async giveBack(options?: JobGiveBackOptions): Promise<void> {
    const delayMs = resolveDelay(options?.delayMs);
    if (this.#settle()) this.#queue.giveBack(this.#claim, delayMs);
  }

  async deadLetter(reason: string): Promise<void> {
    const checked = checkReason(reason);
    if (this.#settle()) this.#queue.giveUp(this.#claim, checked);
  }

  /** What the worker can know by itself. @throws BusError `LEASE_LOST` */
  checkTime(): void {
    if (this.#context.clock.monotonic() < this.#deadlineMs) return;
    this.abandon();
    throw jobLeaseLost(this.queue, this.id, this.attempt);
  }

  abandon(): void {
    this.#stopWatching();
    // Whoever has not asked for the signal is not told; the first abort counts.
    this.#lost?.abort(jobLeaseLost(this.queue, this.id, this.attempt));
  }

  /** True if the engine has something to do: after a purge or a removal it has not. */
  #settle(): boolean {
    this.#check();
    this.#isSettled = true;
    this.#stopWatching();
    return this.#claim.state === "running";
  }

  /** @throws BusError unless the lease is the worker's. */
  #check(): number {
    if (this.#isSettled) throw alreadySettled(`attempt ${this.attempt} of job ${this.id}`);
    // What the worker can know without its bus comes before that it is closed.
    if (this.#context.isOver) this.checkTime();
    const nowMs = this.#context.enterSettle();
    if (this.#claim.state !== "over" && nowMs < this.#deadlineMs) return nowMs;
    this.abandon();
    throw jobLeaseLost(this.queue, this.id, this.attempt);
  }

  #expiresAtMs(): number {
    const { clock } = this.#context;
    return clock.now() + (this.#deadlineMs - clock.monotonic());
  }

  #watchLease(): AbortSignal {
    if (this.#lost === undefined) {
      this.#lost = new AbortController();
      if (this.#context.isOver && !this.#isSettled) this.abandon();
      else if (!this.#isSettled) this.#startWatching();
    }
    // A process that was paused finds out here, before its timers do.
    if (this.#alarm) this.#context.tick();
    return this.#lost.signal;
  }

  #startWatching(): void {
    this.#alarm = new Alarm(() => this.abandon());
    this.#hand.watchers.add(this);
    this.#context.deadlines.set(this.#alarm, this.#deadlineMs);
  }

  #stopWatching(): void {
    if (this.#alarm === undefined) return;
    this.#context.deadlines.clear(this.#alarm);
    this.#hand.watchers.delete(this);
    this.#alarm = undefined;
  }
}

class LeaseView implements JobLease {
  readonly #expiresAtMs: () => number;
  readonly #lost: () => AbortSignal;

  constructor(expiresAtMs: () => number, lost: () => AbortSignal) {
    this.#expiresAtMs = expiresAtMs;
    this.#lost = lost;
  }

  get expiresAtMs(): number {
    return this.#expiresAtMs();
  }

  get lost(): AbortSignal {
    return this.#lost();
  }
}
