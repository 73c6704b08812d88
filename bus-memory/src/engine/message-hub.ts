import type { Headers, StorageStats } from "@busbar/core";
import { sequenceConflict } from "@busbar/core/adapter";
import { Consumer, type ConsumerOptions } from "./consumer.ts";
import { DedupWindow } from "./dedup-window.ts";
import type { EngineContext } from "./engine-context.ts";
import type { Journal } from "./journal.ts";
import { Router } from "./router.ts";
import { Stream } from "./stream.ts";
import { SubjectTree } from "./subject-tree.ts";

/** A message that is published, checked, not yet stored. Its payload is copied. */
export interface Publication {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: Headers;
  readonly messageId: string | undefined;
  readonly expectedLastSequence: number | undefined;
}

/** Who listens live: called for each message, copies what it keeps. */
export type LiveTarget = (subject: string, payload: Uint8Array, headers: Headers) => void;

/** Pubsub of one namespace: the stream, its consumers, and those who listen live. */
export class MessageHub {
  readonly live: Router<LiveTarget> = new Router();
  readonly #context: EngineContext;
  readonly #dedupWindowMs: number;
  #dedup: DedupWindow<number>;
  #stream: Stream;
  readonly #durables = new Map<string, Consumer>();
  readonly #interested = new SubjectTree<Consumer>();

  constructor(context: EngineContext, dedupWindowMs: number) {
    this.#context = context;
    this.#dedupWindowMs = dedupWindowMs;
    this.#dedup = new DedupWindow(dedupWindowMs);
    this.#stream = new Stream(context);
  }

  /** The messages; another stream once they were removed. */
  get stream(): Stream {
    return this.#stream;
  }

  /** What is stored, dead letters too. */
  get storage(): StorageStats {
    let { size: objects, bytes } = this.#stream;
    for (const { deadLetters } of this.consumers()) {
      objects += deadLetters.size;
      bytes += deadLetters.bytes;
    }
    return { objects, bytes };
  }

  /** How many consumers there are, durable and ephemeral. */
  get consumerCount(): number {
    return this.#interested.size;
  }

  /** How many of them are durable. */
  get durableCount(): number {
    return this.#durables.size;
  }

  /** How many message ids are remembered. */
  get dedupCount(): number {
    return this.#dedup.size;
  }

  /** Every consumer. */
  consumers(): Iterable<Consumer> {
    return this.#interested.values();
  }

  /** Stores and delivers. @throws BusError `CONFLICT` */
  publish(publication: Publication): { readonly sequence: number; readonly duplicate: boolean } {
    const { subject, payload, headers, messageId, expectedLastSequence } = publication;
    const { stream } = this;
    const { journal, deadlines } = this.#context;
    const { nowMs } = deadlines;
    // As with NATS who listens live has it before the stream decides, also what it does not store.
    if (this.live.size > 0) this.notify(subject, payload, headers);
    if (messageId !== undefined) {
      const first = this.#dedup.find(messageId, nowMs);
      if (first !== undefined) return { sequence: first, duplicate: true };
    }
    if (expectedLastSequence !== undefined) {
      const last = stream.line(subject)?.last ?? 0;
      if (last !== expectedLastSequence) {
        throw sequenceConflict(subject, expectedLastSequence, last);
      }
    }
    const sequence = stream.append(subject, payload, headers);
    if (messageId !== undefined) this.#dedup.add(messageId, sequence, nowMs);
    if (journal) this.#journalPublish(journal, sequence, messageId);
    for (const consumer of this.#interested.match(subject)) consumer.offer(sequence);
    return { sequence, duplicate: false };
  }

  /** To those who listen live. */
  notify(subject: string, payload: Uint8Array, headers: Headers): void {
    for (const target of this.live.select(subject)) target(subject, payload, headers);
  }

  /** The durable of this name. */
  durable(name: string): Consumer | undefined {
    return this.#durables.get(name);
  }

  /** A new consumer. */
  addConsumer(options: ConsumerOptions): Consumer {
    const { clock, deadlines, journal } = this.#context;
    const consumer = new Consumer(options, { stream: this.stream, clock, deadlines, journal });
    this.#interested.add(options.pattern, consumer);
    if (options.durable !== undefined) this.#durables.set(options.durable, consumer);
    return consumer;
  }

  /** Ends a consumer. */
  removeConsumer(consumer: Consumer): void {
    const { pattern, durable } = consumer.options;
    this.#interested.remove(pattern, consumer);
    if (durable !== undefined) this.#durables.delete(durable);
    consumer.delete();
  }

  /** Removes what is stored, with every consumer. Who listens live goes on. */
  clear(): void {
    for (const consumer of Array.from(this.consumers())) this.removeConsumer(consumer);
    this.#stream.end();
    this.#stream = new Stream(this.#context);
    this.#dedup = new DedupWindow(this.#dedupWindowMs);
  }

  /** The server has crashed and is back. */
  recover(): void {
    for (const consumer of this.#interested.values()) consumer.recover();
  }

  #journalPublish(journal: Journal, sequence: number, messageId: string | undefined): void {
    const stream = this.#stream;
    const dedup = this.#dedup;
    journal.add("write", this.#context.deadlines.nowMs, () => {
      // Newest first: it is the last one by now. What became of it goes in recover.
      stream.loseLast();
      if (messageId !== undefined) dedup.remove(messageId, sequence);
    });
  }
}
