import {
  BusError,
  errorCode,
  isBusError,
  type Lease,
  newId,
  type TypedBucket,
  typedBus,
} from "@busbar/core";
import { changeEntry } from "../change-entry.ts";
import { KeptLease } from "../locks/kept-lease.ts";
import { leaseHolder } from "../locks/lease-holder.ts";
import {
  checkCandidate,
  type LeaderElectionOptions,
  type ResolvedElectionOptions,
  resolveElectionOptions,
} from "./election-options.ts";
import { type ElectionRecord, electionBucket, KEPT_TERMS } from "./election-record.ts";
import { type Leader, Leadership } from "./leadership.ts";

/** What {@link LeaderElection} methods that wait may be told. */
export interface ElectionWaitOptions {
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * What does not end a campaign, besides errors that are `retryable`: a lease that was lost again at once,
 * and a bucket that is not there while the servers of a cluster change over.
 */
const PASSING: ReadonlySet<unknown> = new Set(["LEASE_LOST", "NOT_FOUND"]);

/** What a leader does: it has to end soon after `leadership.lost` aborts. */
export type LeaderWork = (leadership: Leadership) => Promise<void>;

/**
 * One leader among any number of candidates, whatever is paused, cut off or killed.
 *
 * Who leads is decided by one lease, and nothing else. A leader stops by its own monotonic clock before
 * that lease can end at the server. It still may be too late where it cannot stop: a write that was on
 * its way. Therefore give its term along with what it writes, and refuse smaller ones: see
 * `FencedBucket`.
 *
 * A term is taken by writing it down while the lease is held. Terms count up by one, and their order is
 * that of the leases.
 *
 * *Concurrency*: any number of processes. One `campaign` at a time for each candidate: a second one
 * waits for the first one's leadership to end.
 */
export class LeaderElection {
  readonly #options: ResolvedElectionOptions;
  readonly #records: TypedBucket<ReturnType<typeof electionBucket>["schema"]>;
  #ready: Promise<void> | undefined;
  #current: Leadership | undefined;

  /** @throws RangeError or TypeError if durations do not go together; BusError `INVALID_ARGUMENT` */
  constructor(options: LeaderElectionOptions) {
    this.#options = resolveElectionOptions(options);
    const { bus, bucket } = this.#options;
    this.#records = typedBus(bus).bucket(electionBucket(bucket));
  }

  /** Who this is. */
  get candidateId(): string {
    return this.#options.candidateId;
  }

  /**
   * Waits until this candidate leads, through lost connections too.
   * @throws the signal's reason; BusError if waiting does not help, such as `CLOSED`
   */
  async campaign({ signal }: ElectionWaitOptions = {}): Promise<Leadership> {
    const { clock, random, renewEveryMs, handOverMs } = this.#options;
    const heldBack = { revision: 0 };
    for (;;) {
      signal?.throwIfAborted();
      try {
        await this.#ensureBucket();
        const leadership = await this.#stand(heldBack, signal);
        if (leadership) return leadership;
        await clock.sleep(handOverMs, { signal });
      } catch (error) {
        signal?.throwIfAborted();
        if (!isPassing(error) && !PASSING.has(errorCode(error))) throw error;
        if (errorCode(error) !== "LEASE_HELD") {
          await clock.sleep(random.next() * renewEveryMs, { signal });
        }
      }
    }
  }

  /**
   * Campaigns, does the work while it leads, and campaigns again when the leadership has ended and the
   * work with it. The work hears of the end by `leadership.lost`, also when `signal` aborts: the lease
   * is given back only when the work has ended, so that nobody leads meanwhile.
   *
   * Resolves when the signal aborts, or when the work is done while it still leads. An error of the work
   * that is `retryable`, or that comes after the end, is taken as a consequence of trouble with the
   * server: it campaigns again. Any other one is thrown, after resigning.
   */
  async whileLeader(work: LeaderWork, { signal }: ElectionWaitOptions = {}): Promise<void> {
    const { clock, random, renewEveryMs } = this.#options;
    while (!signal?.aborted) {
      try {
        const leadership = await this.campaign({ signal });
        if (await lead(leadership, work, signal)) return;
        // Somebody else may have better luck.
        await clock.sleep(random.next() * renewEveryMs, { signal });
      } catch (error) {
        if (!signal?.aborted || error !== signal.reason) throw error;
      }
    }
  }

  /** Ends the leadership of this candidate, if it has one. @throws BusError if the server cannot be told */
  async resign(): Promise<void> {
    await this.#current?.resign();
  }

  /** Who leads at this moment, by the lease itself; `undefined` if nobody does. */
  async leader(): Promise<Leader | undefined> {
    const { bus, bucket, name } = this.#options;
    await this.#ensureBucket();
    const holder = await leaseHolder(bus, bucket, name);
    if (holder === undefined) return undefined;
    const entry = await this.#records.get(name);
    // Who has the lease and no term yet does not lead yet.
    return entry?.value.owner === holder.owner ? leaderOf(entry.value) : undefined;
  }

  /**
   * Every term in order, from the last one that began. An observer that is cut off for more than 64
   * changes sees by the numbers that it missed some. Ends with its signal or its bus.
   */
  async *observe({ signal }: ElectionWaitOptions = {}): AsyncGenerator<Leader, void> {
    await this.#ensureBucket();
    await using watch = await this.#records.watch({
      key: this.#options.name,
      ...(signal && { signal }),
    });
    let last = 0;
    for await (const event of watch) {
      if (event.type !== "put" || event.value.term <= last) continue;
      last = event.value.term;
      yield leaderOf(event.value);
    }
  }

  /** Waits for the lease and takes the next term; `undefined` where another candidate comes first. */
  async #stand(
    heldBack: { revision: number },
    signal: AbortSignal | undefined,
  ): Promise<Leadership | undefined> {
    const { bus, bucket, name, candidateId, clock, random } = this.#options;
    const { ttlMs, renewEveryMs, stepDownMs } = this.#options;
    const owner = `${candidateId}.${newId(random, 12)}`;
    const held = await bus.kv.lease(bucket, name, {
      ttlMs,
      owner,
      waitMs: ttlMs,
      ...(signal && { signal }),
    });
    const lease = new KeptLease(held, { ttlMs, renewEveryMs, giveUpMs: stepDownMs, clock });
    try {
      const record = await this.#takeTerm(held, heldBack.revision);
      if (record.value.owner === owner) {
        lease.lost.throwIfAborted();
        signal?.throwIfAborted();
        const nominate = (successor: string): Promise<void> => this.#nominate(owner, successor);
        this.#current = new Leadership({ leader: leaderOf(record.value), lease, nominate });
        return this.#current;
      }
      heldBack.revision = record.revision;
    } catch (error) {
      await lease.release().catch(() => undefined);
      throw error;
    }
    await lease.release();
    return undefined;
  }

  /** Writes the next term; leaves the record alone where it names another candidate as the next leader. */
  async #takeTerm(
    { owner, fence }: Lease,
    heldBackRevision: number,
  ): Promise<{ value: ElectionRecord; revision: number }> {
    const { name, candidateId, metadata } = this.#options;
    const entry = await changeEntry(
      this.#records,
      name,
      (current) => {
        const { term = 0, successor = candidateId, fence: last = 0 } = current?.value ?? {};
        if (last > fence) throw this.#over(fence);
        if (successor !== candidateId && current?.revision !== heldBackRevision) return undefined;
        return { term: term + 1, leader: candidateId, metadata, owner, fence };
      },
      this.#options,
    );
    if (entry === undefined) throw this.#over(fence);
    return entry;
  }

  async #nominate(owner: string, successor: string): Promise<void> {
    checkCandidate(successor);
    await changeEntry(
      this.#records,
      this.#options.name,
      (current) => {
        if (current?.value.owner !== owner) throw this.#over(current?.value.fence ?? 0);
        return { ...current.value, successor };
      },
      this.#options,
    );
  }

  #over(fence: number): BusError {
    const { name } = this.#options;
    const message = `the leadership of ${name} (lease ${fence}) is over`;
    return new BusError("LEASE_LOST", message, { details: { name, fence } });
  }

  #ensureBucket(): Promise<void> {
    const { bus, bucket } = this.#options;
    this.#ready ??= bus.kv.ensureBucket(bucket, { history: KEPT_TERMS }).catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }
}

/** @returns whether the work is done for good */
async function lead(
  leadership: Leadership,
  work: LeaderWork,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const stop = (): void => leadership.end(signal?.reason);
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    await work(leadership);
    return !leadership.lost.aborted;
  } catch (error) {
    if (!leadership.lost.aborted && !isPassing(error)) throw error;
    return false;
  } finally {
    signal?.removeEventListener("abort", stop);
    // If the server cannot be told, the lease ends by itself.
    await leadership.resign().catch(() => undefined);
  }
}

/** Whether the same may succeed later. */
function isPassing(error: unknown): boolean {
  return isBusError(error) && error.retryable;
}

function leaderOf({ term, leader, metadata }: ElectionRecord): Leader {
  return { term, leader, metadata };
}
