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
  DEFAULT_TIMEOUT_MS,
  resolveDelay,
} from "@busbar/core/adapter";
import type { MemoryClaimedJob } from "../memory-claimed-job.ts";
import type { Call, Link } from "./link.ts";

/** A claimed job that came over a {@link Link}. */
export class SimClaimedJob implements ClaimedJob {
  readonly #link: Link;
  readonly #inner: MemoryClaimedJob;
  #isSettled = false;

  constructor(link: Link, inner: MemoryClaimedJob) {
    this.#link = link;
    this.#inner = inner;
  }

  get id(): string {
    return this.#inner.id;
  }

  get queue(): string {
    return this.#inner.queue;
  }

  get payload(): Uint8Array {
    return this.#inner.payload;
  }

  get headers(): Headers {
    return this.#inner.headers;
  }

  get dedupKey(): string | undefined {
    return this.#inner.dedupKey;
  }

  get priority(): number {
    return this.#inner.priority;
  }

  get attempt(): number {
    return this.#inner.attempt;
  }

  get maxAttempts(): number {
    return this.#inner.maxAttempts;
  }

  get fence(): number {
    return this.#inner.fence;
  }

  get enqueuedAtMs(): number {
    return this.#inner.enqueuedAtMs;
  }

  get lease(): JobLease {
    return this.#inner.lease;
  }

  async heartbeat(options?: { readonly leaseMs?: number }): Promise<void> {
    if (options?.leaseMs !== undefined) checkJobLease(options.leaseMs);
    this.#check();
    await this.#link.request(
      this.#call("job.heartbeat", { leaseMs: options?.leaseMs }),
      () => this.#inner.heartbeat(options),
      () => ({ leftMs: leftMs(this.#inner, this.#link) }),
    );
  }

  async ack(options?: AckOptions): Promise<void> {
    await this.#settle("job.ack", options?.confirm ?? false, () => this.#inner.ack());
  }

  async nak(options?: JobNakOptions): Promise<void> {
    resolveDelay(options?.delayMs);
    if (options?.reason !== undefined) checkReason(options.reason);
    await this.#settle("job.nak", false, () => this.#inner.nak(options));
  }

  async giveBack(options?: JobGiveBackOptions): Promise<void> {
    resolveDelay(options?.delayMs);
    await this.#settle("job.giveBack", false, () => this.#inner.giveBack(options));
  }

  async deadLetter(reason: string): Promise<void> {
    checkReason(reason);
    await this.#settle("job.deadLetter", true, () => this.#inner.deadLetter(reason));
  }

  async #settle(op: string, confirm: boolean, run: () => Promise<void>): Promise<void> {
    this.#check();
    this.#isSettled = true;
    const call = this.#call(op, { confirm: confirm || undefined });
    await (confirm ? this.#link.request(call, run) : this.#link.send(call, run));
  }

  #check(): void {
    this.#link.checkOpen(true);
    if (this.#isSettled) throw alreadySettled(`attempt ${this.attempt} of job ${this.id}`);
    this.#inner.checkTime();
  }

  #call(op: string, more: Readonly<Record<string, unknown>>): Call {
    const { queue, id, attempt, fence } = this.#inner;
    return {
      op,
      about: queue,
      data: { id, attempt, fence, ...more },
      timeoutMs: DEFAULT_TIMEOUT_MS,
      settles: true,
    };
  }
}

/** How much of a lease is left, by the clock of the process. For the trace. */
export function leftMs(
  { lease }: { readonly lease: { readonly expiresAtMs: number } },
  { clock }: Link,
): number {
  return Math.round((lease.expiresAtMs - clock.now()) * 1_000) / 1_000;
}
