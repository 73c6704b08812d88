import type { Clock } from "./clock.ts";
import { BusError, errorCode } from "./errors.ts";
import { closedError } from "./failures.ts";
import type { Lease } from "./lease.ts";
import type { Lifecycle, Owned } from "./lifecycle.ts";
import { toBytes, toText } from "./payload.ts";
import { newId, type Random, systemRandom } from "./random.ts";
import type { ResolvedLeaseOptions } from "./resolve.ts";

/** A stored lease record as a {@link LeaseStore} reads it. */
export interface LeaseRecord {
  /** Revision of the record. */
  readonly revision: number;
  /** Its bytes. */
  readonly value: Uint8Array;
  /** How old it is by the server's own clock, in milliseconds. Asked for only if it matters. */
  ageMs(): Promise<number>;
}

/** What a backend has to offer so that {@link LeaseManager} can build leases on it. */
export interface LeaseStore {
  /** The current record, or `undefined`. */
  read(key: string): Promise<LeaseRecord | undefined>;
  /**
   * Writes if the revision is `expected` (0: no record). With `limitMs` it rejects when that time
   * is over, and does not write later. @throws BusError `CONFLICT`
   */
  write(key: string, value: Uint8Array, expected: number, limitMs?: number): Promise<number>;
  /** Removes the record if its revision is still this one, and lets `subscribe` know. */
  remove(key: string, revision: number): Promise<void>;
  /** Calls `onChange` after every later write or removal of the key. */
  subscribe(key: string, onChange: () => void): Promise<{ close(): void }>;
}

interface StoredLease {
  readonly owner: string;
  readonly ttlMs: number;
  /** Tells two grants of one owner apart. */
  readonly token: string;
}

/**
 * The safety margin of a holder: it takes itself for lost this much before the server would give the
 * lease to somebody else.
 */
export function leaseMarginMs(ttlMs: number): number {
  return Math.min(2_000, Math.max(5, ttlMs / 10));
}

/** What a {@link LeaseManager} needs. */
export interface LeaseManagerContext {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly lifecycle: Lifecycle;
  readonly random?: Random;
}

/**
 * Grants leases on any store with compare-and-set.
 *
 * Expiry is judged in two places that never compare clocks: a contender asks the server how old the
 * record is; the holder counts on its own monotonic clock from before it sent the confirmed write.
 * The first count starts later than the second, so the holder always gives up first.
 */
export class LeaseManager {
  readonly #context: LeaseManagerContext;

  constructor(context: LeaseManagerContext) {
    this.#context = context;
  }

  /** Implements `KvStore.lease`; `key` is the store's own key, `name` what the user called it. */
  async acquire(key: string, name: string, options: ResolvedLeaseOptions): Promise<Lease> {
    const { clock, store, random = systemRandom } = this.#context;
    const token = newId(random);
    const stored: StoredLease = { owner: options.owner ?? token, ttlMs: options.ttlMs, token };
    const value = toBytes(JSON.stringify(stored));
    const deadline = clock.monotonic() + options.waitMs;
    const signals = [this.#context.lifecycle.signal, ...(options.signal ? [options.signal] : [])];
    const wake = new Wake(clock, signals);
    let expected = 0;
    try {
      for (;;) {
        wake.check();
        const sentAt = clock.monotonic();
        const answer = await this.#attempt(key, stored, value, expected);
        if (answer.granted) {
          if (wake.aborted) {
            // Nobody waits for it any more.
            await store.remove(key, answer.revision).catch(() => undefined);
            wake.check();
          }
          const { revision } = answer;
          return new HeldLease(this.#context, { key, name, stored, value, revision, sentAt });
        }
        const { leftMs } = answer;
        expected = answer.expected;
        if (leftMs <= 0) continue;
        if (clock.monotonic() >= deadline) throw held(name, answer.owner, leftMs);
        // The subscription has to stand before the record is read again: no change is missed.
        if (await wake.listen(store, key)) continue;
        await wake.wait(Math.min(leftMs + 1, Math.max(0, deadline - clock.monotonic())));
      }
    } finally {
      wake.close();
    }
  }

  async #attempt(
    key: string,
    stored: StoredLease,
    value: Uint8Array,
    expected: number,
  ): Promise<Answer> {
    const { store } = this.#context;
    try {
      return { granted: true, revision: await store.write(key, value, expected) };
    } catch (error) {
      if (errorCode(error) !== "CONFLICT") throw error;
    }
    const record = await store.read(key);
    const holder = record && decode(record.value);
    if (record === undefined) return { granted: false, leftMs: 0, expected: 0, owner: undefined };
    // The write was taken in, but its answer was lost and it was sent a second time.
    if (holder?.token === stored.token) return { granted: true, revision: record.revision };
    const leftMs = holder === undefined ? 0 : holder.ttlMs - (await record.ageMs());
    // Only a record whose time is over may be written upon.
    return {
      granted: false,
      leftMs,
      expected: leftMs <= 0 ? record.revision : 0,
      owner: holder?.owner,
    };
  }
}

/** What became of one attempt; `expected` is the revision for the next one. */
type Answer =
  | { readonly granted: true; readonly revision: number }
  | {
      readonly granted: false;
      readonly leftMs: number;
      readonly expected: number;
      readonly owner: string | undefined;
    };

interface Grant {
  readonly key: string;
  readonly name: string;
  readonly stored: StoredLease;
  readonly value: Uint8Array;
  readonly revision: number;
  readonly sentAt: number;
}

/** States: see `Lease`. */
class HeldLease implements Lease, Owned {
  readonly key: string;
  readonly fence: number;
  readonly owner: string;
  readonly #context: LeaseManagerContext;
  readonly #grant: Grant;
  readonly #lost = new AbortController();
  #revision: number;
  #deadline = 0;
  #timer: { cancel(): void } | undefined;
  #state: "held" | "released" | "lost" = "held";
  #beating: Promise<void> | undefined;
  #releasing: Promise<void> | undefined;
  /** Whether a write may have been taken in without its answer reaching us. */
  #unsure = false;

  constructor(context: LeaseManagerContext, grant: Grant) {
    this.#context = context;
    this.#grant = grant;
    this.key = grant.name;
    this.fence = grant.revision;
    this.owner = grant.stored.owner;
    this.#revision = grant.revision;
    this.#confirmed(grant.sentAt);
    if (this.#state === "held") context.lifecycle.add(this);
  }

  get expiresAtMs(): number {
    const { clock } = this.#context;
    return clock.now() + (this.#deadline - clock.monotonic());
  }

  get lost(): AbortSignal {
    this.#checkTime();
    return this.#lost.signal;
  }

  heartbeat(): Promise<void> {
    // Two at a time would compete for the revision.
    this.#beating ??= this.#beat()
      .catch((error: unknown) => {
        // Whatever kept the heartbeat from being confirmed: the time is over.
        this.#checkTime();
        throw this.#state === "lost" ? this.#lostError() : error;
      })
      .finally(() => {
        this.#beating = undefined;
      });
    return this.#beating;
  }

  release(): Promise<void> {
    this.#end("released");
    if (this.#state === "lost") return Promise.resolve();
    // A release that failed may be tried again.
    this.#releasing ??= this.#remove().catch((error: unknown) => {
      this.#releasing = undefined;
      throw error;
    });
    return this.#releasing;
  }

  async stop(): Promise<{ abandoned: number }> {
    const isHeld = this.#state === "held";
    const released = this.release();
    // It was not the holder who gave it up: whatever it still does, it does without the lease.
    if (isHeld) this.#lost.abort(closedError("the bus"));
    await released;
    return { abandoned: 0 };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  async #remove(): Promise<void> {
    await this.#beating?.catch(() => undefined);
    const { store } = this.#context;
    if (this.#unsure && !(await this.#readBack())) return;
    await store.remove(this.#grant.key, this.#revision);
  }

  async #beat(): Promise<void> {
    const { clock } = this.#context;
    for (;;) {
      this.#checkHeld();
      const sentAt = clock.monotonic();
      const revision = await this.#tryWrite();
      if (revision !== undefined) {
        this.#revision = revision;
        this.#unsure = false;
        if (this.#state === "held") this.#confirmed(sentAt);
        // `lost` is final, also if the answer comes after it. A release under way is no failure.
        if (this.#lost.signal.aborted) throw this.#lostError();
        return;
      }
      // An earlier heartbeat may have been written without its answer reaching us.
      if (!(await this.#readBack())) this.#end("lost");
    }
  }

  #checkHeld(): void {
    this.#checkTime();
    if (this.#state === "released") throw closedError(`the lease on ${this.key}`);
    if (this.#state === "lost") throw this.#lostError();
  }

  async #tryWrite(): Promise<number | undefined> {
    const { store, clock } = this.#context;
    const { key, value } = this.#grant;
    // A renewal that comes after the lease was lost would only keep others waiting.
    const limitMs = Math.max(1, this.#deadline - clock.monotonic());
    try {
      return await store.write(key, value, this.#revision, limitMs);
    } catch (error) {
      if (errorCode(error) === "CONFLICT") return undefined;
      this.#unsure = true;
      throw error;
    }
  }

  /** Takes over the revision of the record if it is still this lease's. */
  async #readBack(): Promise<boolean> {
    const record = await this.#context.store.read(this.#grant.key);
    if (!record || decode(record.value)?.token !== this.#grant.stored.token) return false;
    this.#revision = record.revision;
    return true;
  }

  #confirmed(sentAt: number): void {
    const { ttlMs } = this.#grant.stored;
    this.#deadline = sentAt + ttlMs - leaseMarginMs(ttlMs);
    this.#timer?.cancel();
    const leftMs = this.#deadline - this.#context.clock.monotonic();
    this.#timer = this.#context.clock.setTimer(() => this.#checkTime(), leftMs, {
      keepAlive: false,
    });
    this.#checkTime();
  }

  /** A paused process finds out here, not by its timers. */
  #checkTime(): void {
    if (this.#context.clock.monotonic() >= this.#deadline) this.#end("lost");
  }

  #end(state: "released" | "lost"): void {
    if (this.#state !== "held") return;
    this.#state = state;
    this.#timer?.cancel();
    this.#context.lifecycle.remove(this);
    if (state === "lost") this.#lost.abort(this.#lostError());
  }

  #lostError(): BusError {
    return new BusError("LEASE_LOST", `the lease on ${this.key} (fence ${this.fence}) is over`, {
      details: { key: this.key, fence: this.fence },
    });
  }
}

/** Waits for a change of the key, a time, or an abort, whichever comes first. */
class Wake {
  readonly #clock: Clock;
  readonly #signals: readonly AbortSignal[];
  #subscription: { close(): void } | undefined;
  #changed = false;
  #notify: (() => void) | undefined;

  constructor(clock: Clock, signals: readonly AbortSignal[]) {
    this.#clock = clock;
    this.#signals = signals;
    for (const signal of signals) signal.addEventListener("abort", this.#onEvent);
  }

  readonly #onEvent = (): void => {
    this.#changed = true;
    this.#notify?.();
  };

  get aborted(): boolean {
    return this.#signals.some((signal) => signal.aborted);
  }

  check(): void {
    for (const signal of this.#signals) signal.throwIfAborted();
  }

  /** True if it has just begun to listen. */
  async listen(store: LeaseStore, key: string): Promise<boolean> {
    if (this.#subscription) return false;
    this.#subscription = await store.subscribe(key, this.#onEvent);
    return true;
  }

  async wait(limitMs: number): Promise<void> {
    if (!this.#changed) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.setTimer(resolve, limitMs);
        this.#notify = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.#notify = undefined;
    this.#changed = false;
  }

  close(): void {
    this.#subscription?.close();
    for (const signal of this.#signals) signal.removeEventListener("abort", this.#onEvent);
  }
}

function decode(value: Uint8Array): StoredLease | undefined {
  try {
    const { owner, ttlMs, token } = JSON.parse(toText(value)) as Record<string, unknown>;
    if (typeof owner !== "string" || typeof ttlMs !== "number" || typeof token !== "string") {
      return undefined;
    }
    return { owner, ttlMs, token };
  } catch {
    return undefined;
  }
}

function held(name: string, owner: string | undefined, leftMs: number): BusError {
  return new BusError("LEASE_HELD", `the lease on ${name} is held by ${owner ?? "somebody"}`, {
    details: { key: name, owner, leftMs: Math.ceil(leftMs) },
  });
}
