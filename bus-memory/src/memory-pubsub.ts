import type {
  DeadLetters,
  Headers,
  Listener,
  ListenOptions,
  Payload,
  PublishAck,
  PublishOptions,
  Pubsub,
  SubscribeOptions,
  Subscription,
} from "@busbar/core";
import {
  checkDedupId,
  checkExpected,
  checkHeaders,
  checkName,
  checkSubject,
  checkSubjectPattern,
  NO_HEADERS,
  optionsConflict,
  type ResolvedSubscribeOptions,
  resolveSubscribeOptions,
  resolveTimeout,
} from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import type { Consumer, ConsumerOptions } from "./engine/consumer.ts";
import type { MessageHub } from "./engine/message-hub.ts";
import { MemoryDeadLetters } from "./memory-dead-letters.ts";
import { type Carry, MemoryListener } from "./memory-listener.ts";
import { MemorySubscription } from "./memory-subscription.ts";

const NO_OPTIONS: PublishOptions = Object.freeze({});

/** Publish and subscribe on a namespace's hub. */
export class MemoryPubsub implements Pubsub {
  readonly deadLetters: DeadLetters;
  readonly #context: BusContext;
  readonly #hub: MessageHub;

  constructor(context: BusContext) {
    this.#context = context;
    this.#hub = context.namespace.hub;
    this.deadLetters = new MemoryDeadLetters(context, "durable", (name) => this.#hub.durable(name));
  }

  async publish(
    subject: string,
    payload: Payload,
    options: PublishOptions = NO_OPTIONS,
  ): Promise<PublishAck> {
    this.#context.enter();
    // A subject that has messages was checked when it got the first.
    if (this.#hub.stream.line(subject) === undefined) checkSubject(subject);
    const { headers, messageId, expectedLastSequence, timeoutMs, signal } = options;
    if (messageId !== undefined) checkDedupId("messageId", messageId);
    if (expectedLastSequence !== undefined) {
      checkExpected("expectedLastSequence", expectedLastSequence);
    }
    if (timeoutMs !== undefined) resolveTimeout(timeoutMs);
    signal?.throwIfAborted();
    return this.#hub.publish({
      subject,
      headers: headers === undefined ? NO_HEADERS : checkHeaders(headers),
      payload: this.#context.bytes(payload, subject),
      messageId,
      expectedLastSequence,
    });
  }

  async notify(
    subject: string,
    payload: Payload,
    options?: { readonly headers?: Headers },
  ): Promise<void> {
    this.#context.enter();
    checkSubject(subject);
    const bytes = this.#context.bytes(payload, subject);
    this.#hub.notify(subject, bytes, checkHeaders(options?.headers));
  }

  async subscribe(subject: string, options?: SubscribeOptions): Promise<Subscription> {
    this.#context.enter();
    checkSubjectPattern(subject);
    const resolved = resolveSubscribeOptions(options);
    resolved.signal?.throwIfAborted();
    const consumer = this.#consumer(subject, resolved);
    return new MemorySubscription(this.#context, consumer, resolved);
  }

  async listen(subject: string, options: ListenOptions = {}, carry?: Carry): Promise<Listener> {
    this.#context.enter();
    checkSubjectPattern(subject);
    options.signal?.throwIfAborted();
    return new MemoryListener(this.#context, subject, { ...options, carry });
  }

  async deleteDurable(durable: string): Promise<boolean> {
    this.#context.enter();
    checkName("durable", durable);
    const consumer = this.#hub.durable(durable);
    if (consumer === undefined) return false;
    this.#hub.removeConsumer(consumer);
    return true;
  }

  #consumer(pattern: string, resolved: ResolvedSubscribeOptions): Consumer {
    const { durable, from, ackWaitMs, backoffMs, maxDeliveries } = resolved;
    const wanted = { durable, pattern, from, ackWaitMs, backoffMs, maxDeliveries };
    const existing = durable === undefined ? undefined : this.#hub.durable(durable);
    if (existing === undefined) return this.#hub.addConsumer(wanted);
    const differences = compare(existing.options, wanted);
    if (differences.length > 0) throw optionsConflict(`durable ${durable}`, differences);
    return existing;
  }
}

const COMPARED = [
  ["subject", "pattern"],
  ["from", "from"],
  ["ackWaitMs", "ackWaitMs"],
  ["backoffMs", "backoffMs"],
  ["maxDeliveries", "maxDeliveries"],
] as const;

function compare(
  existing: ConsumerOptions,
  wanted: ConsumerOptions,
): (readonly [option: string, existing: unknown, wanted: unknown])[] {
  return COMPARED.map(([shown, option]) => {
    return [shown, plain(existing[option]), plain(wanted[option])] as const;
  }).filter(([, one, other]) => JSON.stringify(one) !== JSON.stringify(other));
}

/** JSON has no infinity. */
function plain(value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY ? "Infinity" : value;
}
