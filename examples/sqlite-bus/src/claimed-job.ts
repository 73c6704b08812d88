import type {
  AckOptions,
  BusError,
  ClaimedJob,
  Headers,
  JobGiveBackOptions,
  JobLease,
  JobNakOptions,
  Timer,
} from "@busbar/core";
import {
  alreadySettled,
  checkJobLease,
  checkReason,
  jobLeaseLost,
  resolveDelay,
} from "@busbar/core/adapter";
import { type BusContext, toHeaders } from "./context.ts";
import type { Hand, Holdable } from "./hand.ts";
import {
  buryJob,
  finishJob,
  type HeldJob,
  type JobRow,
  type QueueRow,
  readHeld,
  renewLease,
  returnJob,
} from "./queue.ts";

/** Where a claimed job came from. */
export interface JobOrigin {
  readonly queue: QueueRow;
  readonly hand: Hand<SqliteClaimedJob>;
  /** Told when it was settled. */
  settled(): void;
}

/** A job in the hands of a worker. */
export class SqliteClaimedJob implements ClaimedJob, Holdable {
  readonly id: string;
  readonly queue: string;
  readonly payload: Uint8Array;
  readonly headers: Headers;
  readonly dedupKey: string | undefined;
  readonly priority: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly fence: number;
  readonly enqueuedAtMs: number;
  readonly lease: JobLease;
  /** The end of the lease, counted from before it was asked for. */
  deadlineMs: number;
  readonly #context: BusContext;
  readonly #origin: JobOrigin;
  readonly #held: HeldJob;
  readonly #leaseMs: number;
  readonly #lost = new AbortController();
  #timer: Timer | undefined;
  #isSettled = false;
  /** Whether somebody asked for the signal. */
  #isWatched = false;

  constructor(
    context: BusContext,
    origin: JobOrigin,
    row: JobRow,
    claim: { readonly leaseMs: number; readonly takenAtMs: number },
  ) {
    this.id = String(row.id);
    this.queue = origin.queue.name;
    this.payload = row.payload;
    this.headers = toHeaders(row.headers);
    this.dedupKey = row.dedup_key ?? undefined;
    this.priority = row.priority;
    this.attempt = row.attempt;
    this.maxAttempts = row.max_attempts;
    this.fence = row.fence;
    this.enqueuedAtMs = row.enqueued_ms;
    this.deadlineMs = claim.takenAtMs + claim.leaseMs;
    this.#context = context;
    this.#origin = origin;
    this.#held = { id: row.id, queue: origin.queue.id, fence: row.fence };
    this.#leaseMs = claim.leaseMs;
    this.lease = this.#makeLease();
    origin.hand.add(this);
  }

  async heartbeat(options?: { readonly leaseMs?: number }): Promise<void> {
    const leaseMs = options?.leaseMs === undefined ? this.#leaseMs : checkJobLease(options.leaseMs);
    this.#check();
    const startedAtMs = this.#context.clock.monotonic();
    this.#onHeld(() => renewLease(this.#context, this.#held, leaseMs));
    this.deadlineMs = startedAtMs + leaseMs;
    if (this.#isWatched) this.#watch();
  }

  async ack(_options?: AckOptions): Promise<void> {
    this.#settle(() => finishJob(this.#context, this.#held));
  }

  async nak(options?: JobNakOptions): Promise<void> {
    const delayMs = resolveDelay(options?.delayMs);
    const reason = options?.reason === undefined ? undefined : checkReason(options.reason);
    this.#settle((row) => {
      const { attempt, max_attempts: maxAttempts } = row;
      if (attempt < maxAttempts) returnJob(this.#context, this.#held, { attempt, delayMs });
      else this.#bury(row, reason || "max attempts");
    });
  }

  async giveBack(options?: JobGiveBackOptions): Promise<void> {
    const delayMs = resolveDelay(options?.delayMs);
    this.#settle((row) => {
      returnJob(this.#context, this.#held, { attempt: row.attempt - 1, delayMs });
    });
  }

  async deadLetter(reason: string): Promise<void> {
    const checked = checkReason(reason);
    this.#settle((row) => this.#bury(row, checked));
  }

  /** The lease is over, or nobody can settle it any more: the bus is closed. */
  abandon(): void {
    this.#timer?.cancel();
    this.#origin.hand.remove(this);
    if (!this.#isSettled && !this.#lost.signal.aborted) this.#lost.abort(this.#lostError());
  }

  #bury(row: JobRow, reason: string): void {
    const deadMs = this.#context.clock.now();
    buryJob(this.#context, this.#origin.queue, row, { reason, deadMs });
  }

  #settle(end: (row: JobRow) => void): void {
    this.#check();
    this.#onHeld(end);
    this.#isSettled = true;
    this.#timer?.cancel();
    this.#origin.hand.remove(this);
    this.#origin.settled();
  }

  /** Runs `work` on the job if it is still this worker's; what was taken out is left alone. */
  #onHeld(work: (row: JobRow) => void): void {
    const isLost = this.#context.file.write(() => {
      const row = readHeld(this.#context, this.#held);
      if (row !== "lost" && row !== "gone") work(row);
      return row === "lost";
    });
    if (!isLost) return;
    this.abandon();
    throw this.#lostError();
  }

  /** @throws BusError unless the lease is the worker's, as far as this process knows. */
  #check(): void {
    this.#context.enterSettle();
    if (this.#isSettled) throw alreadySettled(`attempt ${this.attempt} of job ${this.id}`);
    if (!this.#isOver()) return;
    this.abandon();
    throw this.#lostError();
  }

  #isOver(): boolean {
    return this.#lost.signal.aborted || this.#context.clock.monotonic() >= this.deadlineMs;
  }

  #makeLease(): JobLease {
    const { clock } = this.#context;
    const expiresAtMs = (): number => clock.now() + (this.deadlineMs - clock.monotonic());
    const lost = (): AbortSignal => {
      // A process that was paused finds out here, before its timers do.
      if (!this.#isSettled && this.#isOver()) this.abandon();
      else if (!this.#isSettled && !this.#isWatched) this.#watch();
      this.#isWatched = true;
      return this.#lost.signal;
    };
    return {
      get expiresAtMs() {
        return expiresAtMs();
      },
      get lost() {
        return lost();
      },
    };
  }

  #watch(): void {
    this.#timer?.cancel();
    const { clock } = this.#context;
    const leftMs = this.deadlineMs - clock.monotonic();
    this.#timer = clock.setTimer(() => this.abandon(), leftMs, { keepAlive: false });
  }

  #lostError(): BusError {
    return jobLeaseLost(this.queue, this.id, this.attempt);
  }
}
