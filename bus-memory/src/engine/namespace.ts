import type { StorageStats } from "@busbar/core";
import {
  type IncomingRequest,
  optionsConflict,
  type ResolvedBucketOptions,
  type ResolvedStorageOptions,
  sumStorage,
} from "@busbar/core/adapter";
import { Bucket } from "./bucket.ts";
import type { EngineContext } from "./engine-context.ts";
import { LeaseBook } from "./lease-book.ts";
import { MessageHub } from "./message-hub.ts";
import { Queue, type QueueContext } from "./queue.ts";
import { Router } from "./router.ts";

/** Takes a request; its payload is the taker's to keep. */
export type Responder = (request: IncomingRequest) => void;

/** Everything one namespace has on a server. No name in it means anything in another one. */
export class Namespace {
  readonly name: string;
  readonly dedupWindowMs: number;
  readonly hub: MessageHub;
  readonly responders: Router<Responder> = new Router();
  readonly leases: LeaseBook;
  readonly #context: EngineContext;
  readonly #buckets = new Map<string, Bucket>();
  readonly #queues = new Map<string, Queue>();
  readonly #queueContext: QueueContext;
  /** How many jobs there were, over all queues. */
  #jobs = 0;

  constructor(name: string, dedupWindowMs: number, context: EngineContext) {
    this.name = name;
    this.dedupWindowMs = dedupWindowMs;
    this.#context = context;
    this.hub = new MessageHub(context, dedupWindowMs);
    this.leases = new LeaseBook(context.deadlines);
    this.#queueContext = {
      engine: context,
      dedupWindowMs,
      nextNumber: () => ++this.#jobs,
      loseNumber: (number) => {
        if (number === this.#jobs) this.#jobs -= 1;
      },
    };
  }

  /** The buckets. */
  buckets(): Iterable<Bucket> {
    return this.#buckets.values();
  }

  /** The queues. */
  queues(): Iterable<Queue> {
    return this.#queues.values();
  }

  /** A bucket that exists. */
  findBucket(name: string): Bucket | undefined {
    return this.#buckets.get(name);
  }

  /** A bucket, made if need be. @throws BusError `CONFLICT` if it exists with other options */
  ensureBucket(name: string, options: ResolvedBucketOptions): Bucket {
    const existing = this.#buckets.get(name);
    if (existing === undefined) {
      const bucket = new Bucket(name, options, this.#context);
      this.#buckets.set(name, bucket);
      return bucket;
    }
    const differences = (["history", "ttlMs", "maxBytes"] as const)
      .filter((option) => existing.options[option] !== options[option])
      .map((option) => [option, existing.options[option], options[option]] as const);
    if (differences.length > 0) throw optionsConflict(`bucket ${name}`, differences);
    return existing;
  }

  /** Removes a bucket. */
  deleteBucket(name: string): boolean {
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) return false;
    this.#buckets.delete(name);
    bucket.clear();
    return true;
  }

  /** A queue that exists. */
  findQueue(name: string): Queue | undefined {
    const queue = this.#queues.get(name);
    return queue?.exists ? queue : undefined;
  }

  /** A queue, made if need be. */
  useQueue(name: string): Queue {
    const queue = this.#queues.get(name) ?? this.#newQueue(name);
    queue.exists = true;
    return queue;
  }

  /** Removes a queue. Claims that wait go on waiting, for a queue that is made anew. */
  deleteQueue(name: string): boolean {
    const queue = this.findQueue(name);
    if (queue === undefined) return false;
    queue.delete();
    if (queue.waiterCount === 0) this.#queues.delete(name);
    return true;
  }

  /** What is stored: everything, or only what is named. */
  storage(only?: ResolvedStorageOptions): StorageStats {
    const queues = only ? only.queues.map((name) => this.findQueue(name)) : this.#queues.values();
    const buckets = only
      ? only.buckets.map((name) => this.findBucket(name))
      : this.#buckets.values();
    const stored = [...queues, ...buckets].flatMap((one) => (one ? [one.storage] : []));
    return sumStorage(only ? stored : [this.hub.storage, ...stored]);
  }

  /** Whether it is as if nobody had ever used it. */
  get isBlank(): boolean {
    const { stream, consumerCount, live } = this.hub;
    const isStored = stream.nextSequence > 1 || consumerCount + this.#queues.size > 0;
    const isHeard = live.size + this.responders.size > 0;
    return !isStored && !isHeard && this.#buckets.size === 0 && this.leases.isBlank;
  }

  /** Removes everything that is stored. Whatever is used later begins anew. */
  clear(): void {
    this.hub.clear();
    for (const name of this.#queues.keys()) this.deleteQueue(name);
    for (const name of this.#buckets.keys()) this.deleteBucket(name);
    this.leases.clear();
  }

  /** The server has crashed and is back. Lease records were written through: none is lost. */
  recover(): void {
    this.hub.recover();
    for (const queue of this.#queues.values()) queue.recover();
    for (const bucket of this.#buckets.values()) bucket.recover();
  }

  #newQueue(name: string): Queue {
    const queue = new Queue(name, this.#queueContext);
    this.#queues.set(name, queue);
    return queue;
  }
}
