import type { Timer } from "@busbar/core";
import { createInbox, type Msg, type Subscription } from "@nats-io/transport-node";
import type { Link } from "../link.ts";
import { nanos } from "./jetstream-api.ts";

interface Batch {
  readonly messages: Msg[];
  readonly max: number;
  readonly resolve: (messages: Msg[]) => void;
  readonly timer: Timer;
}

/** How long a pull that does not wait may take before what came is taken for all. */
const NO_WAIT_LIMIT_MS = 2_000;

/** Whether a message on a pull's inbox is a delivery; else it is a status of the server. */
export function isDelivery(message: Msg): boolean {
  return message.reply !== "";
}

/**
 * Pulls that do not wait, all through one inbox: a batch costs no subscription.
 * Messages that come after a batch was given up are handed to `onStray`.
 */
export class Puller {
  readonly #link: Link;
  readonly #inbox: string;
  readonly #batches = new Map<string, Batch>();
  readonly #onStray: (message: Msg) => void;
  #subscription: Subscription | undefined;
  #counter = 0;

  constructor(link: Link, onStray: (message: Msg) => void) {
    this.#link = link;
    this.#inbox = `${createInbox()}.`;
    this.#onStray = onStray;
  }

  /** What is there now, up to `max`. Empty also when the server is away. */
  pull(stream: string, consumer: string, max: number): Promise<Msg[]> {
    this.#subscription ??= this.#link.connection.subscribe(`${this.#inbox}*`, {
      callback: (error, message) => {
        if (!error) this.#onMessage(message);
      },
    });
    if (!this.#link.connected) return Promise.resolve([]);
    return new Promise((resolve) => {
      const token = (this.#counter++).toString(36);
      const timer = this.#link.clock.setTimer(() => this.#finish(token), NO_WAIT_LIMIT_MS);
      this.#batches.set(token, { messages: [], max, resolve, timer });
      this.#link.connection.publish(
        `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
        `{"batch":${max},"no_wait":true}`,
        { reply: this.#inbox + token },
      );
    });
  }

  /** The connection broke: what came so far is all. */
  disconnected(): void {
    for (const token of [...this.#batches.keys()]) this.#finish(token);
  }

  /** Ends everything. */
  close(): void {
    this.disconnected();
    this.#subscription?.unsubscribe();
  }

  #onMessage(message: Msg): void {
    const token = message.subject.slice(this.#inbox.length);
    const batch = this.#batches.get(token);
    if (!isDelivery(message)) {
      if (batch) this.#finish(token);
      return;
    }
    if (!batch) {
      this.#onStray(message);
      return;
    }
    batch.messages.push(message);
    if (batch.messages.length === batch.max) this.#finish(token);
  }

  #finish(token: string): void {
    const batch = this.#batches.get(token);
    if (!batch) return;
    this.#batches.delete(token);
    batch.timer.cancel();
    batch.resolve(batch.messages);
  }
}

/**
 * A pull that waits for one message. It has an inbox of its own, because only the end of a
 * subscription makes the server forget a waiting pull.
 */
export class WaitingPull {
  readonly #subscription: Subscription;

  constructor(
    link: Link,
    target: { readonly stream: string; readonly consumer: string; readonly waitMs: number },
    on: { message(message: Msg): void; end(): void },
  ) {
    const inbox = createInbox();
    this.#subscription = link.connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error) on.end();
        else if (isDelivery(message)) on.message(message);
        else on.end();
      },
    });
    link.connection.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${target.stream}.${target.consumer}`,
      `{"batch":1,"expires":${nanos(Math.max(1, target.waitMs))}}`,
      { reply: inbox },
    );
  }

  /** Ends it. A message that is under way still comes before this resolves. */
  async cancel(): Promise<void> {
    if (this.#subscription.isClosed()) return;
    await this.#subscription.drain().catch(() => undefined);
  }
}
