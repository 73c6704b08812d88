import { type Clock, BusError, type Lease, type Timer } from "@busbar/core";
import { leaseMarginMs } from "@busbar/core/adapter";

/** How often a lease is renewed, and when it is given up, in parts of its TTL, where nobody says otherwise. */
export const RENEWED_EVERY: number = 1 / 5;
export const GIVEN_UP_AFTER: number = 2 / 3;

/** How a {@link KeptLease} keeps its lease. */
export interface KeptLeaseOptions {
  /** The TTL that the lease was taken with. */
  readonly ttlMs: number;
  readonly clock: Clock;
  /** From one renewal to the next. */
  readonly renewEveryMs?: number;
  /** It counts as lost when no renewal was confirmed for so long. */
  readonly giveUpMs?: number;
}

/**
 * A lease that is renewed by itself, and given up well before it can end at the server.
 *
 * Both are counted on the monotonic clock of this process, from before the last confirmed renewal was
 * sent. With `giveUpMs` of at most nine tenths of the TTL its clock may be 5 % too slow while that of the
 * server is 5 % too fast.
 *
 * States: *held* -> no renewal for `giveUpMs`, or the lease itself is lost -> *lost*;
 * *held* -> `release()` -> *released*. After both nothing is renewed any more.
 */
export class KeptLease {
  readonly fence: number;
  readonly #lease: Lease;
  readonly #options: Required<KeptLeaseOptions>;
  readonly #lost = new AbortController();
  #deadline = 0;
  #isReleased = false;
  #expiry: Timer | undefined;
  #renewal: Timer | undefined;

  constructor(lease: Lease, options: KeptLeaseOptions) {
    this.fence = lease.fence;
    this.#lease = lease;
    const { ttlMs } = options;
    this.#options = {
      renewEveryMs: ttlMs * RENEWED_EVERY,
      giveUpMs: ttlMs * GIVEN_UP_AFTER,
      ...options,
    };
    lease.lost.addEventListener("abort", () => this.#lose(lease.lost.reason), { once: true });
    this.#confirmed();
    this.#renewLater();
  }

  /** Until when it is good, by the wall clock of this process. */
  get expiresAtMs(): number {
    const { clock } = this.#options;
    return Math.floor(clock.now() + (this.#deadline - clock.monotonic()));
  }

  /** Aborts, with `LEASE_LOST` or `CLOSED` as reason, when it is lost; not on `release()`. */
  get lost(): AbortSignal {
    // A paused process finds out by asking, not by a timer.
    this.#checkTime();
    return this.#lost.signal;
  }

  /** Gives it back, also one that counts as lost here but may still stand at the server. */
  async release(): Promise<void> {
    this.#checkTime();
    this.#isReleased = true;
    this.#stop();
    await this.#lease.release();
  }

  #renewLater(passedMs = 0): void {
    const { clock, renewEveryMs } = this.#options;
    const delayMs = Math.max(0, renewEveryMs - passedMs);
    this.#renewal = clock.setTimer(() => void this.#renew(), delayMs, { keepAlive: false });
  }

  async #renew(): Promise<void> {
    const { clock } = this.#options;
    const startedMs = clock.monotonic();
    try {
      await this.#lease.heartbeat();
      this.#confirmed();
    } catch {
      // Lost is told by the signal; anything else is tried again until then.
    }
    if (this.#isReleased || this.lost.aborted) return;
    // What was waited for in vain is made up for: the next one comes when it would have come anyway.
    this.#renewLater(clock.monotonic() - startedMs);
  }

  #confirmed(): void {
    if (this.#isReleased) return;
    const { clock, ttlMs, giveUpMs } = this.#options;
    if (this.#lease.lost.aborted) this.#lose(this.#lease.lost.reason);
    const leftMs = this.#lease.expiresAtMs - clock.now();
    const earlierMs = Math.max(0, ttlMs - leaseMarginMs(ttlMs) - giveUpMs);
    this.#deadline = clock.monotonic() + leftMs - earlierMs;
    this.#expiry?.cancel();
    this.#expiry = clock.setTimer(() => this.#checkTime(), Math.max(0, leftMs - earlierMs), {
      keepAlive: false,
    });
    this.#checkTime();
  }

  #checkTime(): void {
    if (this.#isReleased || this.#options.clock.monotonic() < this.#deadline) return;
    const { key, fence } = this.#lease;
    const message = `the lease on ${key} (fence ${fence}) was not renewed in time`;
    this.#lose(new BusError("LEASE_LOST", message, { details: { key, fence } }));
  }

  #lose(reason: unknown): void {
    if (this.#isReleased || this.#lost.signal.aborted) return;
    this.#stop();
    this.#lost.abort(reason);
  }

  #stop(): void {
    this.#expiry?.cancel();
    this.#renewal?.cancel();
  }
}
