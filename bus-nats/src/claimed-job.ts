import {
  type AckOptions,
  BusError,
  type ClaimedJob,
  type Headers,
  type JobLease,
  type JobNakOptions,
} from "@busbar/core";
import {
  alreadySettled,
  checkJobLease,
  checkReason,
  DEFAULT_JOB_LEASE_MS,
  DEFAULT_MAX_ATTEMPTS,
  jobLeaseLost,
  resolveDelay,
} from "@busbar/core/adapter";
import type { Msg } from "@nats-io/transport-node";
import { type NatsDeadLetters, REPLAY_ID } from "./dead-letters.ts";
import { type HeldJob, type HeldJobs, quietMoment } from "./held-jobs.ts";
import { NatsJobLease } from "./job-lease.ts";
import type { Ledger, StoredLedgerEntry } from "./ledger.ts";
import type { Link } from "./link.ts";
import { priorityOfSubject } from "./queue-state.ts";
import { ACK, type DeliveryInfo, IN_PROGRESS, nakAfter } from "./wire/ack-subject.ts";
import { type Fields, field, H, numberField, userHeaders } from "./wire/headers.ts";

const SETTLE_TIMEOUT_MS = 5_000;
const DONE = Promise.resolve();

/** What claimed jobs share. */
export interface JobTools {
  readonly link: Link;
  readonly ledger: Ledger;
  readonly deadLetters: NatsDeadLetters;
  /** How often the server was started, as far as the namespace's buses have seen. */
  epoch(): number;
  /** Whether a job is still in its queue. */
  exists(queue: string, sequence: number): Promise<boolean>;
  /** Whether the queue was deleted since a job was stored, as far as this bus has heard. */
  isRemoved(queue: string, storedAtMs: number): boolean;
  /** Every claim that is not settled. */
  readonly held: HeldJobs;
}

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

/** A delivery of a job, as it came. */
export interface JobDelivery {
  readonly queue: string;
  readonly raw: Msg;
  readonly info: DeliveryInfo;
  readonly entry: StoredLedgerEntry | undefined;
}

/** What a delivery says about its attempts. */
export function attemptsOf(delivery: JobDelivery): { attempt: number; maxAttempts: number } {
  return {
    attempt: delivery.info.deliveries - (delivery.entry?.uncounted ?? 0),
    maxAttempts: numberField(delivery.raw.headers, H.maxAttempts) ?? DEFAULT_MAX_ATTEMPTS,
  };
}

/** Puts a job into the dead letters and takes it from its queue. */
export async function buryJob(
  tools: JobTools,
  delivery: JobDelivery,
  reason: string,
  attempts: number,
): Promise<void> {
  const { queue, raw, info } = delivery;
  // Purged meanwhile: then there is nothing left to be dead.
  if (!(await tools.exists(queue, info.streamSequence))) return;
  await tools.deadLetters.bury({
    owner: queue,
    sequence: info.streamSequence,
    subject: queue,
    reason,
    attempts,
    publishedAtMs: info.storedAtMs,
    payload: raw.data,
    headers: userHeaders(raw.headers),
    fields: originFields(raw),
  });
  await settleJob(tools.link, delivery, ACK);
  if (delivery.entry) tools.ledger.remove(delivery.entry);
}

/** What a dead letter keeps so that it can be enqueued again. */
function originFields(raw: Msg): Fields {
  const fields: [string, string | number][] = [[H.priority, priorityOfSubject(raw.subject)]];
  const maxAttempts = field(raw.headers, H.maxAttempts);
  if (maxAttempts !== undefined) fields.push([H.maxAttempts, maxAttempts]);
  const dedupKey = dedupKeyOf(raw);
  if (dedupKey !== undefined) fields.push([H.dedupKey, dedupKey]);
  return fields;
}

function dedupKeyOf(raw: Msg): string | undefined {
  const id = field(raw.headers, H.dedupKey) ?? field(raw.headers, H.msgId);
  return id?.startsWith(REPLAY_ID) ? undefined : id;
}

/** Sends a verb for a delivery and waits until the server has taken it. */
export function settleJob(link: Link, delivery: JobDelivery, verb: string): Promise<void> {
  const what = `settle job ${delivery.info.streamSequence} of queue ${delivery.queue}`;
  return link.requester.request({
    subject: delivery.raw.reply as string,
    payload: verb,
    timeoutMs: SETTLE_TIMEOUT_MS,
    what,
    idempotent: true,
    parse: () => undefined,
    onNoResponders: () => new BusError("NOT_FOUND", `${what}: the queue is gone`),
  });
}

/** What makes a lease of this length: the consumer's own ack wait, or a delayed nak. */
export function leaseVerb(leaseMs: number): string {
  return leaseMs === DEFAULT_JOB_LEASE_MS ? IN_PROGRESS : nakAfter(leaseMs);
}

/** How much earlier than the server a worker takes its lease for over: time for a settle to get there. */
export function settleMarginMs(leaseMs: number): number {
  return Math.min(100, leaseMs / 50);
}

/**
 * States: *held* -> ack, nak or deadLetter -> *settled*; *held* -> the local monotonic clock passes
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
    return dedupKeyOf(this.#delivery.raw);
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
    if (this.#delivery.entry) ledger.remove(this.#delivery.entry);
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
    const { link, ledger } = this.#tools;
    const { queue, info, entry, raw } = this.#delivery;
    await ledger.write("job", queue, info.streamSequence, {
      uncounted: entry?.uncounted ?? 0,
      freeAtMs: delayMs > 0 ? (await ledger.nowMs()) + delayMs : 0,
      priority: this.priority,
    });
    if (delayMs > 0) await quietMoment(link.clock);
    link.outbox.settle(raw.reply as string, nakAfter(delayMs));
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
