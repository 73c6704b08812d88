import {
  type Bus,
  BusError,
  type Clock,
  errorCode,
  isBusError,
  newId,
  type Random,
  systemClock,
  systemRandom,
} from "@busbar/core";
import { checkDuration, checkKey, checkName } from "@busbar/core/adapter";
import { KeptLease } from "./kept-lease.ts";
import { leaseHolder, PROBE, PROBE_TTL_MS } from "./lease-holder.ts";
import { Lock } from "./lock.ts";
import { WaitingLine, type WaitLimits } from "./waiting-line.ts";

/** Options of {@link Locks}. */
export interface LocksOptions {
  readonly bus: Bus;
  /** Those who share locks give the same one. @defaultValue "locks" */
  readonly bucket?: string | undefined;
  /** Who this is: a plain name, shown to others. Default: a random id. */
  readonly owner?: string | undefined;
  /**
   * How long the lock of a process that died stays locked, and its place in a line taken, in
   * milliseconds, 200 to 86_400_000.
   * @defaultValue 15_000
   */
  readonly ttlMs?: number | undefined;
  /** The clock of this process. Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** Default: the machine's randomness. */
  readonly random?: Random | undefined;
}

/** Options of {@link Locks.tryAcquire}. */
export interface LockOptions {
  /** As in {@link LocksOptions}, for this lock. */
  readonly ttlMs?: number | undefined;
}

/** Options of {@link Locks.acquire}. */
export interface AcquireOptions extends LockOptions {
  /** Most milliseconds to wait. Default: no limit. */
  readonly waitMs?: number | undefined;
  /** Stops waiting. It does not release a lock that was granted. */
  readonly signal?: AbortSignal | undefined;
}

/** Who holds a lock. */
export interface LockHolder {
  readonly owner: string;
  /** When it ends if it is not renewed, by the wall clock of this process. */
  readonly expiresAtMs: number;
}

const MAX_TTL_MS = 86_400_000;
const MAX_WAIT_MS = 315_360_000_000;

/**
 * Locks that many processes share. Each is one lease: nobody else has it while `lock.lost` has not
 * aborted, whatever is paused, cut off or killed, and it is renewed by itself as long as its process lives.
 *
 * Those who wait get it in the order in which they began to wait. Who dies, gives up or is cut off while
 * waiting loses its place; the others go on.
 *
 * Not re-entrant: who asks again for a lock that it holds waits for itself.
 *
 * *Concurrency*: any number of processes, and of calls in each.
 */
export class Locks {
  readonly #bus: Bus;
  readonly #bucket: string;
  readonly #owner: string;
  readonly #ttlMs: number;
  readonly #clock: Clock;
  readonly #line: WaitingLine;

  /** @throws RangeError, TypeError, BusError `INVALID_ARGUMENT` */
  constructor(options: LocksOptions) {
    const { bus, bucket = "locks", ttlMs = 15_000 } = options;
    const { clock = systemClock, random = systemRandom } = options;
    checkName("bucket", bucket);
    this.#bus = bus;
    this.#bucket = bucket;
    this.#owner = options.owner ?? newId(random);
    checkName("owner", this.#owner);
    this.#ttlMs = checkDuration("ttlMs", ttlMs, 200, MAX_TTL_MS);
    this.#clock = clock;
    this.#line = new WaitingLine({ bus, bucket, ttlMs, clock, random });
  }

  /** The lock if it is free and nobody waits for it, else `undefined`. @throws RangeError; BusError */
  async tryAcquire(key: string, options: LockOptions = {}): Promise<Lock | undefined> {
    checkKey(key);
    const ttlMs = this.#checkTtl(options);
    if (!(await this.#line.isEmpty(key))) return undefined;
    try {
      return await this.#take(key, ttlMs, 0);
    } catch (error) {
      if (errorCode(error) !== "LEASE_HELD") throw error;
      return undefined;
    }
  }

  /**
   * Waits for the lock.
   * @throws BusError `LEASE_HELD` when `waitMs` is over; `TIMEOUT`, `DISCONNECTED`: its place in the
   *   line is lost, ask again; the signal's reason; RangeError
   */
  async acquire(key: string, options: AcquireOptions = {}): Promise<Lock> {
    const { signal, waitMs = MAX_WAIT_MS } = options;
    checkDuration("waitMs", waitMs, 0, MAX_WAIT_MS);
    const ttlMs = this.#checkTtl(options);
    const deadlineMs = this.#clock.monotonic() + waitMs;
    signal?.throwIfAborted();
    const lock = await this.tryAcquire(key, options);
    if (lock) return lock;
    for (;;) {
      signal?.throwIfAborted();
      const ticket = await this.#line.join(key);
      const ends = [ticket.lease.lost, ...(signal ? [signal] : [])];
      const limits = { deadlineMs, signal: AbortSignal.any(ends) };
      try {
        await this.#line.untilFirst(ticket, limits);
        return await this.#wait(key, ttlMs, limits);
      } catch (error) {
        signal?.throwIfAborted();
        // Others went on without it: it begins anew.
        if (errorCode(error) !== "LEASE_LOST") throw this.#shown(error, key);
      } finally {
        await this.#line.leave(ticket);
      }
    }
  }

  /**
   * Does the work while it holds the lock. The work has to end soon after `lock.lost` aborts.
   * @returns what the work gives
   * @throws what `acquire` and the work throw; `LEASE_LOST` if the lock was lost before the work was done
   */
  async withLock<T>(
    key: string,
    work: (lock: Lock) => Promise<T>,
    options: AcquireOptions = {},
  ): Promise<T> {
    const lock = await this.acquire(key, options);
    try {
      const value = await work(lock);
      lock.lost.throwIfAborted();
      return value;
    } finally {
      // If the server cannot be told, it ends by itself.
      await lock.release().catch(() => false);
    }
  }

  /** Who holds the lock at this moment, by the lease itself; `undefined` if it is free. */
  async holder(key: string): Promise<LockHolder | undefined> {
    checkKey(key);
    const holder = await leaseHolder(this.#bus, this.#bucket, key);
    if (holder === undefined) return undefined;
    return { owner: holder.owner, expiresAtMs: Math.floor(this.#clock.now() + holder.leftMs) };
  }

  async #wait(key: string, ttlMs: number, { deadlineMs, signal }: WaitLimits): Promise<Lock> {
    for (;;) {
      const leftMs = Math.max(0, deadlineMs - this.#clock.monotonic());
      try {
        return await this.#take(key, ttlMs, Math.min(ttlMs, leftMs), signal);
      } catch (error) {
        if (errorCode(error) !== "LEASE_HELD" || this.#clock.monotonic() >= deadlineMs) throw error;
      }
    }
  }

  async #take(key: string, ttlMs: number, waitMs: number, signal?: AbortSignal): Promise<Lock> {
    const { kv } = this.#bus;
    const options = { ttlMs, owner: this.#owner, ...(signal && { signal }) };
    const lease = await kv
      .lease(this.#bucket, key, { ...options, waitMs })
      .catch((error: unknown) => {
        // Somebody only looks whether it is free.
        if (!isProbed(error) || waitMs >= PROBE_TTL_MS) throw error;
        return kv.lease(this.#bucket, key, { ...options, waitMs: PROBE_TTL_MS });
      });
    return new Lock(key, this.#owner, new KeptLease(lease, { ttlMs, clock: this.#clock }));
  }

  /** The end of the wait for somebody's place is the end of the wait for the lock. */
  #shown(error: unknown, key: string): unknown {
    if (errorCode(error) !== "LEASE_HELD") return error;
    return new BusError("LEASE_HELD", `the lock on ${key} did not become free in time`, {
      details: { key },
      cause: error,
    });
  }

  #checkTtl({ ttlMs = this.#ttlMs }: LockOptions): number {
    return checkDuration("ttlMs", ttlMs, 200, MAX_TTL_MS);
  }
}

function isProbed(error: unknown): boolean {
  return isBusError(error) && error.code === "LEASE_HELD" && error.details["owner"] === PROBE;
}
