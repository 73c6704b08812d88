import type { BucketOptions } from "@busbar/core";
import { checkName, optionsConflict, resolveBucketOptions } from "@busbar/core/adapter";
import type { StreamConfig, StreamInfo } from "@nats-io/jetstream";
import type { NatsContext } from "../context.ts";
import { createOrFind, MAX_CONSUMERS, type NamedStream } from "../provision.ts";
import { millis, nanos } from "../wire/jetstream-api.ts";
import { ServerTime } from "./server-time.ts";

/** Dedup window of a bucket's stream, as other tools make it; not longer than its values live. */
const MAX_DUPLICATE_WINDOW_MS = 120_000;
/** How long the trace of a key whose TTL is over stays, so that watches hear of it. */
const EXPIRY_MARKER_MS = 3_600_000;
/** The same where several values of a key are kept: the server makes a shorter TTL as long as this. */
const HISTORY_EXPIRY_MARKER_MS = 1_000;

/** What is known of a bucket. */
export interface Bucket {
  /** Its stream. */
  readonly stream: string;
  /** What the subject of every key begins with. */
  readonly prefix: string;
  /** Whether only the leader knows the last write for sure. */
  readonly readFromLeader: boolean;
  /** Whether a single value can have a TTL. */
  readonly messageTtl: boolean;
  /** How long values live; 0 for ever. */
  readonly ttlMs: number;
  /** The time where it is kept. */
  readonly time: ServerTime;
  /** When this was so, by that time; `NaN` where servers do not tell. */
  readonly knownMs: number;
}

/**
 * The buckets of a namespace: a bucket is a stream with the subjects `$KV.<name>.>`, made as other
 * NATS clients make it. Looked up once per bus and connection; safe when several processes begin at
 * the same time.
 */
export class Buckets {
  readonly #context: NatsContext;
  readonly #known = new Map<string, Promise<Bucket>>();

  constructor(context: NatsContext) {
    this.#context = context;
    // A server that comes back may have lost what it kept in memory.
    context.link.onReconnect(() => this.#known.clear());
    context.removal.onRemoved(() => this.#known.clear());
  }

  /** The bucket, whatever its options are; made with the default ones if it is not there. */
  open(bucket: string): Promise<Bucket> {
    const known = this.#known.get(bucket);
    if (known) return known;
    return this.#remember(bucket, this.#open(bucket));
  }

  /** Implements `KvStore.ensureBucket`. */
  async ensure(bucket: string, options: BucketOptions): Promise<void> {
    checkName("bucket", bucket);
    const wanted = this.#streamConfig(bucket, options);
    const { api, config } = this.#context;
    const { info, made } = await createOrFind(this.#context, wanted);
    const differences = made ? [] : compare(info.config, wanted);
    if (differences.length > 0 && !config.update) {
      throw optionsConflict(`bucket ${bucket}`, differences);
    }
    const known =
      differences.length > 0
        ? await api.updateStream({ ...info.config, ...updatable(wanted) })
        : info;
    await this.#remember(bucket, Promise.resolve(this.#describe(bucket, known)));
  }

  /** Implements `KvStore.deleteBucket`. */
  async delete(bucket: string): Promise<boolean> {
    checkName("bucket", bucket);
    this.#known.delete(bucket);
    const { api, names } = this.#context;
    const deleted = await api.deleteStream(names.bucketStream(names.bucket(bucket)));
    this.#known.delete(bucket);
    return deleted;
  }

  /** Asks for the server's time again where the last answer is old; the next reading has it. */
  refreshTime({ stream, time }: Bucket): void {
    if (!time.stale || !this.#context.link.connected) return;
    this.#context.api.streamInfo(stream).then(
      (info) => time.learn(info?.ts),
      () => undefined,
    );
  }

  /** It is not as it was known: the next use looks again. */
  forget(bucket: string): void {
    this.#known.delete(bucket);
  }

  #remember(bucket: string, found: Promise<Bucket>): Promise<Bucket> {
    this.#known.set(bucket, found);
    // A failure is not remembered: the next use tries again.
    found.catch(() => {
      if (this.#known.get(bucket) === found) this.#known.delete(bucket);
    });
    return found;
  }

  async #open(bucket: string): Promise<Bucket> {
    checkName("bucket", bucket);
    const wanted = this.#streamConfig(bucket, {});
    const { api } = this.#context;
    const info =
      (await api.streamInfo(wanted.name)) ?? (await createOrFind(this.#context, wanted)).info;
    return this.#describe(bucket, info);
  }

  #describe(bucket: string, info: StreamInfo): Bucket {
    const { names, link } = this.#context;
    const { config } = info;
    const time = new ServerTime(link.clock);
    time.learn(info.ts);
    return {
      stream: config.name,
      prefix: names.bucketPrefix(names.bucket(bucket)),
      readFromLeader: config.num_replicas > 1 || config.allow_direct !== true,
      messageTtl: config.allow_msg_ttl === true,
      ttlMs: millis(config.max_age),
      time,
      knownMs: Date.parse(info.ts ?? ""),
    };
  }

  #streamConfig(bucket: string, options: BucketOptions): NamedStream {
    const { history, ttlMs, maxBytes } = resolveBucketOptions(options);
    const { names, config, link } = this.#context;
    const name = names.bucket(bucket);
    const { messageTtl, consumerDefaultLimit } = link.features;
    const markerMs = history > 1 ? HISTORY_EXPIRY_MARKER_MS : EXPIRY_MARKER_MS;
    const duplicateMs = ttlMs > 0 ? Math.min(ttlMs, MAX_DUPLICATE_WINDOW_MS) : undefined;
    return {
      name: names.bucketStream(name),
      subjects: [`${names.bucketPrefix(name)}>`],
      retention: "limits" as StreamConfig["retention"],
      storage: config.storage as StreamConfig["storage"],
      num_replicas: config.replicas,
      max_msgs_per_subject: history,
      max_msgs: -1,
      max_bytes: maxBytes,
      max_msg_size: -1,
      max_age: nanos(ttlMs),
      duplicate_window: nanos(duplicateMs ?? MAX_DUPLICATE_WINDOW_MS),
      discard: "new" as StreamConfig["discard"],
      allow_rollup_hdrs: true,
      deny_delete: true,
      allow_direct: true,
      ...(consumerDefaultLimit ? { max_consumers: MAX_CONSUMERS } : {}),
      // Cannot be added later, so every bucket has it where the server can do it.
      ...(messageTtl ? { allow_msg_ttl: true } : {}),
      // The end of a bucket's own TTL is not watched; that of a single value is.
      ...(messageTtl && ttlMs === 0 ? { subject_delete_marker_ttl: nanos(markerMs) } : {}),
    };
  }
}

type Difference = readonly [option: string, existing: unknown, wanted: unknown];

/** The options of a bucket that the existing stream has otherwise. */
function compare(existing: StreamConfig, wanted: NamedStream): Difference[] {
  const all: Difference[] = [
    ["history", existing.max_msgs_per_subject, wanted.max_msgs_per_subject],
    ["ttlMs", millis(existing.max_age), millis(wanted.max_age)],
    ["maxBytes", existing.max_bytes, wanted.max_bytes],
    ["storage", existing.storage, wanted.storage],
    ["replicas", existing.num_replicas, wanted.num_replicas],
  ];
  return all.filter(([, has, wants]) => has !== wants);
}

/** What can be changed in place: the storage stays what it is, and the server says so. */
function updatable(wanted: NamedStream): Partial<StreamConfig> {
  const { max_msgs_per_subject, max_age, max_bytes, duplicate_window, num_replicas, storage } =
    wanted;
  return Object.fromEntries(
    Object.entries({
      max_msgs_per_subject,
      max_age,
      max_bytes,
      duplicate_window,
      num_replicas,
      storage,
    }).filter(([, value]) => value !== undefined),
  );
}
