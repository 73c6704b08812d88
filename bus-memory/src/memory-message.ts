import {
  type AckOptions,
  BusError,
  type Headers,
  type Message,
  type NakOptions,
  type TermOptions,
} from "@busbar/core";
import { alreadySettled, checkReason, resolveDelay } from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import { copyOf } from "./engine/arena.ts";
import type { Consumer } from "./engine/consumer.ts";
import type { Delivery } from "./engine/delivery.ts";

/** A delivery in the hands of the program. */
export class MemoryMessage implements Message {
  readonly subject: string;
  readonly headers: Headers;
  readonly sequence: number;
  readonly publishedAtMs: number;
  readonly deliveryCount: number;
  readonly #context: BusContext;
  readonly #consumer: Consumer;
  readonly #delivery: Delivery;
  /** The end of the ack wait by the program's own clock. */
  #deadlineMs: number;
  #isSettled = false;
  #payload: Uint8Array | undefined = undefined;

  constructor(context: BusContext, consumer: Consumer, delivery: Delivery) {
    const { message, count } = delivery;
    this.subject = message.subject;
    this.headers = message.headers;
    this.sequence = message.sequence;
    this.publishedAtMs = message.publishedAtMs;
    this.deliveryCount = count;
    this.#context = context;
    this.#consumer = consumer;
    this.#delivery = delivery;
    this.#deadlineMs = context.nowMs + consumer.waitMs(count);
  }

  /** Copied when it is asked for: a buffer of its own costs more than the rest of a delivery. */
  get payload(): Uint8Array {
    this.#payload ??= copyOf(this.#delivery.message);
    return this.#payload;
  }

  async ack(options?: AckOptions): Promise<void> {
    if (this.#settle()) this.#consumer.finish(this.#delivery);
    else if (options?.confirm === true) throw this.#goneError();
  }

  async nak(options?: NakOptions): Promise<void> {
    const delayMs = resolveDelay(options?.delayMs);
    if (this.#settle()) this.#consumer.retry(this.#delivery, delayMs);
  }

  async term(options?: TermOptions): Promise<void> {
    if (options?.reason !== undefined) checkReason(options.reason);
    if (this.#settle()) this.#consumer.finish(this.#delivery);
  }

  async extend(): Promise<void> {
    const nowMs = this.#check();
    if (this.#delivery.state !== "held") throw this.#goneError();
    this.#deadlineMs = nowMs + this.#consumer.waitMs(this.deliveryCount);
    this.#consumer.extend(this.#delivery);
  }

  /** What the program can know by itself. @throws BusError `LEASE_LOST` */
  checkTime(): void {
    if (this.#context.clock.monotonic() >= this.#deadlineMs) throw this.#lateError();
  }

  /** The program will never see it. */
  giveBack(): void {
    const { state, count } = this.#delivery;
    const isOurs = state === "held" && count === this.deliveryCount;
    if (isOurs && !this.#isSettled) this.#consumer.giveBack(this.#delivery);
    this.#isSettled = true;
  }

  /** True if the engine has something to do: after its durable was deleted it has not. */
  #settle(): boolean {
    this.#check();
    this.#isSettled = true;
    return this.#delivery.state === "held";
  }

  /** @throws BusError unless this is the delivery that counts. */
  #check(): number {
    if (this.#isSettled) {
      throw alreadySettled(`delivery ${this.deliveryCount} of message ${this.sequence}`);
    }
    // What the program can know without its bus comes before that it is closed.
    if (this.#context.isOver) this.checkTime();
    const nowMs = this.#context.enterSettle();
    const { state, count } = this.#delivery;
    const isOurs = state === "gone" || (state === "held" && count === this.deliveryCount);
    if (isOurs && nowMs < this.#deadlineMs) return nowMs;
    throw this.#lateError();
  }

  /** As with NATS only who wants an answer learns that nobody waits for the settle any more. */
  #goneError(): BusError {
    const { subject, sequence } = this;
    return new BusError("NOT_FOUND", `the consumer of message ${sequence} on ${subject} is gone`, {
      details: { subject, sequence },
    });
  }

  #lateError(): BusError {
    const { subject, sequence, deliveryCount } = this;
    return new BusError(
      "LEASE_LOST",
      `the ack wait of message ${sequence} on ${subject} (delivery ${deliveryCount}) is over: nothing was changed`,
      { details: { subject, sequence, deliveryCount } },
    );
  }
}
