/// <reference lib="esnext.disposable" preserve="true" />
import type { KeptLease } from "./kept-lease.ts";

/**
 * A lock that is held, and renewed by itself.
 *
 * States: *held* -> `release()` -> *released*; *held* -> not renewed in time, or its bus closes ->
 * *lost*. Both are final.
 */
export class Lock implements AsyncDisposable {
  /** What is locked. */
  readonly key: string;
  /** Who holds it. */
  readonly owner: string;
  readonly #lease: KeptLease;
  #isReleased = false;

  constructor(key: string, owner: string, lease: KeptLease) {
    this.key = key;
    this.owner = owner;
    this.#lease = lease;
  }

  /** Grows with every grant of this key, for ever: for {@link FencedBucket.guard}, or any resource that refuses smaller ones. */
  get fence(): number {
    return this.#lease.fence;
  }

  /** Until when it is good if it is not renewed any more, by the wall clock of this process. */
  get expiresAtMs(): number {
    return this.#lease.expiresAtMs;
  }

  /**
   * Aborts, with `LEASE_LOST` or `CLOSED` as reason, when it is lost, while it still stands at the
   * server: who stops at once never overlaps with the next holder. Not on `release()`.
   */
  get lost(): AbortSignal {
    return this.#lease.lost;
  }

  /**
   * Gives it back; the next one has it at once.
   * @returns whether it was held until now
   * @throws BusError if the server cannot be told: it may be called again, or the lock ends by itself
   */
  async release(): Promise<boolean> {
    const wasHeld = !this.#isReleased && !this.lost.aborted;
    this.#isReleased = true;
    await this.#lease.release();
    return wasHeld;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}
