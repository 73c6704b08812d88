import type {
  BucketOptions,
  DeleteOptions,
  KeyPage,
  KeysOptions,
  KvEntry,
  KvEvent,
  KvStore,
  KvWatch,
  Lease,
  LeaseOptions,
  Payload,
  PutOptions,
  WatchOptions,
} from "@busbar/core";
import {
  checkDuration,
  checkExpected,
  checkKey,
  checkKeyPattern,
  checkName,
  compilePattern,
  LeaseManager,
  type ResolvedBucketOptions,
  resolveBucketOptions,
  resolveKeysOptions,
  resolveLeaseOptions,
} from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import type { Bucket } from "./engine/bucket.ts";
import { MemoryLeaseStore } from "./memory-lease-store.ts";
import { MemoryWatch, toEvent } from "./memory-watch.ts";

const DEFAULTS: ResolvedBucketOptions = Object.freeze(resolveBucketOptions());
const MAX_TTL_MS = 315_360_000_000;

/** Keys and values on a namespace's buckets. */
export class MemoryKvStore implements KvStore {
  readonly #context: BusContext;
  readonly #leases: LeaseManager;

  constructor(context: BusContext) {
    const { clock, engine, lifecycle } = context;
    this.#context = context;
    const store = new MemoryLeaseStore(context);
    this.#leases = new LeaseManager({ store, clock, lifecycle, random: engine.random });
  }

  async ensureBucket(bucket: string, options?: BucketOptions): Promise<void> {
    this.#find(bucket);
    this.#context.namespace.ensureBucket(bucket, resolveBucketOptions(options));
  }

  async deleteBucket(bucket: string): Promise<boolean> {
    this.#find(bucket);
    return this.#context.namespace.deleteBucket(bucket);
  }

  async get(bucket: string, key: string): Promise<KvEntry | undefined> {
    const existing = this.#find(bucket);
    const record = existing?.get(key);
    if (record?.value === undefined) {
      checkKey(key);
      if (existing === undefined) this.#make(bucket);
      return undefined;
    }
    const { revision, createdAtMs } = record;
    return { key, value: new Uint8Array(record.value), revision, createdAtMs };
  }

  async put(bucket: string, key: string, value: Payload, options?: PutOptions): Promise<number> {
    const existing = this.#find(bucket);
    checkKey(key);
    const ttlMs = resolveTtl(options);
    const own = this.#own(value, bucket, key);
    return (existing ?? this.#make(bucket)).put(key, own, ttlMs);
  }

  async create(bucket: string, key: string, value: Payload, options?: PutOptions): Promise<number> {
    const existing = this.#find(bucket);
    checkKey(key);
    const ttlMs = resolveTtl(options);
    const own = this.#own(value, bucket, key);
    return (existing ?? this.#make(bucket)).cas(key, own, 0, ttlMs);
  }

  async cas(
    bucket: string,
    key: string,
    value: Payload,
    expectedRevision: number,
  ): Promise<number> {
    const existing = this.#find(bucket);
    checkKey(key);
    checkExpected("expectedRevision", expectedRevision);
    const own = this.#own(value, bucket, key);
    return (existing ?? this.#make(bucket)).cas(key, own, expectedRevision, 0);
  }

  async delete(bucket: string, key: string, options: DeleteOptions = {}): Promise<void> {
    const existing = this.#find(bucket);
    checkKey(key);
    const { expectedRevision } = options;
    if (expectedRevision !== undefined) checkExpected("expectedRevision", expectedRevision);
    (existing ?? this.#make(bucket)).delete(key, expectedRevision);
  }

  async history(
    bucket: string,
    key: string,
  ): Promise<readonly Exclude<KvEvent, { type: "initialDone" }>[]> {
    const existing = this.#find(bucket);
    checkKey(key);
    return (existing ?? this.#make(bucket)).history(key).map((record) => toEvent(record));
  }

  async keys(bucket: string, options?: KeysOptions): Promise<KeyPage> {
    const existing = this.#find(bucket);
    const { key: pattern, after, limit } = resolveKeysOptions(options);
    checkKeyPattern(pattern);
    return page(existing ?? this.#make(bucket), pattern, { after, limit });
  }

  async watch(bucket: string, options: WatchOptions = {}): Promise<KvWatch> {
    const existing = this.#find(bucket);
    const { key: pattern = ">", afterRevision, signal } = options;
    checkKeyPattern(pattern);
    if (afterRevision !== undefined) checkExpected("afterRevision", afterRevision);
    signal?.throwIfAborted();
    const found = existing ?? this.#make(bucket);
    const matches = compilePattern(pattern);
    const kept =
      afterRevision === undefined
        ? found.current()
        : found.after(afterRevision, Number.POSITIVE_INFINITY);
    const initial = kept.filter((record) => matches(record.key));
    return new MemoryWatch(this.#context, { bucket: found, matches, initial, signal });
  }

  async lease(bucket: string, key: string, options: LeaseOptions): Promise<Lease> {
    this.#find(bucket);
    checkKey(key);
    const resolved = resolveLeaseOptions(options);
    // A bucket's name has no slash: the two parts cannot be confused.
    return this.#leases.acquire(`${bucket}/${key}`, key, resolved);
  }

  #find(bucket: string): Bucket | undefined {
    this.#context.enter();
    const found = this.#context.namespace.findBucket(bucket);
    if (found === undefined) checkName("bucket", bucket);
    return found;
  }

  #make(bucket: string): Bucket {
    return this.#context.namespace.ensureBucket(bucket, DEFAULTS);
  }

  /** Values live for long, each for its own time: they do not share memory. */
  #own(value: Payload, bucket: string, key: string): Uint8Array {
    const bytes = this.#context.bytes(value, `${bucket}/${key}`);
    return typeof value === "string" ? bytes : new Uint8Array(bytes);
  }
}

function resolveTtl(options: PutOptions | undefined): number {
  const ttlMs = options?.ttlMs;
  return ttlMs === undefined ? 0 : Math.ceil(checkDuration("ttlMs", ttlMs, 1, MAX_TTL_MS));
}

function page(
  bucket: Bucket,
  pattern: string,
  wanted: { readonly after: string | undefined; readonly limit: number },
): KeyPage {
  const { after, limit } = wanted;
  const matches = compilePattern(pattern);
  // All matching keys begin with what comes before the first wildcard.
  const prefix = pattern.replace(/(?:^|\.)[*>].*$/, "");
  const keys: string[] = [];
  const start = after === undefined || after < prefix ? prefix : after;
  for (const key of bucket.keysFrom(start)) {
    if (!key.startsWith(prefix)) break;
    if (key === after || !matches(key)) continue;
    if (keys.length === limit) return { keys, next: keys.at(-1) };
    keys.push(key);
  }
  return { keys, next: undefined };
}
