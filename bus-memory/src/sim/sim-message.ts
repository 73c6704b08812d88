import type { AckOptions, Headers, Message, NakOptions, TermOptions } from "@busbar/core";
import {
  alreadySettled,
  checkReason,
  DEFAULT_TIMEOUT_MS,
  resolveDelay,
} from "@busbar/core/adapter";
import type { MemoryMessage } from "../memory-message.ts";
import type { Call, Link } from "./link.ts";

/** A delivery that came over a {@link Link}. */
export class SimMessage implements Message {
  readonly #link: Link;
  readonly #inner: MemoryMessage;
  readonly #consumer: string;
  #isSettled = false;

  /** `consumer` names the durable, or the subscription if there is none. */
  constructor(link: Link, inner: MemoryMessage, consumer: string) {
    this.#link = link;
    this.#inner = inner;
    this.#consumer = consumer;
  }

  get subject(): string {
    return this.#inner.subject;
  }

  get payload(): Uint8Array {
    return this.#inner.payload;
  }

  get headers(): Headers {
    return this.#inner.headers;
  }

  get sequence(): number {
    return this.#inner.sequence;
  }

  get publishedAtMs(): number {
    return this.#inner.publishedAtMs;
  }

  get deliveryCount(): number {
    return this.#inner.deliveryCount;
  }

  async ack(options?: AckOptions): Promise<void> {
    await this.#settle("message.ack", options?.confirm ?? false, () => this.#inner.ack());
  }

  async nak(options?: NakOptions): Promise<void> {
    resolveDelay(options?.delayMs);
    await this.#settle("message.nak", false, () => this.#inner.nak(options));
  }

  async term(options?: TermOptions): Promise<void> {
    if (options?.reason !== undefined) checkReason(options.reason);
    await this.#settle("message.term", false, () => this.#inner.term(options));
  }

  async extend(): Promise<void> {
    this.#check();
    await this.#link.send(this.#call("message.extend"), () => this.#inner.extend());
  }

  async #settle(op: string, confirm: boolean, run: () => Promise<void>): Promise<void> {
    this.#check();
    this.#isSettled = true;
    const call = this.#call(op, { confirm: confirm || undefined });
    await (confirm ? this.#link.request(call, run) : this.#link.send(call, run));
  }

  #check(): void {
    this.#link.checkOpen(true);
    if (this.#isSettled) {
      throw alreadySettled(`delivery ${this.deliveryCount} of message ${this.sequence}`);
    }
    this.#inner.checkTime();
  }

  #call(op: string, more?: Readonly<Record<string, unknown>>): Call {
    const { subject, sequence, deliveryCount } = this.#inner;
    const data = { consumer: this.#consumer, sequence, deliveryCount, ...more };
    return { op, about: subject, data, timeoutMs: DEFAULT_TIMEOUT_MS, settles: true };
  }
}
