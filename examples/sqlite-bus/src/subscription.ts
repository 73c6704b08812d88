import {
  BusError,
  type CloseOptions,
  type CloseReport,
  type Message,
  type Subscription,
} from "@busbar/core";
import { Mailbox, type Owned, resolveDrain } from "@busbar/core/adapter";
import type { Consumer } from "./consumer.ts";
import type { BusContext } from "./context.ts";
import { Hand } from "./hand.ts";
import { type MessageOrigin, SqliteMessage } from "./message.ts";
import type { Retry } from "./wake.ts";

/**
 * Takes one delivery for each that the program asks for. There is no buffer: nothing has to be given
 * back at the end, and no delivery counts that nobody saw.
 *
 * States: *open* -> `close()` -> *closed* (takes nothing more; what is in hand can be settled) ;
 * *open* -> the durable is deleted -> *failed* (the iterator throws `NOT_FOUND`).
 */
export class SqliteSubscription implements Subscription, Owned {
  readonly #context: BusContext;
  readonly #consumer: Consumer;
  readonly #maxInFlight: number;
  readonly #signal: AbortSignal | undefined;
  readonly #hand: Hand<SqliteMessage>;
  readonly #origin: MessageOrigin;
  readonly #inbox = new Mailbox<Message>();
  readonly #taking: Retry;
  /** How many `next()` wait. */
  #readers = 0;
  #closing: Promise<CloseReport> | undefined;

  constructor(
    context: BusContext,
    consumer: Consumer,
    options: { readonly maxInFlight: number; readonly signal: AbortSignal | undefined },
  ) {
    this.#context = context;
    this.#consumer = consumer;
    this.#maxInFlight = options.maxInFlight;
    this.#signal = options.signal;
    this.#hand = new Hand(context.clock);
    // A settle frees a place here, and what is to come again may be for others on the consumer.
    const own = context.topic("pubsub", String(consumer.id));
    const settled = (): void => context.file.hub.wake(own);
    this.#origin = { consumer, hand: this.#hand, settled };
    this.#taking = context.retry([context.topic("pubsub"), own], () => this.#take());
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
    context.lifecycle.add(this);
  }

  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  async close(options?: CloseOptions): Promise<CloseReport> {
    return this.stop(resolveDrain(options?.drainMs, 0));
  }

  stop(drainMs: number): Promise<CloseReport> {
    this.#closing ??= this.#stop(drainMs);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #onAbort = (): void => {
    void this.close();
  };

  #next(): Promise<IteratorResult<Message, undefined>> {
    if (!this.#inbox.ended) {
      this.#readers += 1;
      this.#taking.run();
    }
    return this.#inbox.next();
  }

  /** Gives the readers what there is. @returns when to try again. */
  #take(): number {
    while (this.#readers > 0) {
      const isFull = this.#hand.size >= this.#maxInFlight;
      if (isFull && !this.#consumer.isGone) return this.#hand.firstEndMs;
      const takenAtMs = this.#context.clock.monotonic();
      const row = this.#consumer.take();
      if (row === "gone") {
        this.#fail();
        return Number.POSITIVE_INFINITY;
      }
      if (row === undefined) return this.#consumer.nextDueMs();
      const message = new SqliteMessage(this.#context, this.#origin, row, takenAtMs);
      this.#hand.add(message);
      this.#readers -= 1;
      this.#inbox.push(message);
    }
    return Number.POSITIVE_INFINITY;
  }

  #fail(): void {
    const { durable } = this.#consumer;
    this.#leave();
    this.#inbox.fail(
      new BusError("NOT_FOUND", `durable ${durable} was deleted`, { details: { durable } }),
    );
  }

  async #stop(drainMs: number): Promise<CloseReport> {
    this.#leave();
    this.#inbox.end();
    const abandoned = await this.#hand.empty(drainMs);
    if (this.#consumer.durable === undefined) this.#consumer.delete();
    this.#context.lifecycle.remove(this);
    return { abandoned };
  }

  #leave(): void {
    this.#taking.stop();
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}
