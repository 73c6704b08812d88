import {
  BusError,
  type BucketOptions,
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
  DEFAULT_TIMEOUT_MS,
  LeaseManager,
  payloadBytes,
  resolveKeysOptions,
  resolveLeaseOptions,
  revisionConflict,
} from "@busbar/core/adapter";
import type { NatsContext } from "../context.ts";
import { API, apiCode } from "../errors.ts";
import { NatsLeaseStore } from "../lease-store.ts";
import { encodeHeaders, type Fields, H } from "../wire/headers.ts";
import { type Bucket, Buckets } from "./bucket.ts";
import { isRemoval, type KvChange, type StoredValue, toChange } from "./entry.ts";
import { KeyListings } from "./key-listing.ts";
import { NatsKvWatch, resolveWatchOptions } from "./watch.ts";

const MAX_TTL_MS = 315_360_000_000;
/** How often a conditional write is tried against others that are as quick. */
const MAX_TRIES = 100;

/** {@link KvStore} on JetStream: one stream for each bucket, in the form that NATS tools read. */
export class NatsKvStore implements KvStore {
  readonly #context: NatsContext;
  readonly #buckets: Buckets;
  readonly #listings: KeyListings;
  readonly #leases: LeaseManager;

  constructor(context: NatsContext) {
    this.#context = context;
    this.#buckets = new Buckets(context);
    this.#listings = new KeyListings(context);
    this.#leases = new LeaseManager({
      store: new NatsLeaseStore(context),
      clock: context.link.clock,
      lifecycle: context.lifecycle,
    });
  }

  async ensureBucket(bucket: string, options: BucketOptions = {}): Promise<void> {
    this.#context.lifecycle.checkOpen();
    await this.#buckets.ensure(bucket, options);
  }

  async deleteBucket(bucket: string): Promise<boolean> {
    this.#context.lifecycle.checkOpen();
    return this.#buckets.delete(bucket);
  }

  async get(bucket: string, key: string): Promise<KvEntry | undefined> {
    const stored = await this.#read(await this.#open(bucket, key), key);
    if (stored === undefined || isRemoval(stored.headers)) return undefined;
    const { value, revision, createdAtMs } = stored;
    return { key, value, revision, createdAtMs };
  }

  async put(
    bucket: string,
    key: string,
    value: Payload,
    options: PutOptions = {},
  ): Promise<number> {
    const write = await this.#prepare(bucket, key, value, options);
    return this.#write(write, write.fields);
  }

  async create(
    bucket: string,
    key: string,
    value: Payload,
    options: PutOptions = {},
  ): Promise<number> {
    return this.#create(await this.#prepare(bucket, key, value, options));
  }

  async cas(
    bucket: string,
    key: string,
    value: Payload,
    expectedRevision: number,
  ): Promise<number> {
    checkExpected("expectedRevision", expectedRevision);
    const write = await this.#prepare(bucket, key, value, {});
    if (expectedRevision === 0) return this.#create(write);
    const revision = await this.#writeIf(write, expectedRevision);
    if (revision !== undefined) return revision;
    const current = await this.#read(write.bucket, key);
    throw revisionConflict(bucket, key, expectedRevision, valueRevision(current));
  }

  async delete(bucket: string, key: string, options: DeleteOptions = {}): Promise<void> {
    const { expectedRevision } = options;
    if (expectedRevision !== undefined) checkExpected("expectedRevision", expectedRevision);
    const write: Write = {
      name: bucket,
      bucket: await this.#open(bucket, key),
      key,
      payload: NOTHING,
      fields: [[H.kvOperation, "DEL"]],
    };
    for (let tries = 1; ; tries++) {
      const revision = valueRevision(await this.#read(write.bucket, key));
      if (expectedRevision !== undefined && expectedRevision !== revision) {
        throw revisionConflict(bucket, key, expectedRevision, revision);
      }
      if (revision === 0) return;
      // Only what was seen is deleted, so that a key without a value gets no trace.
      const condition = tries < MAX_TRIES ? revision : undefined;
      if ((await this.#writeIf(write, condition)) !== undefined) return;
    }
  }

  async history(bucket: string, key: string): Promise<readonly KvChange[]> {
    const { stream, prefix } = await this.#open(bucket, key);
    const { api } = this.#context;
    const subject = prefix + key;
    const last = await api.lastByLeader(stream, subject);
    const changes: KvChange[] = [];
    for (let sequence = 0; last !== undefined && sequence < last.sequence; ) {
      const record = await api.nextByLeader(stream, sequence + 1, subject);
      if (record === undefined || record.sequence > last.sequence) break;
      sequence = record.sequence;
      changes.push(
        toChange({
          key,
          revision: record.sequence,
          createdAtMs: record.timeMs,
          headers: record.headers,
          value: record.data,
        }),
      );
    }
    return changes;
  }

  async keys(bucket: string, options: KeysOptions = {}): Promise<KeyPage> {
    this.#context.lifecycle.checkOpen();
    const resolved = resolveKeysOptions(options);
    checkKeyPattern(resolved.key);
    return this.#listings.page(await this.#buckets.open(bucket), resolved);
  }

  async watch(bucket: string, options: WatchOptions = {}): Promise<KvWatch> {
    this.#context.lifecycle.checkOpen();
    const resolved = resolveWatchOptions(options);
    resolved.signal?.throwIfAborted();
    const opened = await this.#buckets.open(bucket);
    resolved.signal?.throwIfAborted();
    this.#context.lifecycle.checkOpen();
    return NatsKvWatch.open(this.#context, bucket, opened, resolved);
  }

  async lease(bucket: string, key: string, options: LeaseOptions): Promise<Lease> {
    const { lifecycle, names } = this.#context;
    lifecycle.checkOpen();
    checkName("bucket", bucket);
    checkKey(key);
    const resolved = resolveLeaseOptions(options);
    return this.#leases.acquire(names.leaseKey(bucket, key), key, resolved);
  }

  #open(bucket: string, key: string): Promise<Bucket> {
    this.#context.lifecycle.checkOpen();
    checkKey(key);
    return this.#buckets.open(bucket);
  }

  async #prepare(name: string, key: string, value: Payload, { ttlMs }: PutOptions): Promise<Write> {
    const { capabilities } = this.#context;
    if (ttlMs !== undefined) checkDuration("ttlMs", ttlMs, 1, MAX_TTL_MS);
    const bucket = await this.#open(name, key);
    const payload = payloadBytes(value, capabilities.maxPayloadBytes, `key ${key}`);
    if (ttlMs === undefined) return { name, bucket, key, payload, fields: [] };
    if (!capabilities.keyTtl || !bucket.messageTtl) {
      throw new BusError(
        "UNSUPPORTED",
        capabilities.keyTtl
          ? `bucket ${name} was made without TTL of single keys (allow_msg_ttl)`
          : `${capabilities.server} has no TTL of single keys; it needs 2.11 or newer`,
      );
    }
    const fields: Fields = [[H.ttl, `${Math.ceil(ttlMs / 1_000)}s`]];
    return { name, bucket, key, payload, fields };
  }

  /** Writes if there is no value: on nothing at all, or on the trace of one. */
  async #create(write: Write): Promise<number> {
    let expected = 0;
    for (let tries = 1; ; tries++) {
      const revision = await this.#writeIf(write, expected);
      if (revision !== undefined) return revision;
      const current = await this.#read(write.bucket, write.key);
      const blocking = valueRevision(current);
      if (blocking !== 0 || tries === MAX_TRIES) {
        throw revisionConflict(write.name, write.key, 0, blocking);
      }
      expected = current?.revision ?? 0;
    }
  }

  /** Writes if the last message of the key has this revision. @returns `undefined` if not */
  async #writeIf(write: Write, expected: number | undefined): Promise<number | undefined> {
    const { fields } = write;
    try {
      return await this.#write(
        write,
        expected === undefined ? fields : [[H.expectedLastSubjectSequence, expected], ...fields],
      );
    } catch (error) {
      const code = apiCode(error);
      if (code === API.wrongLastSequence || code === API.wrongLastSequenceConstant) {
        return undefined;
      }
      throw error;
    }
  }

  async #write(write: Write, fields: Fields): Promise<number> {
    const { api } = this.#context;
    const { sequence } = await api.publish({
      subject: write.bucket.prefix + write.key,
      payload: write.payload,
      headers: fields.length === 0 ? undefined : encodeHeaders({}, fields),
      timeoutMs: DEFAULT_TIMEOUT_MS,
      what: `write of key ${write.key} in bucket ${write.name}`,
    });
    return sequence;
  }

  /** The last message of a key, if only the trace of a value. */
  async #read(bucket: Bucket, key: string): Promise<StoredValue | undefined> {
    const { api } = this.#context;
    const subject = bucket.prefix + key;
    if (bucket.readFromLeader) {
      const record = await api.lastByLeader(bucket.stream, subject);
      return (
        record && {
          key,
          revision: record.sequence,
          createdAtMs: record.timeMs,
          headers: record.headers,
          value: record.data,
        }
      );
    }
    const stored = await api.lastOn(bucket.stream, subject);
    return (
      stored && {
        key,
        revision: stored.sequence,
        createdAtMs: stored.timeMs,
        headers: stored.message.headers,
        value: stored.message.data,
      }
    );
  }
}

interface Write {
  /** What the user calls the bucket. */
  readonly name: string;
  readonly bucket: Bucket;
  readonly key: string;
  readonly payload: Uint8Array;
  readonly fields: Fields;
}

const NOTHING = new Uint8Array(0);

/** The revision of a value; 0 if there is none, or only a trace of one. */
function valueRevision(stored: StoredValue | undefined): number {
  return stored === undefined || isRemoval(stored.headers) ? 0 : stored.revision;
}
