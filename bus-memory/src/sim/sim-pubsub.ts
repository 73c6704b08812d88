import type {
  CloseOptions,
  CloseReport,
  DeadLetters,
  Headers,
  Listener,
  ListenOptions,
  LiveMessage,
  Message,
  Payload,
  PublishAck,
  PublishOptions,
  Pubsub,
  SubscribeOptions,
  Subscription,
} from "@busbar/core";
import { DEFAULT_TIMEOUT_MS } from "@busbar/core/adapter";
import type { MemoryMessage } from "../memory-message.ts";
import type { MemoryPubsub } from "../memory-pubsub.ts";
import { digest, owned } from "./digest.ts";
import type { Link } from "./link.ts";
import { SimDeadLetters } from "./sim-dead-letters.ts";
import { SimMessage } from "./sim-message.ts";
import { SimStream } from "./sim-stream.ts";

/** Publish and subscribe over a {@link Link}. */
export class SimPubsub implements Pubsub {
  readonly deadLetters: DeadLetters;
  readonly #link: Link;
  readonly #inner: MemoryPubsub;
  #subscriptions = 0;

  constructor(link: Link, inner: MemoryPubsub) {
    this.#link = link;
    this.#inner = inner;
    this.deadLetters = new SimDeadLetters(link, inner.deadLetters);
  }

  publish(subject: string, payload: Payload, options?: PublishOptions): Promise<PublishAck> {
    const { messageId, expectedLastSequence, timeoutMs = DEFAULT_TIMEOUT_MS } = options ?? {};
    const own = owned(this.#link, payload);
    const call = {
      op: "pubsub.publish",
      about: subject,
      data: this.#link.recorder.isWatched
        ? { messageId, expectedLastSequence, payload: digest(own) }
        : {},
      timeoutMs,
      repeatable: messageId !== undefined,
    };
    return this.#link.request(call, () => this.#inner.publish(subject, own, options), facts);
  }

  notify(
    subject: string,
    payload: Payload,
    options?: { readonly headers?: Headers },
  ): Promise<void> {
    const own = owned(this.#link, payload);
    const call = { op: "pubsub.notify", about: subject, timeoutMs: DEFAULT_TIMEOUT_MS };
    return this.#link.send(call, () => this.#inner.notify(subject, own, options));
  }

  async subscribe(subject: string, options?: SubscribeOptions): Promise<Subscription> {
    const { durable } = options ?? {};
    this.#subscriptions += 1;
    const consumer = durable ?? `${this.#link.name}/${this.#subscriptions}`;
    const call = {
      op: "pubsub.subscribe",
      about: subject,
      data: { consumer, durable: durable !== undefined, from: options?.from ?? "all" },
      timeoutMs: DEFAULT_TIMEOUT_MS,
    };
    const inner = await this.#link.request(call, () => this.#inner.subscribe(subject, options));
    return new SimSubscription(this.#link, inner, consumer);
  }

  async listen(subject: string, options?: ListenOptions): Promise<Listener> {
    const call = { op: "pubsub.listen", about: subject, timeoutMs: DEFAULT_TIMEOUT_MS };
    const inner = await this.#link.request(call, () => this.#inner.listen(subject, options));
    return new SimListener(this.#link, inner);
  }

  deleteDurable(durable: string): Promise<boolean> {
    const call = { op: "pubsub.deleteDurable", about: durable, timeoutMs: DEFAULT_TIMEOUT_MS };
    return this.#link.request(call, () => this.#inner.deleteDurable(durable));
  }
}

function facts({ sequence, duplicate }: PublishAck): Readonly<Record<string, unknown>> {
  return { sequence, duplicate };
}

class SimSubscription implements Subscription {
  readonly #link: Link;
  readonly #inner: Subscription;
  readonly #stream: SimStream<Message, Message>;

  constructor(link: Link, inner: Subscription, consumer: string) {
    this.#link = link;
    this.#inner = inner;
    this.#stream = new SimStream<Message, Message>(link, inner[Symbol.asyncIterator]() as never, {
      lossy: true,
      arrived: (message) => {
        link.recorder.delivered(link.name, "message", message.subject, () => ({
          consumer,
          sequence: message.sequence,
          deliveryCount: message.deliveryCount,
          payload: digest(message.payload),
        }));
        return new SimMessage(link, message as MemoryMessage, consumer);
      },
      returned: (message) => (message as MemoryMessage).giveBack(),
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    return {
      next: () => this.#stream.next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  close(options?: CloseOptions): Promise<CloseReport> {
    this.#stream.end();
    return this.#link.gate.through(this.#inner.close(options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

class SimListener implements Listener {
  readonly #link: Link;
  readonly #inner: Listener;
  readonly #stream: SimStream<LiveMessage, LiveMessage>;

  constructor(link: Link, inner: Listener) {
    this.#link = link;
    this.#inner = inner;
    this.#stream = new SimStream<LiveMessage, LiveMessage>(
      link,
      inner[Symbol.asyncIterator]() as never,
      {
        lossy: true,
        arrived: (message) => {
          link.recorder.delivered(link.name, "live", message.subject, () => ({
            payload: digest(message.payload),
          }));
          return message;
        },
      },
    );
  }

  get dropped(): number {
    return this.#inner.dropped;
  }

  [Symbol.asyncIterator](): AsyncIterator<LiveMessage, undefined> {
    return {
      next: () => this.#stream.next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  close(): Promise<void> {
    this.#stream.end();
    return this.#link.gate.through(this.#inner.close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
