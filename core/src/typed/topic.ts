/// <reference lib="esnext.disposable" preserve="true" />
import type { Bus } from "../bus.ts";
import type { CloseOptions, CloseReport } from "../close.ts";
import type { Headers } from "../payload.ts";
import type {
  AckOptions,
  Listener,
  ListenOptions,
  LiveMessage,
  Message,
  NakOptions,
  PublishAck,
  PublishOptions,
  SubscribeOptions,
  Subscription,
  TermOptions,
} from "../pubsub.ts";
import type { TopicDefinition } from "./define.ts";
import { invalidReason, type OnInvalid, RETRY_MS, report } from "./invalid.ts";
import { Port } from "./port.ts";
import type { SchemaInput, SchemaOutput, StandardSchemaV1 } from "./standard-schema.ts";
import { convertStream } from "./stream.ts";
import { concreteSubject, narrowedSubject } from "./subject-choice.ts";

/** Options of {@link TypedTopic.publish}. */
export interface TypedPublishOptions extends PublishOptions {
  /** The subject to publish on: needed where the topic's has wildcards, and covered by it. */
  readonly subject?: string;
}

/** Options of {@link TypedTopic.subscribe}. */
export interface TypedSubscribeOptions extends SubscribeOptions {
  /** A subject that the topic's covers, for less than all of it. Default: the topic's. */
  readonly subject?: string;
  /** Told of messages that were refused. Without it they are only counted. */
  readonly onInvalid?: OnInvalid<Message>;
}

/** Options of {@link TypedTopic.listen}. */
export interface TypedListenOptions extends ListenOptions {
  /** A subject that the topic's covers, for less than all of it. Default: the topic's. */
  readonly subject?: string;
  /** Told of messages that were refused. Without it they are only counted. */
  readonly onInvalid?: OnInvalid<LiveMessage>;
}

/** A {@link Message} with its value. */
export interface TypedMessage<Value> extends Message {
  /** What the schema made of the payload. */
  readonly value: Value;
}

/** A {@link LiveMessage} with its value. */
export interface TypedLiveMessage<Value> extends LiveMessage {
  /** What the schema made of the payload. */
  readonly value: Value;
}

/** A {@link Subscription} of typed messages. */
export interface TypedSubscription<Value>
  extends AsyncIterable<TypedMessage<Value>>,
    AsyncDisposable {
  /** How many messages were refused so far. */
  readonly invalid: number;
  /** As {@link Subscription.close}. */
  close(options?: CloseOptions): Promise<CloseReport>;
}

/** A {@link Listener} of typed messages. */
export interface TypedListener<Value>
  extends AsyncIterable<TypedLiveMessage<Value>>,
    AsyncDisposable {
  /** How many messages were dropped because the loop was too slow. */
  readonly dropped: number;
  /** How many messages were refused so far. */
  readonly invalid: number;
  /** As {@link Listener.close}. */
  close(): Promise<void>;
}

/**
 * A topic on a bus.
 *
 * A message whose payload does not fit never reaches the loop: it is termed with the reason
 * `invalid payload: ...`, counted, and told to `onInvalid`. If the schema throws instead of judging,
 * `onInvalid` gets `INTERNAL` and the message is naked for a second: it may be good.
 */
export interface TypedTopic<Schema extends StandardSchemaV1> {
  /** What it was made of. */
  readonly definition: TopicDefinition<Schema>;
  /**
   * Checks and publishes. With a schema that answers at once messages keep the order of the calls.
   * @throws BusError `INVALID_ARGUMENT` with `details.issues`, before anything is sent; and as
   *   {@link Pubsub.publish}
   */
  publish(value: SchemaInput<Schema>, options?: TypedPublishOptions): Promise<PublishAck>;
  /** Checks and sends to listeners only, as {@link Pubsub.notify}. */
  notify(
    value: SchemaInput<Schema>,
    options?: { readonly headers?: Headers; readonly subject?: string },
  ): Promise<void>;
  /** Subscribes, as {@link Pubsub.subscribe}. */
  subscribe(options?: TypedSubscribeOptions): Promise<TypedSubscription<SchemaOutput<Schema>>>;
  /** Receives live, as {@link Pubsub.listen}. */
  listen(options?: TypedListenOptions): Promise<TypedListener<SchemaOutput<Schema>>>;
}

export class BusTopic<Schema extends StandardSchemaV1> implements TypedTopic<Schema> {
  readonly definition: TopicDefinition<Schema>;
  readonly #bus: Bus;
  readonly #port: Port<Schema>;

  constructor(bus: Bus, definition: TopicDefinition<Schema>) {
    this.#bus = bus;
    this.definition = definition;
    this.#port = new Port(definition.schema, definition.codec, `topic ${definition.subject}`);
  }

  async publish(
    value: SchemaInput<Schema>,
    options: TypedPublishOptions = {},
  ): Promise<PublishAck> {
    const { subject: given, ...rest } = options;
    const subject = concreteSubject(this.definition.subject, given);
    const payload = await this.#port.encode(value, `the value for ${subject}`);
    return this.#bus.pubsub.publish(subject, payload, rest);
  }

  async notify(
    value: SchemaInput<Schema>,
    options: { readonly headers?: Headers; readonly subject?: string } = {},
  ): Promise<void> {
    const { subject: given, ...rest } = options;
    const subject = concreteSubject(this.definition.subject, given);
    const payload = await this.#port.encode(value, `the value for ${subject}`);
    return this.#bus.pubsub.notify(subject, payload, rest);
  }

  async subscribe(
    options: TypedSubscribeOptions = {},
  ): Promise<TypedSubscription<SchemaOutput<Schema>>> {
    const { subject, onInvalid, ...rest } = options;
    const inner = await this.#bus.pubsub.subscribe(
      narrowedSubject(this.definition.subject, subject),
      rest,
    );
    return new CheckedSubscription(inner, this.#port, onInvalid);
  }

  async listen(options: TypedListenOptions = {}): Promise<TypedListener<SchemaOutput<Schema>>> {
    const { subject, onInvalid, ...rest } = options;
    const inner = await this.#bus.pubsub.listen(
      narrowedSubject(this.definition.subject, subject),
      rest,
    );
    return new CheckedListener(inner, this.#port, onInvalid);
  }
}

class CheckedSubscription<Schema extends StandardSchemaV1>
  implements TypedSubscription<SchemaOutput<Schema>>
{
  readonly #inner: Subscription;
  readonly #port: Port<Schema>;
  readonly #onInvalid: OnInvalid<Message> | undefined;
  invalid = 0;

  constructor(inner: Subscription, port: Port<Schema>, onInvalid: OnInvalid<Message> | undefined) {
    this.#inner = inner;
    this.#port = port;
    this.#onInvalid = onInvalid;
  }

  [Symbol.asyncIterator](): AsyncIterator<TypedMessage<SchemaOutput<Schema>>, undefined> {
    return convertStream(this.#inner, (message) => this.#convert(message));
  }

  close(options?: CloseOptions): Promise<CloseReport> {
    return this.#inner.close(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner.close();
  }

  async #convert(message: Message): Promise<CheckedMessage<SchemaOutput<Schema>> | undefined> {
    const what = `message ${message.sequence} on ${message.subject}`;
    const decoded = await this.#port.decode(message.payload, what);
    if (decoded.ok) return new CheckedMessage(message, decoded.value);
    this.invalid += 1;
    const settled =
      decoded.error.code === "INTERNAL"
        ? message.nak({ delayMs: RETRY_MS })
        : message.term({ reason: invalidReason(decoded.error) });
    // If this does not get through, the message comes again and is refused again.
    await settled.catch(() => undefined);
    report(this.#onInvalid, decoded.error, message);
    return undefined;
  }
}

class CheckedListener<Schema extends StandardSchemaV1>
  implements TypedListener<SchemaOutput<Schema>>
{
  readonly #inner: Listener;
  readonly #port: Port<Schema>;
  readonly #onInvalid: OnInvalid<LiveMessage> | undefined;
  invalid = 0;

  constructor(inner: Listener, port: Port<Schema>, onInvalid: OnInvalid<LiveMessage> | undefined) {
    this.#inner = inner;
    this.#port = port;
    this.#onInvalid = onInvalid;
  }

  get dropped(): number {
    return this.#inner.dropped;
  }

  [Symbol.asyncIterator](): AsyncIterator<TypedLiveMessage<SchemaOutput<Schema>>, undefined> {
    return convertStream(this.#inner, async (message) => {
      const { subject, payload, headers } = message;
      const decoded = await this.#port.decode(payload, `the message on ${subject}`);
      if (decoded.ok) return { subject, payload, headers, value: decoded.value };
      this.invalid += 1;
      report(this.#onInvalid, decoded.error, message);
      return undefined;
    });
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#inner.close();
  }
}

class CheckedMessage<Value> implements TypedMessage<Value> {
  readonly value: Value;
  readonly #inner: Message;

  constructor(inner: Message, value: Value) {
    this.#inner = inner;
    this.value = value;
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

  ack(options?: AckOptions): Promise<void> {
    return this.#inner.ack(options);
  }

  nak(options?: NakOptions): Promise<void> {
    return this.#inner.nak(options);
  }

  term(options?: TermOptions): Promise<void> {
    return this.#inner.term(options);
  }

  extend(): Promise<void> {
    return this.#inner.extend();
  }
}
