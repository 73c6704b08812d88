import {
  BusError,
  type BucketOptions,
  type DeleteOptions,
  errorCode,
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
import { ownBytes } from "../wire/bytes.ts";
import { encodeHeaders, type Fields, H } from "../wire/headers.ts";
import type { StoredRecord } from "../wire/jetstream-api.ts";
import { type Bucket, Buckets } from "./bucket.ts";
import { isRemoval, type KvChange, type StoredValue, toChange } from "./entry.ts";
import { KeyListings } from "./key-listing.ts";
import { NatsKvWatch, resolveWatchOptions } from "./watch.ts";

const MAX_TTL_MS = 315_360_000_000;
/** How often a conditional write is tried against others that are as quick. */
const MAX_TRIES = 100;
/** Pause before a bucket that was lost is looked up again. */
const REOPEN_MS = 20;

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
    const stored = await this.#read(bucket, key);
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
    const current = await this.#read(bucket, key);
    throw revisionConflict(bucket, key, expectedRevision, valueRevision(current));
  }

  async delete(bucket: string, key: string, options: DeleteOptions = {}): Promise<void> {
    const { expectedRevision } = options;
    if (expectedRevision !== undefined) checkExpected("expectedRevision", expectedRevision);
    const write: Write = { bucket, key, payload: NOTHING, fields: [[H.kvOperation, "DEL"]] };
    for (let tries = 1; ; tries++) {
      const revision = valueRevision(await this.#read(bucket, key));
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
      changes.push(toChange(fromRecord(key, record)));
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

  async #prepare(
    bucket: string,
    key: string,
    value: Payload,
    { ttlMs }: PutOptions,
  ): Promise<Write> {
    const { capabilities } = this.#context;
    if (ttlMs !== undefined) checkDuration("ttlMs", ttlMs, 1, MAX_TTL_MS);
    const { messageTtl } = await this.#open(bucket, key);
    const payload = payloadBytes(value, capabilities.maxPayloadBytes, `key ${key}`);
    if (ttlMs === undefined) return { bucket, key, payload, fields: [] };
    if (!capabilities.keyTtl || !messageTtl) {
      throw new BusError(
        "UNSUPPORTED",
        capabilities.keyTtl
          ? `bucket ${bucket} was made without TTL of single keys (allow_msg_ttl)`
          : `${capabilities.server} has no TTL of single keys; it needs 2.11 or newer`,
      );
    }
    return { bucket, key, payload, fields: [[H.ttl, `${Math.ceil(ttlMs / 1_000)}s`]] };
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
        throw revisionConflict(write.bucket, write.key, 0, blocking);
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

  async #write({ bucket, key, payload }: Write, fields: Fields): Promise<number> {
    const { api } = this.#context;
    const { sequence } = await this.#onBucket(bucket, key, ({ prefix }) =>
      api.publish({
        subject: prefix + key,
        payload,
        headers: fields.length === 0 ? undefined : encodeHeaders({}, fields),
        timeoutMs: DEFAULT_TIMEOUT_MS,
        what: `write of key ${key} in bucket ${bucket}`,
        onNoResponders: () => bucketGone(bucket),
      }),
    );
    return sequence;
  }

  /** The last message of a key, if only the trace of a value. */
  #read(bucket: string, key: string): Promise<StoredValue | undefined> {
    const { api } = this.#context;
    return this.#onBucket(bucket, key, async ({ stream, prefix, readFromLeader }) => {
      if (readFromLeader) {
        const record = await api.lastByLeader(stream, prefix + key);
        return record && fromRecord(key, record);
      }
      const stored = await api.lastOn(stream, prefix + key, () => bucketGone(bucket));
      if (stored === undefined) return undefined;
      const { sequence, timeMs, message } = stored;
      const { headers } = message;
      return {
        key,
        revision: sequence,
        createdAtMs: timeMs,
        headers,
        value: ownBytes(message.data),
      };
    });
  }

  /**
   * Does something with a bucket. Where nobody answers, the bucket was removed by somebody else or
   * lost with its server's memory: it is looked up again, and made again.
   */
  async #onBucket<T>(name: string, key: string, use: (bucket: Bucket) => Promise<T>): Promise<T> {
    const { clock } = this.#context.link;
    let deadline: number | undefined;
    for (;;) {
      const bucket = await this.#open(name, key);
      try {
        return await use(bucket);
      } catch (error) {
        if (errorCode(error) !== "NOT_FOUND") throw error;
        deadline ??= clock.monotonic() + DEFAULT_TIMEOUT_MS;
        if (clock.monotonic() >= deadline) throw error;
      }
      this.#buckets.forget(name);
      // A server that has just started may know the stream before it serves it.
      await clock.sleep(REOPEN_MS);
    }
  }
}

interface Write {
  readonly bucket: string;
  readonly key: string;
  readonly payload: Uint8Array;
  readonly fields: Fields;
}

const NOTHING = new Uint8Array(0);

/** The revision of a value; 0 if there is none, or only a trace of one. */
function valueRevision(stored: StoredValue | undefined): number {
  return stored === undefined || isRemoval(stored.headers) ? 0 : stored.revision;
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
