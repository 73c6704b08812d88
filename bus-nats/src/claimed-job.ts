import {
  type AckOptions,
  BusError,
  type ClaimedJob,
  type Headers,
  type JobGiveBackOptions,
  type JobLease,
  type JobNakOptions,
} from "@busbar/core";
import {
  alreadySettled,
  checkJobLease,
  checkReason,
  DEFAULT_JOB_LEASE_MS,
  jobLeaseLost,
  resolveDelay,
} from "@busbar/core/adapter";
import type { Msg } from "@nats-io/transport-node";
import { type HeldJob, quietMoment } from "./held-jobs.ts";
import {
  attemptsOf,
  buryJob,
  dedupKeyOf,
  dropIfGone,
  type JobDelivery,
  type JobTools,
  settleJob,
} from "./job-delivery.ts";
import { NatsJobLease } from "./job-lease.ts";
import { priorityOfSubject } from "./queue-state.ts";
import { ACK, IN_PROGRESS, nakAfter } from "./wire/ack-subject.ts";
import { userHeaders } from "./wire/headers.ts";

const DONE = Promise.resolve();

/**
 * A killed server comes back with the ack waits of deliveries, but cut to whole seconds: up to one
 * second early.
 */
const RESTART_ERROR_MS = 1_000;
/** More than a job is ever delivered. */
const FENCES_PER_EPOCH = 1_000_000;
/**
 * What the server notes of deliveries is written behind, every tenth of a second (`flushLoop` of
 * consumers in server/filestore.go): a killed server may have forgotten a claim that is younger.
 */
const FORGETTABLE_MS = 500;

/** What makes a lease of this length: the consumer's own ack wait, or a delayed nak. */
export function leaseVerb(leaseMs: number): string {
  return leaseMs === DEFAULT_JOB_LEASE_MS ? IN_PROGRESS : nakAfter(leaseMs);
}

/** How much earlier than the server a worker takes its lease for over: time for a settle to get there. */
export function settleMarginMs(leaseMs: number): number {
  return Math.min(100, leaseMs / 50);
}

/**
 * States: *held* -> ack, nak, giveBack or deadLetter -> *settled*; *held* -> the local monotonic clock passes
 * the end of the lease -> *lost*. The end is counted from before the server was asked, so it comes
 * before the server hands the job to somebody else.
 */
export class NatsClaimedJob implements ClaimedJob, HeldJob {
  readonly priority: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly fence: number;
  heldAt = -1;
  readonly #tools: JobTools;
  readonly #delivery: JobDelivery;
  #headers: Headers | undefined;
  /** What it was claimed with. */
  readonly #leaseMs: number;
  /** What it was renewed with last. */
  #currentMs: number;
  #deadline: number;
  readonly #claimedAt: number;
  /** When the server last took the lease in. */
  #confirmedAt: number;
  #atRisk: boolean;
  #settled = false;
  #lease: NatsJobLease | undefined;
  #payload: Uint8Array | undefined;

  constructor(
    tools: JobTools,
    delivery: JobDelivery,
    lease: { leaseMs: number; startedAt: number },
  ) {
    this.#tools = tools;
    this.#delivery = delivery;
    this.#leaseMs = lease.leaseMs;
    this.#currentMs = lease.leaseMs;
    // The server's own count: unlike `attempt` it also grows with deliveries nobody saw. A killed
    // server may forget the last ones, so the epoch grows with its restarts.
    this.fence = tools.epoch() * FENCES_PER_EPOCH + delivery.info.deliveries;
    this.#claimedAt = lease.startedAt;
    this.#confirmedAt = lease.startedAt;
    this.#deadline = lease.startedAt + lease.leaseMs - settleMarginMs(lease.leaseMs);
    this.#atRisk = lease.leaseMs !== DEFAULT_JOB_LEASE_MS;
    tools.held.add(this);
    this.priority = priorityOfSubject(delivery.raw.subject);
    const { attempt, maxAttempts } = attemptsOf(delivery);
    this.attempt = attempt;
    this.maxAttempts = maxAttempts;
  }

  get id(): string {
    return String(this.#delivery.info.streamSequence);
  }

  get queue(): string {
    return this.#delivery.queue;
  }

  get payload(): Uint8Array {
    // The worker's own copy: a dead letter has what was enqueued.
    this.#payload ??= new Uint8Array(this.#delivery.raw.data);
    return this.#payload;
  }

  get headers(): Headers {
    this.#headers ??= userHeaders(this.#delivery.raw.headers);
    return this.#headers;
  }

  get dedupKey(): string | undefined {
    return dedupKeyOf(this.#delivery.raw.headers);
  }

  get enqueuedAtMs(): number {
    return this.#delivery.info.storedAtMs;
  }

  get lease(): JobLease {
    this.#lease ??= new NatsJobLease(this.#tools.link, () => this.endsAt, this.#lostError);
    return this.#lease;
  }

  async heartbeat(options: { readonly leaseMs?: number } = {}): Promise<void> {
    const leaseMs = options.leaseMs === undefined ? this.#leaseMs : checkJobLease(options.leaseMs);
    this.#check();
    const { link } = this.#tools;
    if (leaseMs !== DEFAULT_JOB_LEASE_MS) await quietMoment(link.clock);
    this.#check();
    const sentAt = link.clock.monotonic();
    if (!this.#isRemoved) await settleJob(link, this.#delivery, leaseVerb(leaseMs));
    if (this.#settled) return;
    this.#currentMs = leaseMs;
    this.#confirmedAt = sentAt;
    this.#deadline = sentAt + leaseMs - settleMarginMs(leaseMs);
    this.#atRisk = true;
    this.#lease?.moved();
  }

  /** Ends the claim because nobody gets to see it. @returns the delivery, to be given back. */
  relinquish(): Msg {
    this.#settled = true;
    this.#tools.held.remove(this);
    return this.#delivery.raw;
  }

  get endsAt(): number {
    // Earlier if the server may have been killed since it took the lease in.
    const { doubtAt } = this.#tools.link;
    if (doubtAt < this.#confirmedAt) return this.#deadline;
    if (doubtAt - this.#claimedAt < FORGETTABLE_MS) return doubtAt;
    return this.#deadline - RESTART_ERROR_MS;
  }

  get atRisk(): boolean {
    return this.#atRisk;
  }

  reassert(): void {
    if (this.#isRemoved) return;
    const { link } = this.#tools;
    const now = link.clock.monotonic();
    if (this.endsAt <= now) {
      // Lost to us, because the server may have forgotten this claim. If it has not, it may still have
      // forgotten the length of the lease: a whole one from now is no shorter than that of a worker
      // who has the job by now.
      if (this.#deadline > now) {
        settleJob(link, this.#delivery, nakAfter(this.#currentMs)).catch(() => undefined);
      }
      return;
    }
    settleJob(
      link,
      this.#delivery,
      nakAfter(this.#deadline + settleMarginMs(this.#currentMs) - now),
    ).then(
      () => {
        this.#confirmedAt = Math.max(this.#confirmedAt, now);
        this.#lease?.moved();
      },
      // Then the earlier end stands.
      () => undefined,
    );
  }

  ack(options?: AckOptions): Promise<void> {
    const refused = this.#begin();
    if (refused) return refused;
    if (this.#isRemoved) return DONE;
    const { link, ledger } = this.#tools;
    if (this.#delivery.entry) void ledger.remove(this.#delivery.entry);
    if (options?.confirm === true) return settleJob(link, this.#delivery, ACK);
    link.outbox.settle(this.#delivery.raw.reply as string, ACK);
    return DONE;
  }

  async nak(options: JobNakOptions = {}): Promise<void> {
    const delayMs = resolveDelay(options.delayMs);
    const reason = options.reason === undefined ? "" : checkReason(options.reason);
    await this.#begin();
    if (this.#isRemoved) return;
    if (this.attempt >= this.maxAttempts) {
      await this.#bury(reason || "max attempts");
      return;
    }
    await this.#return(delayMs, this.#uncounted);
  }

  async giveBack(options: JobGiveBackOptions = {}): Promise<void> {
    const delayMs = resolveDelay(options.delayMs);
    await this.#begin();
    if (!this.#isRemoved) await this.#return(delayMs, this.#uncounted + 1);
  }

  async deadLetter(reason: string): Promise<void> {
    const checked = checkReason(reason);
    await this.#begin();
    if (!this.#isRemoved) await this.#bury(checked);
  }

  /** What is done with a job of a deleted queue has no effect, as after a purge. */
  get #isRemoved(): boolean {
    return this.#tools.isRemoved(this.queue, this.enqueuedAtMs);
  }

  get #uncounted(): number {
    return this.#delivery.entry?.uncounted ?? 0;
  }

  /** Back to the queue, with so many deliveries that do not count. */
  async #return(delayMs: number, uncounted: number): Promise<void> {
    const { link, ledger } = this.#tools;
    const { queue, info, raw } = this.#delivery;
    const { priority } = this;
    const freeAtMs = delayMs > 0 ? (await ledger.nowMs()) + delayMs : 0;
    const free = { uncounted, freeAtMs, priority };
    const entry = await ledger.write("job", queue, info.streamSequence, free);
    if (delayMs > 0) await quietMoment(link.clock);
    link.outbox.settle(raw.reply as string, nakAfter(delayMs));
    await dropIfGone(this.#tools, queue, entry);
  }

  async #bury(reason: string): Promise<void> {
    try {
      await buryJob(this.#tools, this.#delivery, reason, this.attempt);
    } catch (error) {
      // Not known to be done: the worker may try again while it holds the job.
      this.#settled = false;
      throw error;
    }
  }

  #begin(): Promise<void> | undefined {
    try {
      this.#check();
    } catch (error) {
      return Promise.reject(error);
    }
    this.#settled = true;
    this.#tools.held.remove(this);
    this.#lease?.settled();
    return undefined;
  }

  #check(): void {
    if (this.#settled) throw alreadySettled(`job ${this.id} of queue ${this.queue}`);
    const { link, held } = this.#tools;
    const over = link.clock.monotonic() >= (link.connected ? this.endsAt : this.#deadline);
    if (over || this.#lease?.isLost) {
      held.remove(this);
      throw this.#lostError();
    }
    link.checkOpen();
    if (!link.connected) {
      throw new BusError(
        "DISCONNECTED",
        `job ${this.id} of queue ${this.queue}: the server is away`,
        { details: { outcome: "notSent" } },
      );
    }
  }

  readonly #lostError = (): BusError => jobLeaseLost(this.queue, this.id, this.attempt);
}
