import {
  BusError,
  type Bus,
  type BucketDefinition,
  type Clock,
  defineBucket,
  errorCode,
  type Lease,
  newId,
  type Random,
  systemClock,
  systemRandom,
  type Timer,
  type TypedBucket,
  typedBus,
} from "@busbar/core";
import { checkDuration, checkInteger, checkKey, closedError } from "@busbar/core/adapter";
import { z } from "zod";
import { changeEntry, type ChangeParts } from "../change-entry.ts";

/** How {@link Permits.open} is called. */
export interface PermitsOptions {
  /** Those who share permits have one pool: a plain name. @defaultValue "permits" */
  readonly pool?: string | undefined;
  /**
   * How long the permits of a process that died stay taken, in milliseconds, 500 to 86_400_000; a
   * third longer where others know that it was alive. The process renews one lease of this length,
   * whatever it holds.
   * @defaultValue 15_000
   */
  readonly ttlMs?: number | undefined;
  /** The clock of this process. Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** Default: the machine's randomness. */
  readonly random?: Random | undefined;
}

interface Holdings {
  /** Permits by holder, 1 or more. */
  readonly holders: Readonly<Record<string, number>>;
}

const schema: z.ZodType<Holdings, unknown> = z.strictObject({
  holders: z.record(z.string(), z.int().min(1)),
});

type HoldingsBucket = TypedBucket<typeof schema>;

/** What a holder that is alive is not asked again, in parts of the TTL. */
const ALIVE_FOR = 1 / 3;
/** Of how many holders that is remembered. */
const MAX_KNOWN = 10_000;
/** How often the lease is renewed, in parts of the TTL. */
const RENEWED_EVERY = 1 / 4;

/**
 * Counting semaphores that many processes share: of each key no more permits are held at a time than
 * its limit, whatever is paused, cut off or killed.
 *
 * A process has one lease, and in the record of each key the number that it holds there. Its permits
 * are good as long as its lease is, by its own monotonic clock. Others take them away when the lease is
 * over at the server, which is later; so nobody renews permits one by one.
 *
 * States: *open* -> the lease was lost -> *lost*: nothing is held any more, open another one;
 * *open* -> `close()` -> *closed*: everything was given back.
 *
 * *Concurrency*: any number of processes; calls for one key are done one after the other.
 */
export class Permits implements AsyncDisposable {
  /** Names this holder; no other one ever has this name. */
  readonly holder: string;
  readonly #bus: Bus;
  readonly #pool: string;
  readonly #ttlMs: number;
  readonly #parts: ChangeParts;
  readonly #bucket: HoldingsBucket;
  readonly #lease: Lease;
  readonly #lost = new AbortController();
  readonly #held = new Map<string, number>();
  /** Keys whose last write has an unknown outcome: it may still arrive, unless another one came first. */
  readonly #unsure = new Set<string>();
  /** The last call for a key: the next one waits for it. */
  readonly #calls = new Map<string, Promise<unknown>>();
  /** Until when a holder is taken for alive, by the monotonic clock. */
  readonly #aliveUntilMs = new Map<string, number>();
  #renewal: Timer | undefined;
  #closing: Promise<void> | undefined;

  private constructor(bus: Bus, lease: Lease, options: ResolvedOptions) {
    const { pool, ttlMs, clock, random } = options;
    this.holder = lease.key;
    this.#bus = bus;
    this.#lease = lease;
    this.#pool = pool;
    this.#ttlMs = ttlMs;
    this.#parts = { clock, random };
    this.#bucket = typedBus(bus).bucket(definition(pool));
    lease.lost.addEventListener("abort", () => this.lost);
    this.#renewLater();
  }

  /** Takes a lease for this process. @throws BusError as `KvStore.lease`; RangeError */
  static async open(bus: Bus, options: PermitsOptions = {}): Promise<Permits> {
    const { pool = "permits", ttlMs = 15_000 } = options;
    const { clock = systemClock, random = systemRandom } = options;
    checkDuration("ttlMs", ttlMs, 500, 86_400_000);
    const lease = await bus.kv.lease(pool, newId(random), { ttlMs });
    return new Permits(bus, lease, { pool, ttlMs, clock, random });
  }

  /** Aborts, with `LEASE_LOST` or `CLOSED` as reason, when everything that is held is lost. */
  get lost(): AbortSignal {
    // A paused process finds out by asking, not by a timer.
    if (this.#lease.lost.aborted) this.#lost.abort(this.#lease.lost.reason);
    return this.#lost.signal;
  }

  /** How many permits of a key this process may use at this moment. */
  held(key: string): number {
    if (this.#closing !== undefined || this.lost.aborted) return 0;
    return this.#held.get(key) ?? 0;
  }

  /**
   * Takes up to `wanted` more permits of a key, as many as there are left below `limit`. The limit is
   * not stored: if it has become smaller, nobody gets one until enough were given back.
   * @returns how many it got, from 0 to `wanted`
   * @throws BusError `LEASE_LOST`, `CLOSED`, and those of `KvStore`: after `TIMEOUT` call it again or
   *   `release`, either puts the record in order
   */
  acquire(key: string, wanted: number, limit: number): Promise<number> {
    return this.#inOrder(key, async () => {
      checkInteger("wanted", wanted, 1, 1_000_000);
      checkInteger("limit", limit, 0, 1_000_000_000);
      const before = this.#held.get(key) ?? 0;
      await this.#write(key, before + wanted, limit);
      return (this.#held.get(key) ?? 0) - before;
    });
  }

  /** Gives permits of a key back. @throws RangeError if it has fewer; BusError as {@link Permits.acquire} */
  release(key: string, count: number): Promise<void> {
    return this.#inOrder(key, async () => {
      const before = this.#held.get(key) ?? 0;
      checkInteger("count", count, 1, before);
      // They are not used any more, whether the record tells it or not.
      this.#held.set(key, before - count);
      await this.#write(key, before - count, Number.POSITIVE_INFINITY);
    });
  }

  /**
   * Gives everything back. Close it before its bus: that gives the lease back while permits may still
   * be in use. Idempotent.
   */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#renewal?.cancel();
    // Others would find it all without a holder; told by the records they find it sooner.
    const keys = [...this.#held.keys()];
    this.#held.clear();
    await Promise.allSettled(keys.map((key) => this.#leave(key)));
    await this.#lease.release();
  }

  async #leave(key: string): Promise<void> {
    await this.#calls.get(key)?.catch(() => undefined);
    await this.#bury(key, [this.holder]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Sets what this process holds, to as much of `target` as the limit leaves. */
  async #write(key: string, target: number, limit: number): Promise<void> {
    const held = this.#held.get(key) ?? 0;
    for (;;) {
      this.#checkHeld();
      const holdings = await this.#change(key, held, (others) =>
        Math.max(held, Math.min(target, limit - others)),
      );
      this.#unsure.delete(key);
      this.#checkHeld();
      const mine = holdings[this.holder] ?? 0;
      if (mine === 0) this.#held.delete(key);
      else this.#held.set(key, mine);
      if (mine >= target) return;
      const dead = await this.#dead(holdings);
      if (dead.length === 0) return;
      await this.#bury(key, dead);
    }
  }

  /** Writes the share of this process. `share` gives it, knowing what the others hold. */
  async #change(
    key: string,
    held: number,
    share: (others: number) => number,
  ): Promise<Holdings["holders"]> {
    const entry = await changeEntry(
      this.#bucket,
      key,
      (current) => {
        const { [this.holder]: mine = 0, ...others } = current?.value.holders ?? {};
        if (mine < held) throw this.#robbed();
        const next = share(sum(others));
        if (next === mine && (current === undefined || !this.#unsure.has(key))) return undefined;
        return { holders: next === 0 ? others : { ...others, [this.holder]: next } };
      },
      this.#parts,
    );
    return entry?.value.holders ?? {};
  }

  /** Those of the holders whose lease is over. */
  async #dead(holdings: Holdings["holders"]): Promise<string[]> {
    const others = Object.keys(holdings).filter((holder) => holder !== this.holder);
    const verdicts = await Promise.all(others.map((holder) => this.#isDead(holder)));
    return others.filter((_, index) => verdicts[index]);
  }

  async #isDead(holder: string): Promise<boolean> {
    const { clock } = this.#parts;
    const nowMs = clock.monotonic();
    if (nowMs < (this.#aliveUntilMs.get(holder) ?? 0)) return false;
    try {
      // A lease that can be had is held by nobody, and its holder never takes it again.
      const lease = await this.#bus.kv.lease(this.#pool, holder, { ttlMs: this.#ttlMs });
      await lease.release();
      this.#aliveUntilMs.delete(holder);
      return true;
    } catch (error) {
      if (errorCode(error) !== "LEASE_HELD") throw error;
      if (this.#aliveUntilMs.size >= MAX_KNOWN) this.#aliveUntilMs.clear();
      this.#aliveUntilMs.set(holder, nowMs + this.#ttlMs * ALIVE_FOR);
      return false;
    }
  }

  /** Takes the dead out of a record. */
  async #bury(key: string, dead: readonly string[]): Promise<void> {
    await changeEntry(
      this.#bucket,
      key,
      (current) => {
        const all = Object.entries(current?.value.holders ?? {});
        const living = all.filter(([holder]) => !dead.includes(holder));
        if (living.length === all.length) return undefined;
        return { holders: Object.fromEntries(living) };
      },
      this.#parts,
    );
  }

  async #inOrder<T>(key: string, work: () => Promise<T>): Promise<T> {
    checkKey(key);
    this.#checkHeld();
    const before = this.#calls.get(key) ?? Promise.resolve();
    const sure = async (): Promise<T> => {
      try {
        return await work();
      } catch (error) {
        this.#unsure.add(key);
        throw error;
      }
    };
    const call = before.then(sure, sure);
    this.#calls.set(key, call);
    try {
      return await call;
    } finally {
      if (this.#calls.get(key) === call) this.#calls.delete(key);
    }
  }

  /** Somebody took this process for dead, or the server has lost what it had confirmed. */
  #robbed(): BusError {
    const { holder } = this;
    const message = `the permits of ${holder} are lost`;
    const error = new BusError("LEASE_LOST", message, { details: { holder } });
    this.#lost.abort(error);
    return error;
  }

  #checkHeld(): void {
    if (this.#closing !== undefined) throw closedError("the permits");
    this.lost.throwIfAborted();
  }

  #renewLater(): void {
    const { clock } = this.#parts;
    this.#renewal = clock.setTimer(() => void this.#renew(), this.#ttlMs * RENEWED_EVERY, {
      keepAlive: false,
    });
  }

  async #renew(): Promise<void> {
    try {
      await this.#lease.heartbeat();
    } catch {
      // Lost is told by the signal; anything else is tried again until then.
    }
    if (this.#closing === undefined && !this.lost.aborted) this.#renewLater();
  }
}

type ResolvedOptions = {
  [Name in keyof PermitsOptions]-?: Exclude<PermitsOptions[Name], undefined>;
};

function definition(pool: string): BucketDefinition<typeof schema> {
  return defineBucket({ bucket: pool, schema });
}

function sum(holders: Holdings["holders"]): number {
  return Object.values(holders).reduce((total, count) => total + count, 0);
}
