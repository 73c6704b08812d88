import type { AckOptions, Headers, Message, NakOptions, TermOptions } from "@busbar/core";
import { BusError } from "@busbar/core";
import { alreadySettled, checkReason, resolveDelay } from "@busbar/core/adapter";
import type { Msg } from "@nats-io/transport-node";
import { confirmedSettle } from "./confirmed-settle.ts";
import type { Link } from "./link.ts";
import { ACK, type DeliveryInfo, IN_PROGRESS, nakAfter, TERM } from "./wire/ack-subject.ts";
import { userHeaders } from "./wire/headers.ts";

const DONE = Promise.resolve();

/** What a delivery needs from the subscription it belongs to. */
export interface DeliveryOwner {
  readonly link: Link;
  /** The consumer's ack wait; that of a delivery differs from it with a backoff. */
  readonly ackWaitMs: number;
  /** The delivery is settled: its place is free. */
  settled(message: NatsMessage): void;
  /** Puts the message into the dead letters; it is settled after that. */
  bury(message: NatsMessage, reason: string): Promise<void>;
  /** Whether this delivery was the last one allowed. */
  isLast(message: NatsMessage): boolean;
  /** Whether the ledger knows this message, so that its entry goes with it. */
  done(message: NatsMessage): void;
}

/**
 * One delivery of a JetStream message.
 *
 * States: *open* -> ack, nak or term -> *settled*; *open* -> ack wait over -> *stale* (the server
 * would still take an old ack, and with it settle the delivery that somebody else has by now: so the
 * wait is watched here, by the local monotonic clock).
 */
export class NatsMessage implements Message {
  readonly subject: string;
  readonly deliveryCount: number;
  readonly raw: Msg;
  readonly info: DeliveryInfo;
  /** Length of its ack wait. */
  readonly waitMs: number;
  /** What the server takes for that: it counts deliveries that nobody saw, too. */
  readonly #serverWaitMs: number;
  /** End of its ack wait, by the local monotonic clock. */
  deadline: number;
  readonly #owner: DeliveryOwner;
  #settled = false;
  #headers: Headers | undefined;
  #payload: Uint8Array | undefined;

  constructor(
    owner: DeliveryOwner,
    raw: Msg,
    about: {
      readonly subject: string;
      readonly info: DeliveryInfo;
      readonly deliveryCount: number;
      readonly waitMs: number;
      readonly serverWaitMs: number;
      readonly deadline: number;
    },
  ) {
    this.#owner = owner;
    this.raw = raw;
    this.subject = about.subject;
    this.info = about.info;
    this.deliveryCount = about.deliveryCount;
    this.waitMs = about.waitMs;
    this.#serverWaitMs = about.serverWaitMs;
    this.deadline = about.deadline;
  }

  get payload(): Uint8Array {
    // The receiver's own copy: a dead letter has what was published.
    this.#payload ??= new Uint8Array(this.raw.data);
    return this.#payload;
  }

  get headers(): Headers {
    this.#headers ??= userHeaders(this.raw.headers);
    return this.#headers;
  }

  get sequence(): number {
    return this.info.streamSequence;
  }

  get publishedAtMs(): number {
    return this.info.storedAtMs;
  }

  ack(options?: AckOptions): Promise<void> {
    const refused = this.#begin();
    if (refused) return refused;
    return this.#settle(ACK, options?.confirm === true);
  }

  nak(options?: NakOptions): Promise<void> {
    const delayMs = resolveDelay(options?.delayMs);
    const refused = this.#begin();
    if (refused) return refused;
    if (this.#owner.isLast(this)) return this.#bury();
    return this.#settle(this.#comeAfter(delayMs), false);
  }

  term(options?: TermOptions): Promise<void> {
    const reason = options?.reason === undefined ? "" : checkReason(options.reason);
    const refused = this.#begin();
    if (refused) return refused;
    const spoken = reason !== "" && this.#owner.link.features.v2_10;
    return this.#settle(spoken ? `${TERM} ${reason}` : TERM, false);
  }

  async extend(): Promise<void> {
    this.#check();
    const { link } = this.#owner;
    const sentAt = link.clock.monotonic();
    await this.#request(this.#waitAgain());
    this.deadline = sentAt + this.waitMs;
  }

  /** Whether the server has another ack wait for it. */
  get hasWrongWait(): boolean {
    return this.waitMs !== this.#serverWaitMs;
  }

  /** Starts the ack wait again without waiting for the server: when it leaves the buffer. */
  touch(nowMs: number): void {
    this.#owner.link.outbox.settle(this.raw.reply as string, this.#waitAgain());
    this.deadline = nowMs + this.waitMs;
  }

  #waitAgain(): string {
    return this.hasWrongWait ? this.#comeAfter(this.waitMs) : IN_PROGRESS;
  }

  #comeAfter(delayMs: number): string {
    return nakAfter(delayMs, this.#owner.ackWaitMs - this.#serverWaitMs);
  }

  /** The outcome if the delivery cannot be settled any more; marks it settled otherwise. */
  #begin(): Promise<void> | undefined {
    try {
      this.#check();
    } catch (error) {
      return Promise.reject(error);
    }
    this.#settled = true;
    return undefined;
  }

  #check(): void {
    if (this.#settled) throw alreadySettled(`message ${this.sequence} on ${this.subject}`);
    const { link } = this.#owner;
    if (link.clock.monotonic() >= this.deadline) {
      throw new BusError(
        "LEASE_LOST",
        `the ack wait of message ${this.sequence} on ${this.subject} is over: nothing was changed`,
        { details: { sequence: this.sequence, deliveryCount: this.deliveryCount } },
      );
    }
    link.checkOpen();
    if (!link.connected) {
      throw new BusError(
        "DISCONNECTED",
        `message ${this.sequence} cannot be settled: the server is away`,
        {
          details: { outcome: "notSent" },
        },
      );
    }
  }

  #settle(verb: string, confirm: boolean): Promise<void> {
    const owner = this.#owner;
    if (verb === ACK || verb.startsWith(TERM)) owner.done(this);
    if (!confirm) {
      owner.link.outbox.settle(this.raw.reply as string, verb);
      owner.settled(this);
      return DONE;
    }
    return this.#request(verb).finally(() => owner.settled(this));
  }

  #bury(): Promise<void> {
    return this.#owner.bury(this, "max deliveries").then(
      () => {
        this.#owner.settled(this);
      },
      (error: unknown) => {
        // Not done: the server redelivers, and it is buried then.
        this.#settled = false;
        throw error;
      },
    );
  }

  #request(verb: string): Promise<void> {
    const message = `message ${this.sequence} on ${this.subject}`;
    return confirmedSettle(this.#owner.link, this.raw, verb, {
      what: `settle ${message}`,
      gone: `the consumer of ${message} is gone`,
    });
  }
}
