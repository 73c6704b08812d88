/// <reference lib="esnext.disposable" preserve="true" />
import type { Bus } from "../bus.ts";
import type {
  DeleteOptions,
  KeyPage,
  KeysOptions,
  KvEntry,
  KvEvent,
  KvWatch,
  PutOptions,
  WatchOptions,
} from "../kv-store.ts";
import type { BucketDefinition } from "./define.ts";
import { type OnInvalid, report } from "./invalid.ts";
import { Port } from "./port.ts";
import type { SchemaInput, SchemaOutput, StandardSchemaV1 } from "./standard-schema.ts";
import { convertStream } from "./stream.ts";

/** A {@link KvEntry} whose value was checked. */
export interface TypedEntry<Value> extends Omit<KvEntry, "value"> {
  /** What the schema made of the stored bytes. */
  readonly value: Value;
}

/** What a {@link TypedWatch} yields: as {@link KvEvent}, with checked values. */
export type TypedKvEvent<Value> =
  | ({ readonly type: "put" } & TypedEntry<Value>)
  | Exclude<KvEvent, { type: "put" }>;

/** Options of {@link TypedBucket.watch}. */
export interface TypedWatchOptions extends WatchOptions {
  /**
   * Told of values that were refused; the watch then goes on without them. Without it the loop
   * throws at the first one and the watch is closed.
   */
  readonly onInvalid?: OnInvalid<KvEntry>;
}

/** A {@link KvWatch} with checked values. */
export interface TypedWatch<Value> extends AsyncIterable<TypedKvEvent<Value>>, AsyncDisposable {
  /** As {@link KvWatch.close}. */
  close(): Promise<void>;
}

/**
 * A bucket on a bus. What is written is checked before it is sent; a stored value that does not fit
 * rejects with `INVALID_ARGUMENT` where it is read. Errors besides are those of {@link KvStore}.
 */
export interface TypedBucket<Schema extends StandardSchemaV1> {
  /** What it was made of. */
  readonly definition: BucketDefinition<Schema>;
  /** As {@link KvStore.get}. @throws BusError `INVALID_ARGUMENT` if the stored value does not fit */
  get(key: string): Promise<TypedEntry<SchemaOutput<Schema>> | undefined>;
  /** As {@link KvStore.put}. @throws BusError `INVALID_ARGUMENT` with `details.issues` */
  put(key: string, value: SchemaInput<Schema>, options?: PutOptions): Promise<number>;
  /** As {@link KvStore.create}. @throws BusError `INVALID_ARGUMENT` with `details.issues` */
  create(key: string, value: SchemaInput<Schema>, options?: PutOptions): Promise<number>;
  /** As {@link KvStore.cas}. @throws BusError `INVALID_ARGUMENT` with `details.issues` */
  cas(key: string, value: SchemaInput<Schema>, expectedRevision: number): Promise<number>;
  /** As {@link KvStore.delete}. */
  delete(key: string, options?: DeleteOptions): Promise<void>;
  /** As {@link KvStore.keys}. */
  keys(options?: KeysOptions): Promise<KeyPage>;
  /** As {@link KvStore.watch}. */
  watch(options?: TypedWatchOptions): Promise<TypedWatch<SchemaOutput<Schema>>>;
}

export class BusBucket<Schema extends StandardSchemaV1> implements TypedBucket<Schema> {
  readonly definition: BucketDefinition<Schema>;
  readonly #bus: Bus;
  readonly #bucket: string;
  readonly #port: Port<Schema>;

  constructor(bus: Bus, definition: BucketDefinition<Schema>) {
    this.#bus = bus;
    this.definition = definition;
    this.#bucket = definition.bucket;
    this.#port = new Port(definition.schema, definition.codec, `bucket ${definition.bucket}`);
  }

  async get(key: string): Promise<TypedEntry<SchemaOutput<Schema>> | undefined> {
    const entry = await this.#bus.kv.get(this.#bucket, key);
    if (entry === undefined) return undefined;
    const { revision, createdAtMs } = entry;
    const value = await this.#port.read(entry.value, this.#what(entry));
    return { key: entry.key, value, revision, createdAtMs };
  }

  async put(key: string, value: SchemaInput<Schema>, options?: PutOptions): Promise<number> {
    return this.#bus.kv.put(this.#bucket, key, await this.#encode(key, value), options);
  }

  async create(key: string, value: SchemaInput<Schema>, options?: PutOptions): Promise<number> {
    return this.#bus.kv.create(this.#bucket, key, await this.#encode(key, value), options);
  }

  async cas(key: string, value: SchemaInput<Schema>, expectedRevision: number): Promise<number> {
    return this.#bus.kv.cas(this.#bucket, key, await this.#encode(key, value), expectedRevision);
  }

  delete(key: string, options?: DeleteOptions): Promise<void> {
    return this.#bus.kv.delete(this.#bucket, key, options);
  }

  keys(options?: KeysOptions): Promise<KeyPage> {
    return this.#bus.kv.keys(this.#bucket, options);
  }

  async watch(options: TypedWatchOptions = {}): Promise<TypedWatch<SchemaOutput<Schema>>> {
    const { onInvalid, ...rest } = options;
    const inner = await this.#bus.kv.watch(this.#bucket, rest);
    return new CheckedWatch(inner, (event) => this.#convert(event, onInvalid));
  }

  #encode(key: string, value: SchemaInput<Schema>): Promise<Uint8Array> {
    return this.#port.encode(value, `the value for key ${key} of bucket ${this.#bucket}`);
  }

  async #convert(
    event: KvEvent,
    onInvalid: OnInvalid<KvEntry> | undefined,
  ): Promise<TypedKvEvent<SchemaOutput<Schema>> | undefined> {
    if (event.type !== "put") return event;
    const { type, key, revision, createdAtMs } = event;
    const decoded = await this.#port.decode(event.value, this.#what(event));
    if (decoded.ok) return { type, key, value: decoded.value, revision, createdAtMs };
    if (onInvalid === undefined) throw decoded.error;
    report(onInvalid, decoded.error, event);
    return undefined;
  }

  #what(entry: KvEntry): string {
    return `the value of key ${entry.key} of bucket ${this.#bucket} (revision ${entry.revision})`;
  }
}

class CheckedWatch<Value> implements TypedWatch<Value> {
  readonly #inner: KvWatch;
  readonly #convert: (event: KvEvent) => Promise<TypedKvEvent<Value> | undefined>;

  constructor(
    inner: KvWatch,
    convert: (event: KvEvent) => Promise<TypedKvEvent<Value> | undefined>,
  ) {
    this.#inner = inner;
    this.#convert = convert;
  }

  [Symbol.asyncIterator](): AsyncIterator<TypedKvEvent<Value>, undefined> {
    return convertStream(this.#inner, this.#convert);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#inner.close();
  }
}
