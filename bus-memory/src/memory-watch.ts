import { BusError, type KvEvent, type KvWatch } from "@busbar/core";
import { Mailbox, type Owned } from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import type { Bucket, BucketWatcher, KvRecord } from "./engine/bucket.ts";
import { Fifo } from "./engine/fifo.ts";

/** How many changes wait for the program before the bucket itself is used as the buffer. */
const MAX_BUFFERED = 4_096;

/** What a {@link MemoryWatch} watches. */
export interface WatchTarget {
  readonly bucket: Bucket;
  readonly matches: (key: string) => boolean;
  /** What is given before the marker. */
  readonly initial: readonly KvRecord[];
  readonly signal: AbortSignal | undefined;
}

/**
 * First what was there, then the marker, then what comes.
 *
 * States: *initial* -> marker -> *live* -> too many changes wait -> *behind* (changes are read from
 * the bucket later, as far as they are kept then) -> all of them given -> *live*.
 */
export class MemoryWatch implements KvWatch, Owned, BucketWatcher {
  readonly #context: BusContext;
  readonly #bucket: Bucket;
  readonly #matches: (key: string) => boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #inbox = new Mailbox<KvEvent>();
  readonly #changes = new Fifo<KvRecord>();
  /** Emptied once it was given: a long watch must not hold old values. */
  #initial: readonly KvRecord[];
  #given = 0;
  #markerGiven = false;
  #isBehind = false;
  /** Of the last change that was given or put into the buffer. */
  #lastRevision = 0;
  #readers = 0;

  constructor(context: BusContext, target: WatchTarget) {
    this.#context = context;
    this.#bucket = target.bucket;
    this.#matches = target.matches;
    this.#signal = target.signal;
    this.#initial = target.initial;
    this.#bucket.watch(this);
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
    context.lifecycle.add(this);
  }

  written(record: KvRecord): void {
    if (!this.#matches(record.key)) return;
    if (this.#readers > 0) {
      // Whoever waits has got everything before.
      this.#readers -= 1;
      this.#inbox.push(toEvent(record));
    } else if (this.#isBehind) {
      return;
    } else if (this.#changes.size < MAX_BUFFERED) {
      this.#changes.push(record);
    } else {
      this.#isBehind = true;
      return;
    }
    this.#lastRevision = record.revision;
  }

  rewound(revision: number): void {
    this.#lastRevision = Math.min(this.#lastRevision, revision);
  }

  bucketDeleted(): void {
    const { name } = this.#bucket;
    this.#leave();
    this.#inbox.fail(
      new BusError("NOT_FOUND", `bucket ${name} was deleted`, { details: { bucket: name } }),
    );
  }

  [Symbol.asyncIterator](): AsyncIterator<KvEvent, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  async close(): Promise<void> {
    this.#leave();
    this.#inbox.end();
  }

  async stop(): Promise<{ abandoned: number }> {
    await this.close();
    return { abandoned: 0 };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #onAbort = (): void => {
    void this.close();
  };

  #next(): Promise<IteratorResult<KvEvent, undefined>> {
    if (this.#inbox.ended) return this.#inbox.next();
    this.#context.tick();
    const event = this.#take();
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    this.#readers += 1;
    return this.#inbox.next();
  }

  #take(): KvEvent | undefined {
    const initial = this.#initial[this.#given];
    if (initial !== undefined) {
      this.#given += 1;
      return toEvent(initial);
    }
    if (!this.#markerGiven) {
      this.#markerGiven = true;
      this.#initial = [];
      this.#given = 0;
      return { type: "initialDone" };
    }
    while (this.#changes.size === 0 && this.#isBehind) this.#catchUp();
    const change = this.#changes.shift();
    return change && toEvent(change);
  }

  #catchUp(): void {
    const records = this.#bucket.after(this.#lastRevision, MAX_BUFFERED);
    this.#isBehind = records.length === MAX_BUFFERED;
    for (const record of records) {
      this.#lastRevision = record.revision;
      if (this.#matches(record.key)) this.#changes.push(record);
    }
  }

  #leave(): void {
    this.#bucket.unwatch(this);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#context.lifecycle.remove(this);
  }
}

/** A record as the program gets it. */
export function toEvent(record: KvRecord): Exclude<KvEvent, { type: "initialDone" }> {
  const { key, value, revision, createdAtMs } = record;
  if (value === undefined) return { type: "delete", key, revision, createdAtMs };
  return { type: "put", key, value: new Uint8Array(value), revision, createdAtMs };
}
