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
import {
  checkHeaders,
  checkSubject,
  DEFAULT_TIMEOUT_MS,
  payloadBytes,
  resolveDrain,
} from "@busbar/core/adapter";
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
  readonly #maxPayloadBytes: number;
  #subscriptions = 0;

  constructor(link: Link, inner: MemoryPubsub, maxPayloadBytes: number) {
    this.#maxPayloadBytes = maxPayloadBytes;
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

  async notify(
    subject: string,
    payload: Payload,
    options?: { readonly headers?: Headers },
  ): Promise<void> {
    // Nobody waits for its answer: what is wrong must be found here.
    this.#link.checkOpen(false);
    checkSubject(subject);
    payloadBytes(payload, this.#maxPayloadBytes, subject);
    checkHeaders(options?.headers);
    const own = owned(this.#link, payload);
    const call = { op: "pubsub.notify", about: subject, timeoutMs: DEFAULT_TIMEOUT_MS };
    await this.#link.send(call, () => this.#inner.notify(subject, own, options));
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
    const lost = (): void => undefined;
    const carry = (arrive: () => void): void => {
      this.#link.deliver({ arrive, lost }, "dropDelivery");
    };
    const inner = await this.#link.request(call, () => this.#inner.listen(subject, options, carry));
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
      ahead: 0,
      whileDown: "wait",
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

  async close(options?: CloseOptions): Promise<CloseReport> {
    resolveDrain(options?.drainMs, 0);
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

  constructor(link: Link, inner: Listener) {
    this.#link = link;
    this.#inner = inner;
  }

  get dropped(): number {
    return this.#inner.dropped;
  }

  [Symbol.asyncIterator](): AsyncIterator<LiveMessage, undefined> {
    const { name, gate, recorder } = this.#link;
    const inner = this.#inner[Symbol.asyncIterator]() as AsyncIterator<LiveMessage, undefined>;
    return {
      next: async () => {
        const result = await gate.through(inner.next());
        if (!result.done) {
          const { subject, payload } = result.value;
          recorder.delivered(name, "live", subject, () => ({ payload: digest(payload) }));
        }
        return result;
      },
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  close(): Promise<void> {
    return this.#link.gate.through(this.#inner.close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
