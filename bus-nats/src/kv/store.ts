import {
  type BucketOptions,
  BusError,
  type DeleteOptions,
  type KeyPage,
  type KeysOptions,
  type KvEntry,
  type KvStore,
  type KvWatch,
  type Lease,
  type LeaseOptions,
  type Payload,
  type PutOptions,
  type WatchOptions,
} from "@busbar/core";
import {
  checkDuration,
  checkExpected,
  checkKey,
  checkKeyPattern,
  checkName,
  LeaseManager,
  payloadBytes,
  resolveKeysOptions,
  resolveLeaseOptions,
  revisionConflict,
} from "@busbar/core/adapter";
import type { NatsContext } from "../context.ts";
import { API, apiCode } from "../errors.ts";
import { NatsLeaseStore } from "../lease-store.ts";
import { type Fields, H } from "../wire/headers.ts";
import { Buckets } from "./bucket.ts";
import { type KvChange, toChange } from "./entry.ts";
import { KeyListings } from "./key-listing.ts";
import { type ReadValue, Values, type Write } from "./values.ts";
import { NatsKvWatch, resolveWatchOptions } from "./watch.ts";

const MAX_TTL_MS = 315_360_000_000;
/** How often a conditional write is tried against others that are as quick. */
const MAX_TRIES = 100;
const NOTHING = new Uint8Array(0);

/** {@link KvStore} on JetStream: one stream for each bucket, in the form that NATS tools read. */
export class NatsKvStore implements KvStore {
  readonly #context: NatsContext;
  readonly #buckets: Buckets;
  readonly #values: Values;
  readonly #listings: KeyListings;
  readonly #leases: LeaseManager;

  constructor(context: NatsContext) {
    this.#context = context;
    this.#buckets = new Buckets(context);
    this.#values = new Values(context, this.#buckets);
    this.#listings = new KeyListings(context);
    this.#leases = new LeaseManager({
      store: new NatsLeaseStore(context),
      clock: context.link.clock,
      lifecycle: context.lifecycle,
    });
  }

  async ensureBucket(bucket: string, options: BucketOptions = {}): Promise<void> {
    this.#check(bucket);
    await this.#buckets.ensure(bucket, options);
  }

  async deleteBucket(bucket: string): Promise<boolean> {
    this.#check(bucket);
    return this.#buckets.delete(bucket);
  }

  async get(bucket: string, key: string): Promise<KvEntry | undefined> {
    this.#checkBoth(bucket, key);
    const stored = await this.#values.read(bucket, key);
    if (stored === undefined || stored.over) return undefined;
    const { value, revision, createdAtMs } = stored;
    return { key, value, revision, createdAtMs };
  }

  async put(
    bucket: string,
    key: string,
    value: Payload,
    options: PutOptions = {},
  ): Promise<number> {
    const write = this.#prepare(bucket, key, value);
    return this.#values.write(write, await this.#ttl(bucket, options));
  }

  async create(
    bucket: string,
    key: string,
    value: Payload,
    options: PutOptions = {},
  ): Promise<number> {
    const write = this.#prepare(bucket, key, value);
    return this.#create(write, await this.#ttl(bucket, options));
  }

  async cas(
    bucket: string,
    key: string,
    value: Payload,
    expectedRevision: number,
  ): Promise<number> {
    this.#checkBoth(bucket, key);
    checkExpected("expectedRevision", expectedRevision);
    const write = this.#prepare(bucket, key, value);
    if (expectedRevision === 0) return this.#create(write, []);
    const revision = await this.#writeIf(write, expectedRevision, []);
    if (revision !== undefined) return revision;
    const current = valueRevision(await this.#values.read(bucket, key));
    throw revisionConflict(bucket, key, expectedRevision, current);
  }

  async delete(bucket: string, key: string, options: DeleteOptions = {}): Promise<void> {
    const { expectedRevision } = options;
    this.#checkBoth(bucket, key);
    if (expectedRevision !== undefined) checkExpected("expectedRevision", expectedRevision);
    const write: Write = { bucket, key, payload: NOTHING };
    for (let tries = 1; ; tries++) {
      const revision = valueRevision(await this.#values.read(bucket, key));
      if (expectedRevision !== undefined && expectedRevision !== revision) {
        throw revisionConflict(bucket, key, expectedRevision, revision);
      }
      if (revision === 0) return;
      // Only what was seen is deleted, so that a key without a value gets no trace.
      const condition = tries < MAX_TRIES || expectedRevision !== undefined ? revision : undefined;
      const removal: Fields = [[H.kvOperation, "DEL"]];
      if ((await this.#writeIf(write, condition, removal)) !== undefined) return;
    }
  }

  async history(bucket: string, key: string): Promise<readonly KvChange[]> {
    this.#checkBoth(bucket, key);
    return (await this.#values.history(bucket, key)).map(toChange);
  }

  async keys(bucket: string, options: KeysOptions = {}): Promise<KeyPage> {
    this.#check(bucket);
    const resolved = resolveKeysOptions(options);
    checkKeyPattern(resolved.key);
    return this.#values.onBucket(bucket, (opened) => this.#listings.page(opened, resolved));
  }

  async watch(bucket: string, options: WatchOptions = {}): Promise<KvWatch> {
    this.#check(bucket);
    const resolved = resolveWatchOptions(options);
    resolved.signal?.throwIfAborted();
    // It lives long, so it looks at the bucket's TTL itself: another bus may have made it anew.
    this.#buckets.forget(bucket);
    return this.#values.onBucket(bucket, async (opened) => {
      resolved.signal?.throwIfAborted();
      this.#context.lifecycle.checkOpen();
      return NatsKvWatch.open(this.#context, bucket, opened, resolved);
    });
  }

  async lease(bucket: string, key: string, options: LeaseOptions): Promise<Lease> {
    this.#checkBoth(bucket, key);
    const resolved = resolveLeaseOptions(options);
    return this.#leases.acquire(this.#context.names.leaseKey(bucket, key), key, resolved);
  }

  #check(bucket: string): void {
    this.#context.lifecycle.checkOpen();
    checkName("bucket", bucket);
  }

  #checkBoth(bucket: string, key: string): void {
    this.#check(bucket);
    checkKey(key);
  }

  #prepare(bucket: string, key: string, value: Payload): Write {
    this.#checkBoth(bucket, key);
    const { maxPayloadBytes } = this.#context.capabilities;
    return { bucket, key, payload: payloadBytes(value, maxPayloadBytes, `key ${key}`) };
  }

  async #ttl(bucket: string, { ttlMs }: PutOptions): Promise<Fields> {
    if (ttlMs === undefined) return [];
    checkDuration("ttlMs", ttlMs, 1, MAX_TTL_MS);
    const { server, keyTtl } = this.#context.capabilities;
    if (!keyTtl) {
      throw new BusError(
        "UNSUPPORTED",
        `${server} has no TTL of single keys; it needs 2.11 or newer`,
      );
    }
    if (!(await this.#buckets.open(bucket)).messageTtl) {
      throw new BusError(
        "UNSUPPORTED",
        `bucket ${bucket} was made without TTL of single keys (allow_msg_ttl)`,
      );
    }
    // Without the rollup the value before would come to light again when this one ends.
    return [
      [H.ttl, `${Math.ceil(ttlMs / 1_000)}s`],
      [H.rollup, "sub"],
    ];
  }

  /** Writes if there is no value: on nothing at all, or on the trace of one. */
  async #create(write: Write, fields: Fields): Promise<number> {
    let expected = 0;
    for (let tries = 1; ; tries++) {
      const revision = await this.#writeIf(write, expected, fields);
      if (revision !== undefined) return revision;
      const current = await this.#values.read(write.bucket, write.key);
      const blocking = valueRevision(current);
      if (blocking !== 0 || tries === MAX_TRIES) {
        throw revisionConflict(write.bucket, write.key, 0, blocking);
      }
      expected = current?.revision ?? 0;
    }
  }

  /** Writes if the last message of the key has this revision. @returns `undefined` if not */
  async #writeIf(
    write: Write,
    expected: number | undefined,
    fields: Fields,
  ): Promise<number | undefined> {
    const condition: Fields =
      expected === undefined ? [] : [[H.expectedLastSubjectSequence, expected]];
    try {
      return await this.#values.write(write, [...condition, ...fields]);
    } catch (error) {
      const code = apiCode(error);
      if (code === API.wrongLastSequence || code === API.wrongLastSequenceConstant) {
        return undefined;
      }
      throw error;
    }
  }
}

/** The revision of a value; 0 if there is none, or only a trace of one. */
function valueRevision(stored: ReadValue | undefined): number {
  return stored === undefined || stored.over ? 0 : stored.revision;
}
