import {
  type AckOptions,
  BusError,
  type Headers,
  type Message,
  type NakOptions,
  type TermOptions,
} from "@busbar/core";
import { alreadySettled, checkReason, resolveDelay } from "@busbar/core/adapter";
import type { Consumer, DeliveryRow } from "./consumer.ts";
import { type BusContext, toHeaders } from "./context.ts";
import type { Hand, Holdable } from "./hand.ts";

/** Where a message came from. */
export interface MessageOrigin {
  readonly consumer: Consumer;
  readonly hand: Hand<Holdable>;
  /** Told when it was settled, and whether it may come again. */
  settled(): void;
}

/** A delivery in the hands of the program. */
export class SqliteMessage implements Message, Holdable {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: Headers;
  readonly sequence: number;
  readonly publishedAtMs: number;
  readonly deliveryCount: number;
  /** The end of the ack wait, counted from before it was taken. */
  deadlineMs: number;
  readonly #context: BusContext;
  readonly #origin: MessageOrigin;
  #isSettled = false;

  constructor(context: BusContext, origin: MessageOrigin, row: DeliveryRow, takenAtMs: number) {
    this.subject = row.subject;
    this.payload = row.payload;
    this.headers = toHeaders(row.headers);
    this.sequence = row.sequence;
    this.publishedAtMs = row.published_ms;
    this.deliveryCount = row.count;
    this.deadlineMs = takenAtMs + origin.consumer.waitMs(row.count);
    this.#context = context;
    this.#origin = origin;
  }

  async ack(_options?: AckOptions): Promise<void> {
    this.#settle((consumer) => consumer.settle(this.sequence, this.deliveryCount, undefined));
  }

  async nak(options?: NakOptions): Promise<void> {
    const delayMs = resolveDelay(options?.delayMs);
    this.#settle((consumer) => consumer.retry(this.sequence, this.deliveryCount, delayMs));
  }

  async term(options?: TermOptions): Promise<void> {
    if (options?.reason !== undefined) checkReason(options.reason);
    this.#settle((consumer) => consumer.settle(this.sequence, this.deliveryCount, undefined));
  }

  async extend(): Promise<void> {
    this.#check();
    const { consumer } = this.#origin;
    const nowMs = this.#context.clock.monotonic();
    const waitMs = consumer.waitMs(this.deliveryCount);
    if (!consumer.settle(this.sequence, this.deliveryCount, waitMs)) throw this.#lost();
    this.deadlineMs = nowMs + waitMs;
  }

  #settle(end: (consumer: Consumer) => boolean): void {
    this.#check();
    if (!end(this.#origin.consumer)) throw this.#lost();
    this.#isSettled = true;
    this.#origin.hand.remove(this);
    this.#origin.settled();
  }

  /** @throws BusError unless this delivery can be settled, as far as this process knows. */
  #check(): void {
    this.#context.enterSettle();
    if (this.#isSettled) {
      throw alreadySettled(`delivery ${this.deliveryCount} of message ${this.sequence}`);
    }
    if (this.#context.clock.monotonic() >= this.deadlineMs) throw this.#lost();
  }

  #lost(): BusError {
    const { subject, sequence, deliveryCount } = this;
    return new BusError(
      "LEASE_LOST",
      `the ack wait of message ${sequence} on ${subject} (delivery ${deliveryCount}) is over: nothing was changed`,
      { details: { subject, sequence, deliveryCount } },
    );
  }
}
