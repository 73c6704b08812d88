import { BusError, type KvEvent, type KvWatch } from "@busbar/core";
import { Mailbox, type Owned } from "@busbar/core/adapter";
import {
  type BucketRow,
  type EntryRow,
  findBucket,
  lastRevision,
  readChanges,
  readEntry,
  toEvent,
} from "./bucket.ts";
import type { BusContext } from "./context.ts";
import type { Retry } from "./wake.ts";

/** How many changes are read at a time. */
const PAGE = 200;

/** What a {@link SqliteWatch} watches. */
export interface WatchTarget {
  readonly bucket: BucketRow;
  readonly matches: (key: string) => boolean;
  /** Resumes after it; `undefined` begins with the current values. */
  readonly afterRevision: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Reads the bucket by revision as the program asks: up to the revision at the start, then the
 * marker, then what comes. It buffers no more than a page.
 *
 * States: *initial* -> marker -> *live* -> `close()` -> *closed*; *initial* or *live* -> the bucket
 * is deleted -> *failed* (the iterator throws `NOT_FOUND`).
 */
export class SqliteWatch implements KvWatch, Owned {
  readonly #context: BusContext;
  readonly #target: WatchTarget;
  readonly #inbox = new Mailbox<KvEvent>();
  readonly #reading: Retry;
  /** Where the initial values end; `undefined` once the marker was given. */
  #initialEnd: number | undefined;
  /** Everything up to here was read. */
  #position: number;
  #page: EntryRow[] = [];
  #readers = 0;

  constructor(context: BusContext, target: WatchTarget) {
    this.#context = context;
    this.#target = target;
    this.#initialEnd = lastRevision(context);
    this.#position = Math.min(target.afterRevision ?? 0, Number.MAX_SAFE_INTEGER);
    const topic = context.topic("bucket", target.bucket.name);
    this.#reading = context.retry([topic], () => this.#give());
    target.signal?.addEventListener("abort", this.#onAbort, { once: true });
    context.lifecycle.add(this);
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
    if (!this.#inbox.ended) {
      this.#readers += 1;
      this.#reading.run();
    }
    return this.#inbox.next();
  }

  /** Gives the readers what there is. */
  #give(): number {
    if (this.#readers > 0) this.#checkBucket();
    while (this.#readers > 0 && !this.#inbox.ended) {
      const event = this.#take();
      if (event === undefined) break;
      this.#readers -= 1;
      this.#inbox.push(event);
    }
    return Number.POSITIVE_INFINITY;
  }

  #checkBucket(): void {
    const { id, name } = this.#target.bucket;
    if (findBucket(this.#context, name)?.id === id) return;
    this.#leave();
    this.#inbox.fail(
      new BusError("NOT_FOUND", `bucket ${name} was deleted`, { details: { bucket: name } }),
    );
  }

  #take(): KvEvent | undefined {
    for (;;) {
      const row = this.#page.shift() ?? this.#read();
      if (row === undefined) {
        if (this.#initialEnd === undefined) return undefined;
        this.#position = Math.max(this.#position, this.#initialEnd);
        this.#initialEnd = undefined;
        return { type: "initialDone" };
      }
      if (this.#isWanted(row)) return toEvent(row);
    }
  }

  #read(): EntryRow | undefined {
    const { bucket } = this.#target;
    const upTo = this.#initialEnd ?? Number.MAX_SAFE_INTEGER;
    const range = { after: this.#position, upTo, limit: PAGE };
    this.#page = readChanges(this.#context, bucket, range);
    this.#position = this.#page.at(-1)?.revision ?? this.#position;
    return this.#page.shift();
  }

  #isWanted(row: EntryRow): boolean {
    const { bucket, matches, afterRevision } = this.#target;
    if (!matches(row.key)) return false;
    // Of what was there at the start only the current values count, unless it resumes.
    if (this.#initialEnd === undefined || afterRevision !== undefined) return true;
    return readEntry(this.#context, bucket, row.key)?.revision === row.revision;
  }

  #leave(): void {
    this.#reading.stop();
    this.#target.signal?.removeEventListener("abort", this.#onAbort);
    this.#context.lifecycle.remove(this);
  }
}
