import type { Timer } from "@busbar/core";
import { createInbox, type Msg, type Subscription } from "@nats-io/transport-node";
import type { Link } from "../link.ts";
import { type JetStreamApi, nanos } from "./jetstream-api.ts";

/** How long a pull that does not wait may take before what came is taken for all. */
const NO_WAIT_LIMIT_MS = 2_000;

/** Whether a message on a pull's inbox is a delivery; else it is a status of the server. */
export function isDelivery(message: Msg): boolean {
  return message.reply !== "";
}

/**
 * Pulls that do not wait. A delivery carries the subject it was stored with, not the inbox it was
 * asked for on, so that two pulls at a time need two subscriptions; they are kept and used again.
 */
export class Puller {
  readonly #link: Link;
  readonly #onStray: (message: Msg) => void;
  readonly #idle: PullInbox[] = [];
  readonly #busy = new Set<PullInbox>();

  /** `onStray` gets what comes after its pull was given up. */
  constructor(link: Link, onStray: (message: Msg) => void) {
    this.#link = link;
    this.#onStray = onStray;
  }

  /** What is there now, up to `max`. Empty also when the server is away. */
  async pull(stream: string, consumer: string, max: number): Promise<Msg[]> {
    if (!this.#link.connected) return [];
    const inbox = this.#idle.pop() ?? new PullInbox(this.#link, this.#onStray);
    this.#busy.add(inbox);
    const { messages, complete } = await inbox.pull(stream, consumer, max);
    this.#busy.delete(inbox);
    // An inbox that may still get something late is not used again.
    if (complete) this.#idle.push(inbox);
    else inbox.retire();
    return messages;
  }

  /** The connection broke: what came so far is all. */
  disconnected(): void {
    for (const inbox of this.#busy) inbox.giveUp();
  }

  /**
   * The stream was deleted: a server that is about to remove a consumer takes a pull in and never
   * answers it (seen on 2.9).
   */
  abandon(stream: string): void {
    for (const inbox of this.#busy) if (inbox.stream === stream) inbox.giveUp();
  }

  /** Ends everything. */
  close(): void {
    this.disconnected();
    for (const inbox of this.#idle.splice(0)) inbox.retire();
  }
}

interface Pulled {
  readonly messages: Msg[];
  /** Whether the server said that this was all. */
  readonly complete: boolean;
}

/** One inbox; one pull at a time. States: *idle* -> `pull` -> *pulling* -> *idle*, or *retired*. */
class PullInbox {
  readonly #link: Link;
  readonly #name = createInbox();
  readonly #subscription: Subscription;
  readonly #onStray: (message: Msg) => void;
  #messages: Msg[] = [];
  #max = 0;
  #stream = "";
  #timer: Timer | undefined;
  #resolve: ((pulled: Pulled) => void) | undefined;

  constructor(link: Link, onStray: (message: Msg) => void) {
    this.#link = link;
    this.#onStray = onStray;
    this.#subscription = link.connection.subscribe(this.#name, {
      callback: (error, message) => {
        if (!error) this.#onMessage(message);
      },
    });
  }

  /** From where it pulls, or pulled last. */
  get stream(): string {
    return this.#stream;
  }

  pull(stream: string, consumer: string, max: number): Promise<Pulled> {
    return new Promise((resolve) => {
      this.#stream = stream;
      this.#messages = [];
      this.#max = max;
      this.#resolve = resolve;
      this.#timer = this.#link.clock.setTimer(() => this.giveUp(), NO_WAIT_LIMIT_MS);
      // Ahead of settles that wait in the outbox: the server hands out while it takes those in.
      this.#link.connection.publish(
        `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
        `{"batch":${max},"no_wait":true}`,
        { reply: this.#name },
      );
    });
  }

  giveUp(): void {
    this.#finish(false);
  }

  retire(): void {
    // Drained, so that what is under way is still handed to `onStray`.
    this.#subscription.drain().catch(() => undefined);
  }

  #onMessage(message: Msg): void {
    if (!isDelivery(message)) {
      this.#finish(true);
      return;
    }
    if (!this.#resolve) {
      this.#onStray(message);
      return;
    }
    this.#messages.push(message);
    if (this.#messages.length === this.#max) this.#finish(true);
  }

  #finish(complete: boolean): void {
    const resolve = this.#resolve;
    if (!resolve) return;
    this.#resolve = undefined;
    this.#timer?.cancel();
    resolve({ messages: this.#messages, complete });
  }
}

/**
 * Makes the server forget pulls whose inbox is gone. It finds out only when it looks at them: if that
 * is for a redelivery, the message loses its place (and on 2.9 its count). Being asked for the
 * consumer's state makes it look (`processWaiting` in server/consumer.go).
 */
export async function forgetStalePulls(
  api: JetStreamApi,
  stream: string,
  consumer: string,
): Promise<void> {
  // Twice: a pull that was sent last may be taken in only after the first look.
  for (let look = 0; look < 2; look++) {
    await api.consumerInfo(stream, consumer).catch(() => undefined);
  }
}

/**
 * A pull that waits for one message. It has an inbox of its own, because only the end of a
 * subscription makes the server forget a waiting pull.
 */
export class WaitingPull {
  readonly #subscription: Subscription;
  readonly #api: JetStreamApi;
  readonly #target: WaitingPullTarget;
  #ended = false;

  constructor(
    context: { readonly link: Link; readonly api: JetStreamApi },
    target: WaitingPullTarget,
    on: { message(message: Msg): void; end(): void },
  ) {
    const { link } = context;
    this.#api = context.api;
    this.#target = target;
    const inbox = createInbox();
    this.#subscription = link.connection.subscribe(inbox, {
      callback: (error, message) => {
        // One message, or one status: either is the end of it.
        this.#ended = true;
        if (!error && isDelivery(message)) on.message(message);
        else on.end();
      },
    });
    link.outbox.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${target.stream}.${target.consumer}`,
      `{"batch":1,"expires":${nanos(Math.max(1, target.waitMs))}}`,
      { reply: inbox },
    );
  }

  /** Ends it. A message that is under way still comes before this resolves. */
  async cancel(): Promise<void> {
    if (this.#subscription.isClosed()) return;
    await this.#subscription.drain().catch(() => undefined);
    if (!this.#ended) await forgetStalePulls(this.#api, this.#target.stream, this.#target.consumer);
  }
}

/** Where a {@link WaitingPull} waits, and how long. */
export interface WaitingPullTarget {
  readonly stream: string;
  readonly consumer: string;
  readonly waitMs: number;
}
