import { BusError, type StorageStats } from "@busbar/core";
import { revisionConflict, type ResolvedBucketOptions } from "@busbar/core/adapter";
import { Deadline } from "./deadlines.ts";
import type { EngineContext } from "./engine-context.ts";
import type { Journal } from "./journal.ts";
import { SortedKeys } from "./sorted-keys.ts";

/** One write to a key, or its removal. In the bucket's list by revision as long as it is kept. */
export class KvRecord extends Deadline {
  readonly #owner: { recordOver(record: KvRecord): void };
  readonly key: string;
  /** `undefined` stands for a removal. */
  readonly value: Uint8Array | undefined;
  readonly revision: number;
  readonly createdAtMs: number;
  /** When it was written, by the server's monotonic time. */
  readonly writtenMs: number;
  older: KvRecord | undefined = undefined;
  newer: KvRecord | undefined = undefined;

  constructor(
    owner: { recordOver(record: KvRecord): void },
    content: Pick<KvRecord, "key" | "value" | "revision" | "createdAtMs" | "writtenMs">,
  ) {
    super();
    this.#owner = owner;
    this.key = content.key;
    this.value = content.value;
    this.revision = content.revision;
    this.createdAtMs = content.createdAtMs;
    this.writtenMs = content.writtenMs;
  }

  expire(): void {
    this.#owner.recordOver(this);
  }
}

/** Who is told of every write. */
export interface BucketWatcher {
  written(record: KvRecord): void;
  /** The writes after this revision were lost: their revisions are given again. */
  rewound(revision: number): void;
  /** The bucket was deleted. */
  bucketDeleted(): void;
}

/** The keys of one bucket with their past, in one order of revisions. */
export class Bucket {
  readonly name: string;
  readonly options: ResolvedBucketOptions;
  readonly #context: EngineContext;
  /** What is kept of each key, oldest first, never empty. */
  readonly #past = new Map<string, KvRecord[]>();
  readonly #sorted = new SortedKeys();
  readonly #watchers = new Set<BucketWatcher>();
  #oldest: KvRecord | undefined;
  #newest: KvRecord | undefined;
  #revision = 0;
  #bytes = 0;
  /** Whether writes were lost in the crash from which it recovers. */
  #hasLost = false;

  constructor(name: string, options: ResolvedBucketOptions, context: EngineContext) {
    this.name = name;
    this.options = options;
    this.#context = context;
  }

  /** How many keys have a value. */
  get size(): number {
    return this.#sorted.size;
  }

  /** What is stored: what is kept of every key, with the keys. */
  get storage(): StorageStats {
    let objects = 0;
    for (let record = this.#oldest; record; record = record.newer) objects += 1;
    return { objects, bytes: this.#bytes };
  }

  /** How many watch. */
  get watcherCount(): number {
    return this.#watchers.size;
  }

  /** The current value of a key, if it has one. */
  get(key: string): KvRecord | undefined {
    const last = this.#past.get(key)?.at(-1);
    return last?.value === undefined ? undefined : last;
  }

  /** What is kept of a key's past, oldest first. */
  history(key: string): readonly KvRecord[] {
    return this.#past.get(key) ?? [];
  }

  /** Writes; `ttlMs` 0 is the bucket's own. @throws BusError `LIMIT_EXCEEDED` */
  put(key: string, value: Uint8Array, ttlMs: number): number {
    return this.#write(key, value, ttlMs).revision;
  }

  /** Writes if the key's revision is `expected`, 0 for no value. @throws BusError `CONFLICT` */
  cas(key: string, value: Uint8Array, expected: number, ttlMs: number): number {
    this.#check(key, expected);
    return this.#write(key, value, ttlMs).revision;
  }

  /** Removes the value of a key that has one. @throws BusError `CONFLICT` */
  delete(key: string, expected: number | undefined): void {
    if (expected !== undefined) this.#check(key, expected);
    if (this.get(key) !== undefined) this.#write(key, undefined, 0);
  }

  /** Keys that have a value, from `start` on, in order. */
  keysFrom(start: string): IterableIterator<string> {
    return this.#sorted.from(start);
  }

  /** Every current value, by revision. */
  current(): KvRecord[] {
    const records: KvRecord[] = [];
    for (let record = this.#oldest; record; record = record.newer) {
      if (record.value !== undefined && this.get(record.key) === record) records.push(record);
    }
    return records;
  }

  /** What is kept of the writes and removals after a revision, at most `limit`, by revision. */
  after(revision: number, limit: number): KvRecord[] {
    let first: KvRecord | undefined;
    for (let record = this.#newest; record && record.revision > revision; record = record.older) {
      first = record;
    }
    const records: KvRecord[] = [];
    for (let record = first; record && records.length < limit; record = record.newer) {
      records.push(record);
    }
    return records;
  }

  /** Tells `watcher` of every later write. */
  watch(watcher: BucketWatcher): void {
    this.#watchers.add(watcher);
  }

  /** Tells it no more. */
  unwatch(watcher: BucketWatcher): void {
    this.#watchers.delete(watcher);
  }

  /** Removes everything and tells the watchers. */
  clear(): void {
    for (let record = this.#oldest; record; record = record.newer) {
      this.#context.deadlines.clear(record);
    }
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    this.#past.clear();
    this.#oldest = undefined;
    this.#newest = undefined;
    for (const watcher of watchers) watcher.bucketDeleted();
  }

  /** The server has crashed and is back. */
  recover(): void {
    if (!this.#hasLost) return;
    this.#hasLost = false;
    const { deadlines } = this.#context;
    const kept = [...this.#past.values()].flat();
    kept.sort((one, other) => one.revision - other.revision);
    this.#oldest = undefined;
    this.#newest = undefined;
    this.#bytes = 0;
    for (const record of kept) {
      record.newer = undefined;
      this.#remember(record);
      if (record.dueMs > 0) deadlines.set(record, record.dueMs);
    }
    for (const watcher of this.#watchers) watcher.rewound(this.#revision);
  }

  /** The time of a record is over. */
  recordOver(record: KvRecord): void {
    const past = this.#past.get(record.key) as KvRecord[];
    if (past.at(-1) === record) {
      // What came before must not come to light again.
      for (const one of past) this.#forget(one);
      this.#past.delete(record.key);
      if (record.value !== undefined) this.#sorted.remove(record.key);
    } else {
      past.splice(past.indexOf(record), 1);
      this.#forget(record);
    }
  }

  #check(key: string, expected: number): void {
    const revision = this.get(key)?.revision ?? 0;
    if (revision !== expected) throw revisionConflict(this.name, key, expected, revision);
  }

  #write(key: string, value: Uint8Array | undefined, ttlMs: number): KvRecord {
    const { clock, deadlines, journal } = this.#context;
    const past = this.#past.get(key);
    const before = journal && past?.slice();
    const superseded = this.#superseded(past ?? [], ttlMs);
    if (value !== undefined) this.#checkRoom(sizeOf(key, value), superseded);
    const hadValue = past?.at(-1)?.value !== undefined;
    const record = new KvRecord(this, {
      key,
      value,
      revision: ++this.#revision,
      createdAtMs: clock.now(),
      writtenMs: deadlines.nowMs,
    });
    past?.splice(0, superseded.length);
    for (const one of superseded) this.#forget(one);
    if (past) past.push(record);
    else this.#past.set(key, [record]);
    this.#remember(record);
    if (hadValue !== (value !== undefined)) {
      if (hadValue) this.#sorted.remove(key);
      else this.#sorted.add(key);
    }
    const lifeMs = shorter(ttlMs, this.options.ttlMs);
    if (lifeMs > 0) deadlines.set(record, deadlines.nowMs + lifeMs);
    if (journal) this.#journalWrite(journal, record, before ?? []);
    for (const watcher of this.#watchers) watcher.written(record);
    return record;
  }

  /** `before` is what was kept of the key before this write. */
  #journalWrite(journal: Journal, record: KvRecord, before: KvRecord[]): void {
    const { deadlines } = this.#context;
    const { key } = record;
    journal.add("write", record.writtenMs, () => {
      // Newest first, so what came after it is undone. Its neighbours and bytes: see recover.
      this.#hasLost = true;
      this.#revision = record.revision - 1;
      deadlines.clear(record);
      const hadValue = this.get(key) !== undefined;
      if (before.length > 0) this.#past.set(key, before);
      else this.#past.delete(key);
      const hasValue = this.get(key) !== undefined;
      if (hadValue && !hasValue) this.#sorted.remove(key);
      if (hasValue && !hadValue) this.#sorted.add(key);
    });
  }

  /**
   * What of a key's past goes with a write: all before a value with a TTL of its own. JetStream would
   * bring the one before to light again when that is over.
   */
  #superseded(past: readonly KvRecord[], ttlMs: number): readonly KvRecord[] {
    if (ttlMs > 0) return past.slice();
    return past.length >= this.options.history ? past.slice(0, 1) : [];
  }

  #checkRoom(bytes: number, superseded: readonly KvRecord[]): void {
    const { maxBytes } = this.options;
    if (maxBytes < 0) return;
    const freed = superseded.reduce((sum, one) => sum + sizeOf(one.key, one.value), 0);
    if (this.#bytes - freed + bytes <= maxBytes) return;
    throw new BusError(
      "LIMIT_EXCEEDED",
      `bucket ${this.name} is full: ${this.#bytes} of ${maxBytes} bytes are used, ${bytes} more are needed`,
      { details: { bucket: this.name, bytes: this.#bytes, maxBytes } },
    );
  }

  #remember(record: KvRecord): void {
    this.#bytes += sizeOf(record.key, record.value);
    record.older = this.#newest;
    if (this.#newest) this.#newest.newer = record;
    else this.#oldest = record;
    this.#newest = record;
  }

  #forget(record: KvRecord): void {
    this.#context.deadlines.clear(record);
    this.#bytes -= sizeOf(record.key, record.value);
    if (record.older) record.older.newer = record.newer;
    else this.#oldest = record.newer;
    if (record.newer) record.newer.older = record.older;
    else this.#newest = record.older;
    // Whoever still holds it must not hold its neighbours.
    record.older = undefined;
    record.newer = undefined;
  }
}

function sizeOf(key: string, value: Uint8Array | undefined): number {
  return key.length + (value?.length ?? 0);
}

function shorter(a: number, b: number): number {
  if (a === 0 || b === 0) return a + b;
  return Math.min(a, b);
}
