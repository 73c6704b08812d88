/// <reference lib="esnext.disposable" preserve="true" />
import type { Lease, LeaseOptions } from "./lease.ts";
import type { Payload } from "./payload.ts";

/** Options of a bucket, set when it is made. */
export interface BucketOptions {
  /**
   * How many values per key are kept, 1 to 64. With 1 a watch may skip a value that was overwritten
   * before it was sent; the last one always arrives.
   * @defaultValue 1
   */
  readonly history?: number;
  /** How long a value lives, in milliseconds, 100 or more. Default: for ever. Its end is not watched. */
  readonly ttlMs?: number;
  /** Most bytes of the whole bucket; writes beyond it fail with `LIMIT_EXCEEDED`. Default: no limit. */
  readonly maxBytes?: number;
}

/** One value of a key. */
export interface KvEntry {
  /** The key. */
  readonly key: string;
  /** The bytes; the receiver owns them. */
  readonly value: Uint8Array;
  /** Grows with every write of the bucket, over all keys, not always by one. Never 0. */
  readonly revision: number;
  /** When it was written, by the server's clock, in milliseconds since the Unix epoch. */
  readonly createdAtMs: number;
}

/** What a {@link KvWatch} yields. */
export type KvEvent =
  | ({ readonly type: "put" } & KvEntry)
  | {
      readonly type: "delete";
      readonly key: string;
      readonly revision: number;
      readonly createdAtMs: number;
    }
  /** All values that were there at the start have been given. Comes once, also for an empty bucket. */
  | { readonly type: "initialDone" };

/** Options of {@link KvStore.watch}. */
export interface WatchOptions {
  /**
   * Which keys; may have wildcards (`*` one word, a final `>` the rest).
   * @defaultValue ">"
   */
  readonly key?: string;
  /**
   * Resumes: gives what is kept of the changes after this revision, deletes too, then the marker,
   * then what comes. Without it the last value of every key comes first (no deletes).
   */
  readonly afterRevision?: number;
  /** Closes the watch. */
  readonly signal?: AbortSignal;
}

/**
 * A running watch: iterate over it. Resumes by itself after a reconnect or a restart of the server,
 * with no gap and in the order of revisions.
 */
export interface KvWatch extends AsyncIterable<KvEvent>, AsyncDisposable {
  /** Stops. Idempotent. */
  close(): Promise<void>;
}

/** Options of {@link KvStore.put} and {@link KvStore.create}. */
export interface PutOptions {
  /**
   * How long this value lives, in milliseconds. It takes the place of all that is kept of the key's past,
   * so that nothing older comes to light when it ends. Needs `capabilities.keyTtl`, else `UNSUPPORTED`;
   * rounded up to `capabilities.keyTtlGranularityMs`.
   */
  readonly ttlMs?: number;
}

/** Options of {@link KvStore.delete}. */
export interface DeleteOptions {
  /** Deletes only if the key's revision is this one, else `CONFLICT`. */
  readonly expectedRevision?: number;
}

/** Options of {@link KvStore.keys}. */
export interface KeysOptions {
  /** Which keys; may have wildcards. @defaultValue ">" */
  readonly key?: string;
  /** The `next` of the page before. */
  readonly after?: string;
  /** Most keys of this page, 1 to 10_000. @defaultValue 1_000 */
  readonly limit?: number;
}

/** A page of keys in code point order. */
export interface KeyPage {
  /** The keys. */
  readonly keys: readonly string[];
  /** Where the next page begins; `undefined` if this was the last one. */
  readonly next: string | undefined;
}

/**
 * Buckets of keys with revisions and compare-and-set. A bucket is made on first use with the default
 * options; `ensureBucket` makes it with others.
 *
 * *Consistency*: writes to a bucket are in one order, that of their revisions. A read gives the
 * last write that was acknowledged before it began. *Concurrency*: all methods, from any number of
 * processes.
 */
export interface KvStore {
  /** Makes a bucket. @throws BusError `CONFLICT` if it exists with other options. */
  ensureBucket(bucket: string, options?: BucketOptions): Promise<void>;
  /** Removes a bucket with all its keys. Resolves with false if it did not exist. */
  deleteBucket(bucket: string): Promise<boolean>;
  /** The current value, or `undefined` if there is none (never written, deleted or expired). */
  get(bucket: string, key: string): Promise<KvEntry | undefined>;
  /** Writes. @returns the new revision. */
  put(bucket: string, key: string, value: Payload, options?: PutOptions): Promise<number>;
  /**
   * Writes if the key has no value (never written, deleted or expired).
   * @returns the new revision. @throws BusError `CONFLICT` with `details.revision`
   */
  create(bucket: string, key: string, value: Payload, options?: PutOptions): Promise<number>;
  /**
   * Writes if the key's revision is `expectedRevision`; 0 is the same as {@link KvStore.create}.
   * @returns the new revision.
   * @throws BusError `CONFLICT` with `details.revision`, the current one (0 if there is no value)
   */
  cas(bucket: string, key: string, value: Payload, expectedRevision: number): Promise<number>;
  /** Removes the value; a key without one is left alone. @throws BusError `CONFLICT` */
  delete(bucket: string, key: string, options?: DeleteOptions): Promise<void>;
  /** What is kept of a key's past, oldest first, deletes included. */
  history(
    bucket: string,
    key: string,
  ): Promise<readonly Exclude<KvEvent, { type: "initialDone" }>[]>;
  /** One page of the keys that have a value. Keys present during the whole walk come exactly once. */
  keys(bucket: string, options?: KeysOptions): Promise<KeyPage>;
  /** Watches. See {@link KvWatch}. */
  watch(bucket: string, options?: WatchOptions): Promise<KvWatch>;
  /**
   * Takes an exclusive lease on a key. Leases live beside the values: a value and a lease of one key
   * do not touch each other.
   * @throws BusError `LEASE_HELD` with `details.owner` if somebody has it and `waitMs` is over
   */
  lease(bucket: string, key: string, options: LeaseOptions): Promise<Lease>;
}
