import { BusError, errorCode, type KvEvent, type KvWatch, type WatchOptions } from "@busbar/core";
import {
  checkExpected,
  checkKeyPattern,
  closedError,
  Mailbox,
  type Owned,
} from "@busbar/core/adapter";
import type { Msg } from "@nats-io/transport-node";
import type { NatsContext } from "../context.ts";
import type { DeliveryInfo } from "../wire/ack-subject.ts";
import { ownBytes } from "../wire/bytes.ts";
import type { Bucket } from "./bucket.ts";
import { endOf, toChange } from "./entry.ts";
import { OrderedReader, type ReadTarget } from "./ordered-reader.ts";

/** Most events that wait for the loop; no more than that are asked for. */
const MAX_WAITING = 1_000;

/** {@link WatchOptions} with defaults. */
export interface ResolvedWatchOptions {
  readonly key: string;
  readonly afterRevision: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Checks {@link WatchOptions}. */
export function resolveWatchOptions(options: WatchOptions = {}): ResolvedWatchOptions {
  const { key = ">", afterRevision, signal } = options;
  checkKeyPattern(key);
  if (afterRevision !== undefined) checkExpected("afterRevision", afterRevision);
  return { key, afterRevision, signal };
}

/**
 * A watch of a bucket. What it has seen and where it goes on after a break is the
 * {@link OrderedReader}'s matter; here messages become events.
 *
 * States: *watching* -> `close()`, the signal, the end of the bus -> *closed*; *watching* -> the
 * server refuses it, or the namespace is removed -> *failed* (the iterator throws).
 */
export class NatsKvWatch implements KvWatch, Owned {
  readonly #context: NatsContext;
  readonly #bucket: Bucket;
  readonly #options: ResolvedWatchOptions;
  readonly #mailbox = new Mailbox<KvEvent>();
  readonly #reader: OrderedReader;
  readonly #stopRemoval: () => void;
  #closing: Promise<void> | undefined;

  private constructor(
    context: NatsContext,
    name: string,
    bucket: Bucket,
    options: ResolvedWatchOptions,
  ) {
    this.#context = context;
    this.#bucket = bucket;
    this.#options = options;
    const { key, afterRevision } = options;
    this.#reader = new OrderedReader(
      context,
      {
        stream: bucket.stream,
        filter: bucket.prefix + key,
        from: afterRevision === undefined ? "lastPerSubject" : { after: afterRevision },
        what: `watch of bucket ${name}`,
      },
      this.#target(),
    );
    this.#stopRemoval = context.removal.onRemoved(() =>
      this.#fail(new BusError("NOT_FOUND", `bucket ${name} was removed with its namespace`)),
    );
    context.lifecycle.add(this);
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Begins to watch. */
  static async open(
    context: NatsContext,
    name: string,
    bucket: Bucket,
    options: ResolvedWatchOptions,
  ): Promise<NatsKvWatch> {
    const watch = new NatsKvWatch(context, name, bucket, options);
    try {
      await watch.#reader.start();
    } catch (error) {
      await watch.close();
      context.lifecycle.checkOpen();
      options.signal?.throwIfAborted();
      throw errorCode(error) === undefined ? closedError(`the watch of bucket ${name}`) : error;
    }
    return watch;
  }

  [Symbol.asyncIterator](): AsyncIterator<KvEvent, undefined> {
    return {
      next: () => {
        const next = this.#mailbox.next();
        this.#refill();
        return next;
      },
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async stop(): Promise<{ abandoned: number }> {
    await this.close();
    return { abandoned: 0 };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #onAbort = (): void => {
    void this.close();
  };

  #target(): ReadTarget {
    return {
      message: (message, info, initial) => this.#onMessage(message, info, initial),
      caughtUp: () => this.#mailbox.push({ type: "initialDone" }),
      room: () => MAX_WAITING - this.#mailbox.size,
      failed: (error) => this.#fail(error),
    };
  }

  #onMessage(message: Msg, info: DeliveryInfo, initial: boolean): void {
    const event = toChange({
      key: message.subject.slice(this.#bucket.prefix.length),
      revision: info.streamSequence,
      createdAtMs: info.storedAtMs,
      headers: message.headers,
      value: ownBytes(message.data),
    });
    // The initial values are what is there; a resumed watch has to hear of what is gone.
    const { afterRevision } = this.#options;
    if (initial) {
      const { ttlMs, time } = this.#bucket;
      if (event.type === "delete" && afterRevision === undefined) return;
      if (endOf(info.storedAtMs, message.headers, ttlMs) <= time.atLeastMs) return;
    }
    this.#mailbox.push(event);
  }

  /** Half at a time: few large pulls instead of many small ones. */
  #refill(): void {
    if (this.#mailbox.size <= MAX_WAITING / 2) this.#reader.more();
  }

  #fail(error: BusError): void {
    this.#mailbox.fail(error);
    void this.close();
  }

  async #close(): Promise<void> {
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#stopRemoval();
    // After a failure what came before it and the failure itself are still given.
    if (!this.#mailbox.ended) this.#mailbox.drain();
    this.#mailbox.end();
    await this.#reader.close();
    this.#context.lifecycle.remove(this);
  }
}
