import {
  BusError,
  type CloseOptions,
  type CloseReport,
  type Message,
  type Subscription,
} from "@busbar/core";
import { Mailbox, type Owned, resolveDrain } from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import type { Consumer } from "./engine/consumer.ts";
import type { Delivery } from "./engine/delivery.ts";
import type { Member, MemberSink } from "./engine/member.ts";
import { IdleGate } from "./idle-gate.ts";
import { MemoryMessage } from "./memory-message.ts";

/**
 * A member of a consumer in the hands of the program.
 *
 * What the consumer gives it waits in the member's buffer, where it can be taken back; only what the
 * program asks for becomes a message.
 *
 * States: *open* -> `close()` -> *leaving* (gets nothing new) -> *closed* when the last message in
 * the hands of the program is settled or its time is over.
 */
export class MemorySubscription implements Subscription, Owned, MemberSink {
  readonly #context: BusContext;
  readonly #consumer: Consumer;
  readonly #member: Member;
  readonly #signal: AbortSignal | undefined;
  readonly #inbox = new Mailbox<Message>();
  readonly #gate = new IdleGate();
  #readers = 0;
  #isSuspended = false;
  #closing: Promise<CloseReport> | undefined;

  constructor(
    context: BusContext,
    consumer: Consumer,
    options: { readonly maxInFlight: number; readonly signal: AbortSignal | undefined },
  ) {
    this.#context = context;
    this.#consumer = consumer;
    this.#signal = options.signal;
    this.#member = consumer.join(options.maxInFlight, this);
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
    context.lifecycle.add(this);
  }

  get isWaiting(): boolean {
    return this.#readers > 0 && !this.#isSuspended;
  }

  /** Nobody is there for a while: what comes is only buffered. */
  suspend(): void {
    this.#isSuspended = true;
  }

  /** Somebody is there again. */
  resume(): void {
    this.#isSuspended = false;
    this.#context.tick();
    while (this.#readers > 0) {
      const delivery = this.#consumer.take(this.#member);
      if (delivery === undefined) return;
      this.receive(delivery);
    }
  }

  receive(delivery: Delivery): void {
    this.#readers -= 1;
    this.#inbox.push(new MemoryMessage(this.#context, this.#consumer, delivery));
  }

  idle(): void {
    this.#gate.open();
    if (!this.#member.isOpen) this.#context.lifecycle.remove(this);
  }

  consumerDeleted(): void {
    const { durable } = this.#consumer.options;
    this.#leave();
    this.#inbox.fail(
      new BusError("NOT_FOUND", `durable ${durable} was deleted`, { details: { durable } }),
    );
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
    if (this.#inbox.ended) return this.#inbox.next();
    this.#context.tick();
    const delivery = this.#consumer.take(this.#member);
    if (delivery !== undefined) {
      const value = new MemoryMessage(this.#context, this.#consumer, delivery);
      return Promise.resolve({ done: false, value });
    }
    this.#readers += 1;
    return this.#inbox.next();
  }

  async #stop(drainMs: number): Promise<CloseReport> {
    this.#context.tick();
    this.#leave();
    this.#inbox.end();
    const member = this.#member;
    if (member.held > 0) await this.#gate.wait(this.#context.clock, drainMs);
    const abandoned = member.held;
    if (this.#consumer.options.durable === undefined) {
      this.#context.namespace.hub.removeConsumer(this.#consumer);
    }
    return { abandoned };
  }

  #leave(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#consumer.leave(this.#member);
    if (this.#member.held === 0) this.#context.lifecycle.remove(this);
  }
}
