import { BusError, errorCode } from "@busbar/core";
import { DEFAULT_TIMEOUT_MS } from "@busbar/core/adapter";
import type { NatsContext } from "../context.ts";
import { ownBytes } from "../wire/bytes.ts";
import { encodeHeaders, type Fields } from "../wire/headers.ts";
import type { StoredRecord } from "../wire/jetstream-api.ts";
import type { Bucket, Buckets } from "./bucket.ts";
import { endOf, isRemoval, type StoredValue } from "./entry.ts";

/** How long 2.9 may take for a read before the bucket is looked up again. */
const OLD_READ_TIMEOUT_MS = 1_000;
/** Pause before a bucket that was lost is looked up again. */
const REOPEN_MS = 20;

/** A stored message, and whether it is no value: deleted, or its time is over. */
export interface ReadValue extends StoredValue {
  readonly over: boolean;
}

/** What goes into a bucket. */
export interface Write {
  readonly bucket: string;
  readonly key: string;
  readonly payload: Uint8Array;
}

/** Reads and writes single messages of buckets, also of those that were removed and made again. */
export class Values {
  readonly #context: NatsContext;
  readonly #buckets: Buckets;

  constructor(context: NatsContext, buckets: Buckets) {
    this.#context = context;
    this.#buckets = buckets;
  }

  /** Stores a message. @returns its revision */
  async write({ bucket, key, payload }: Write, fields: Fields): Promise<number> {
    const { api } = this.#context;
    const headers = fields.length === 0 ? undefined : encodeHeaders({}, fields);
    const send = async ({ prefix }: Bucket): Promise<number> => {
      const { sequence } = await api.publish({
        subject: prefix + key,
        payload,
        headers,
        timeoutMs: DEFAULT_TIMEOUT_MS,
        what: `write of key ${key} in bucket ${bucket}`,
        onNoResponders: () => bucketGone(bucket),
      });
      return sequence;
    };
    return this.onBucket(bucket, send);
  }

  /** The last message of a key, if only the trace of a value. */
  read(bucket: string, key: string): Promise<ReadValue | undefined> {
    // 2.9 says nothing where nobody answers a direct get; a read can be tried again.
    const again = this.#context.link.features.v2_10 ? isGone : isGoneOrSilent;
    return this.onBucket(bucket, (opened) => this.#readOnce(bucket, opened, key), again);
  }

  /** What is kept of a key, oldest first, removals included. */
  history(bucket: string, key: string): Promise<StoredValue[]> {
    return this.onBucket(bucket, (opened) => this.#historyOnce(bucket, opened, key));
  }

  async #historyOnce(name: string, bucket: Bucket, key: string): Promise<StoredValue[]> {
    const { api } = this.#context;
    const subject = bucket.prefix + key;
    const last = await api.lastByLeader(bucket.stream, subject);
    if (last === undefined && !(await api.streamInfo(bucket.stream))) throw bucketGone(name);
    const values: StoredValue[] = [];
    for (let sequence = 0; last !== undefined && sequence < last.sequence; ) {
      const record = await api.nextByLeader(bucket.stream, sequence + 1, subject);
      if (record === undefined || record.sequence > last.sequence) break;
      sequence = record.sequence;
      const stored = this.#withEnd(name, bucket, fromRecord(key, record));
      // The bucket's own TTL is for the trace of a removed value too.
      const traceEnd = endOf(stored.createdAtMs, undefined, bucket.ttlMs);
      const isTrace = isRemoval(stored.headers) && !this.#isOver(name, bucket, traceEnd);
      if (!stored.over || isTrace) values.push(stored);
    }
    return values;
  }

  async #readOnce(name: string, bucket: Bucket, key: string): Promise<ReadValue | undefined> {
    const { api, link } = this.#context;
    const { stream, prefix } = bucket;
    if (bucket.readFromLeader) {
      const record = await api.lastByLeader(stream, prefix + key);
      return record && this.#withEnd(name, bucket, fromRecord(key, record));
    }
    const stored = await api.lastOn(stream, prefix + key, {
      onNoResponders: () => bucketGone(name),
      ...(link.features.v2_10 ? {} : { timeoutMs: OLD_READ_TIMEOUT_MS }),
    });
    if (stored === undefined) return undefined;
    const { sequence: revision, timeMs: createdAtMs, message } = stored;
    const { headers } = message;
    const value = ownBytes(message.data);
    return this.#withEnd(name, bucket, { key, revision, createdAtMs, headers, value });
  }

  #withEnd(name: string, bucket: Bucket, stored: StoredValue): ReadValue {
    const { headers, createdAtMs } = stored;
    if (isRemoval(headers)) return { ...stored, over: true };
    const end = endOf(createdAtMs, headers, bucket.ttlMs);
    return { ...stored, over: this.#isOver(name, bucket, end) };
  }

  /** Whether a time of a bucket's server is over. */
  #isOver(name: string, bucket: Bucket, end: number): boolean {
    if (end === Number.POSITIVE_INFINITY) return false;
    this.#buckets.refreshTime(bucket);
    const over = end <= bucket.time.atLeastMs;
    // A bucket that was made anew may have another TTL: its values are judged by what it is now.
    if (over && bucket.ttlMs > 0 && end > bucket.knownMs) throw bucketGone(name);
    return over;
  }

  /**
   * Does something with a bucket. Where nobody answers, the bucket was removed by somebody else or
   * lost with its server's memory: it is looked up again, and made again.
   */
  async onBucket<T>(
    name: string,
    use: (bucket: Bucket) => Promise<T>,
    again: (error: unknown) => boolean = isGone,
  ): Promise<T> {
    const { clock } = this.#context.link;
    let deadline: number | undefined;
    for (;;) {
      const bucket = await this.#buckets.open(name);
      try {
        return await use(bucket);
      } catch (error) {
        if (!again(error)) throw error;
        deadline ??= clock.monotonic() + DEFAULT_TIMEOUT_MS;
        if (clock.monotonic() >= deadline) throw error;
      }
      this.#buckets.forget(name);
      // A server that has just started may know the stream before it serves it.
      await clock.sleep(REOPEN_MS);
    }
  }
}

function isGone(error: unknown): boolean {
  return errorCode(error) === "NOT_FOUND";
}

function isGoneOrSilent(error: unknown): boolean {
  return isGone(error) || errorCode(error) === "TIMEOUT";
}

function fromRecord(key: string, record: StoredRecord): StoredValue {
  const { sequence, timeMs, headers, data } = record;
  return { key, revision: sequence, createdAtMs: timeMs, headers, value: data };
}

function bucketGone(bucket: string): BusError {
  return new BusError("NOT_FOUND", `bucket ${bucket}: its stream is not there`, {
    details: { bucket },
  });
}
