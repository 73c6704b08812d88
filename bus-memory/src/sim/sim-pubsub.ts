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
import type { MemorySubscription } from "../memory-subscription.ts";
import { digest, owned, shown } from "./digest.ts";
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
        ? {
            messageId,
            expectedLastSequence,
            payload: digest(own),
            headers: shown(options?.headers),
          }
        : {},
      timeoutMs,
      again: messageId === undefined ? undefined : ("inDoubt" as const),
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
    const member = `${this.#link.name}/${this.#subscriptions}`;
    const consumer = durable ?? member;
    const call = {
      op: "pubsub.subscribe",
      about: subject,
      data: {
        consumer,
        member,
        durable: durable !== undefined,
        from: options?.from ?? (durable === undefined ? "new" : "all"),
        ackWaitMs: options?.backoffMs ?? options?.ackWaitMs,
        maxDeliveries: options?.maxDeliveries,
      },
      timeoutMs: DEFAULT_TIMEOUT_MS,
    };
    let made: Promise<Subscription> | undefined;
    const subscribed = this.#link.request(call, () => {
      made = this.#inner.subscribe(subject, options);
      return made;
    });
    const inner = await subscribed.catch((error: unknown) => {
      // Nobody knows of it: it must not keep messages.
      made?.then((lost) => lost.close()).catch(() => undefined);
      throw error;
    });
    const names = { consumer, member };
    return new SimSubscription(this.#link, inner as MemorySubscription, names, options?.signal);
  }

  async listen(subject: string, options?: ListenOptions): Promise<Listener> {
    const call = { op: "pubsub.listen", about: subject, timeoutMs: DEFAULT_TIMEOUT_MS };
    const lost = (): void => undefined;
    const carry = (arrive: () => void): void => {
      this.#link.deliver({ arrive, lost }, "dropDelivery");
    };
    const inner = await this.#link.request(call, () => this.#inner.listen(subject, options, carry));
    return new SimListener(this.#link, inner, subject);
  }

  deleteDurable(durable: string): Promise<boolean> {
    const call = { op: "pubsub.deleteDurable", about: durable, timeoutMs: DEFAULT_TIMEOUT_MS };
    return this.#link.request(call, () => this.#inner.deleteDurable(durable));
  }
}

function facts({ sequence, duplicate }: PublishAck): Readonly<Record<string, unknown>> {
  return { sequence, duplicate };
}

/** What a subscription is called in the trace: its durable if it has one, and itself. */
interface SubscriptionNames {
  readonly consumer: string;
  readonly member: string;
}

class SimSubscription implements Subscription {
  readonly #link: Link;
  readonly #inner: MemorySubscription;
  readonly #stream: SimStream<Message, Message>;
  readonly #unwatch: () => void;
  readonly #names: SubscriptionNames;
  readonly #signal: AbortSignal | undefined;
  #isEnded = false;

  constructor(
    link: Link,
    inner: MemorySubscription,
    names: SubscriptionNames,
    signal: AbortSignal | undefined,
  ) {
    this.#link = link;
    this.#inner = inner;
    this.#names = names;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#showEnd);
    if (signal?.aborted) this.#showEnd();
    // A broken connection asks for nothing.
    if (link.isDown) inner.suspend();
    this.#unwatch = link.watch((isUp) => (isUp ? inner.resume() : inner.suspend()));
    this.#stream = new SimStream<Message, Message>(link, inner[Symbol.asyncIterator]() as never, {
      op: "message",
      about: names.consumer,
      lossy: true,
      ahead: 0,
      whileDown: "wait",
      arrived: (message) => {
        link.recorder.delivered(link.name, "message", message.subject, () => ({
          ...names,
          sequence: message.sequence,
          deliveryCount: message.deliveryCount,
          payload: digest(message.payload),
          headers: shown(message.headers),
        }));
        return new SimMessage(link, message as MemoryMessage, names.consumer);
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
    this.#showEnd();
    this.#unwatch();
    this.#stream.end();
    return this.#link.gate.through(this.#inner.close(options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #showEnd = (): void => {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#signal?.removeEventListener("abort", this.#showEnd);
    const { gate, recorder, name } = this.#link;
    // A process that was killed says nothing.
    if (!gate.isDead) recorder.note(name, "subscription.close", { ...this.#names });
  };
}

class SimListener implements Listener {
  readonly #link: Link;
  readonly #inner: Listener;
  readonly #pattern: string;

  constructor(link: Link, inner: Listener, pattern: string) {
    this.#link = link;
    this.#inner = inner;
    this.#pattern = pattern;
  }

  get dropped(): number {
    return this.#inner.dropped;
  }

  [Symbol.asyncIterator](): AsyncIterator<LiveMessage, undefined> {
    const { name, gate, recorder } = this.#link;
    const inner = this.#inner[Symbol.asyncIterator]() as AsyncIterator<LiveMessage, undefined>;
    return {
      next: async () => {
        const waiting = { op: "live", about: this.#pattern, sinceMs: recorder.nowMs };
        const leave = this.#link.join({ waiting });
        const result = await gate.through(inner.next());
        leave();
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
