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
  resolveBucketOptions,
  resolveKeysOptions,
  resolveLeaseOptions,
} from "@busbar/core/adapter";
import {
  type BucketRow,
  deleteBucket,
  findBucket,
  readEntry,
  readHistory,
  readKeys,
  toEvent,
  useBucket,
  type Write,
  writeEntry,
} from "./bucket.ts";
import type { BusContext } from "./context.ts";
import { SqliteLeaseStore } from "./lease-store.ts";
import { SqliteWatch } from "./watch.ts";

const MAX_TTL_MS = 315_360_000_000;

/** Keys and values on the buckets of one namespace. */
export class SqliteKvStore implements KvStore {
  readonly #context: BusContext;
  readonly #leases: LeaseManager;

  constructor(context: BusContext) {
    const { clock, lifecycle, config } = context;
    this.#context = context;
    const store = new SqliteLeaseStore(context);
    this.#leases = new LeaseManager({ store, clock, lifecycle, random: config.random });
  }

  async ensureBucket(bucket: string, options?: BucketOptions): Promise<void> {
    this.#enter(bucket);
    const wanted = resolveBucketOptions(options);
    this.#context.file.write(() => useBucket(this.#context, bucket, wanted));
  }

  async deleteBucket(bucket: string): Promise<boolean> {
    this.#enter(bucket);
    const existed = this.#context.file.write(() => {
      const found = findBucket(this.#context, bucket);
      if (found) deleteBucket(this.#context, found);
      return found !== undefined;
    });
    this.#wake(bucket);
    return existed;
  }

  async get(bucket: string, key: string): Promise<KvEntry | undefined> {
    this.#enterKey(bucket, key);
    const found = findBucket(this.#context, bucket);
    const row = found && readEntry(this.#context, found, key);
    if (row === undefined) return undefined;
    return { key, value: row.value, revision: row.revision, createdAtMs: row.created_ms };
  }

  async put(bucket: string, key: string, value: Payload, options?: PutOptions): Promise<number> {
    this.#enterKey(bucket, key);
    const ttlMs = resolveTtl(options);
    const bytes = this.#bytes(bucket, key, value);
    return this.#write(bucket, { key, value: bytes, ttlMs, expected: undefined });
  }

  async create(bucket: string, key: string, value: Payload, options?: PutOptions): Promise<number> {
    this.#enterKey(bucket, key);
    const ttlMs = resolveTtl(options);
    const bytes = this.#bytes(bucket, key, value);
    return this.#write(bucket, { key, value: bytes, ttlMs, expected: 0 });
  }

  async cas(
    bucket: string,
    key: string,
    value: Payload,
    expectedRevision: number,
  ): Promise<number> {
    this.#enterKey(bucket, key);
    const expected = checkExpected("expectedRevision", expectedRevision);
    return this.#write(bucket, { key, value: this.#bytes(bucket, key, value), ttlMs: 0, expected });
  }

  async delete(bucket: string, key: string, options: DeleteOptions = {}): Promise<void> {
    this.#enterKey(bucket, key);
    const { expectedRevision: expected } = options;
    if (expected !== undefined) checkExpected("expectedRevision", expected);
    this.#write(bucket, { key, value: undefined, ttlMs: 0, expected });
  }

  async history(
    bucket: string,
    key: string,
  ): Promise<readonly Exclude<KvEvent, { type: "initialDone" }>[]> {
    this.#enterKey(bucket, key);
    const found = findBucket(this.#context, bucket);
    return (found ? readHistory(this.#context, found, key) : []).map((row) => toEvent(row));
  }

  async keys(bucket: string, options?: KeysOptions): Promise<KeyPage> {
    this.#enter(bucket);
    const { key: pattern, after, limit } = resolveKeysOptions(options);
    const found = findBucket(this.#context, bucket);
    return found ? this.#page(found, { pattern, after, limit }) : { keys: [], next: undefined };
  }

  async watch(bucket: string, options: WatchOptions = {}): Promise<KvWatch> {
    this.#enter(bucket);
    const { key: pattern = ">", afterRevision, signal } = options;
    checkKeyPattern(pattern);
    if (afterRevision !== undefined) checkExpected("afterRevision", afterRevision);
    signal?.throwIfAborted();
    const found = this.#context.file.write(() => useBucket(this.#context, bucket));
    const matches = compilePattern(pattern);
    return new SqliteWatch(this.#context, { bucket: found, matches, afterRevision, signal });
  }

  async lease(bucket: string, key: string, options: LeaseOptions): Promise<Lease> {
    this.#enterKey(bucket, key);
    const resolved = resolveLeaseOptions(options);
    // A bucket's name has no slash: the two parts cannot be confused.
    return this.#leases.acquire(`${bucket}/${key}`, key, resolved);
  }

  #enter(bucket: string): void {
    this.#context.enter();
    checkName("bucket", bucket);
  }

  #enterKey(bucket: string, key: string): void {
    this.#enter(bucket);
    checkKey(key);
  }

  #bytes(bucket: string, key: string, value: Payload): Uint8Array {
    return this.#context.bytes(value, `${bucket}/${key}`);
  }

  #write(bucket: string, write: Write): number {
    const { file } = this.#context;
    const revision = file.write(() =>
      writeEntry(this.#context, useBucket(this.#context, bucket), write),
    );
    this.#wake(bucket);
    return revision;
  }

  #wake(bucket: string): void {
    this.#context.file.hub.wake(this.#context.topic("bucket", bucket));
  }

  #page(
    bucket: BucketRow,
    wanted: {
      readonly pattern: string;
      readonly after: string | undefined;
      readonly limit: number;
    },
  ): KeyPage {
    const matches = compilePattern(wanted.pattern);
    const keys: string[] = [];
    // One more shows whether there is another page.
    const enough = wanted.limit + 1;
    let after = wanted.after ?? "";
    while (keys.length < enough) {
      const found = readKeys(this.#context, bucket, after, enough);
      keys.push(...found.filter((key) => matches(key)));
      if (found.length < enough) break;
      after = found.at(-1) as string;
    }
    const page = keys.slice(0, wanted.limit);
    return { keys: page, next: keys.length > page.length ? page.at(-1) : undefined };
  }
}

function resolveTtl(options: PutOptions | undefined): number {
  const ttlMs = options?.ttlMs;
  return ttlMs === undefined ? 0 : Math.ceil(checkDuration("ttlMs", ttlMs, 1, MAX_TTL_MS));
}
