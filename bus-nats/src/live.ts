import {
  BusError,
  type Headers,
  type Listener,
  type ListenOptions,
  type LiveMessage,
  type Payload,
} from "@busbar/core";
import {
  checkHeaders,
  checkInteger,
  checkName,
  checkSubject,
  checkSubjectPattern,
  Mailbox,
  type Owned,
  payloadBytes,
  within,
} from "@busbar/core/adapter";
import type { Msg, Subscription } from "@nats-io/transport-node";
import type { NatsContext } from "./context.ts";
import { fromClientError } from "./errors.ts";
import { ownBytes } from "./wire/bytes.ts";
import { encodeHeaders, H, userHeaders } from "./wire/headers.ts";
import { flat, messagePrefix } from "./wire/names.ts";

const DEFAULT_MAX_BUFFERED = 1_024;
/** A listener that drops says so once in this time. */
const SLOW_STATUS_MS = 1_000;
/** How long a close waits for the server to hear of it. */
const CLOSE_LIMIT_MS = 250;

/** The part of pub/sub that stores nothing: `notify` and `listen` on core NATS. */
export class Live {
  readonly #context: NatsContext;

  constructor(context: NatsContext) {
    this.#context = context;
  }

  /** Implements `Pubsub.notify`. */
  async notify(
    subject: string,
    payload: Payload,
    options: { readonly headers?: Headers } = {},
  ): Promise<void> {
    const { lifecycle, capabilities, names, link } = this.#context;
    lifecycle.checkOpen();
    checkSubject(subject);
    const headers = encodeHeaders(checkHeaders(options.headers));
    const bytes = payloadBytes(payload, capabilities.maxPayloadBytes, subject);
    if (!link.connected) {
      throw new BusError("DISCONNECTED", `notify on ${subject}: the server is away (notSent)`, {
        details: { outcome: "notSent" },
      });
    }
    try {
      link.outbox.publish(names.livePrefix + subject, bytes, headers ? { headers } : {});
    } catch (error) {
      throw fromClientError(error, `notify on ${subject}`);
    }
  }

  /** Implements `Pubsub.listen`. */
  async listen(subject: string, options: ListenOptions = {}): Promise<Listener> {
    this.#context.lifecycle.checkOpen();
    checkSubjectPattern(subject);
    // The default stands for `undefined` only: null is a mistake.
    const { group, signal, maxBuffered = DEFAULT_MAX_BUFFERED } = options;
    if (group !== undefined) checkName("group", group);
    checkInteger("maxBuffered", maxBuffered, 1, Number.MAX_SAFE_INTEGER);
    signal?.throwIfAborted();
    const listener = new NatsListener(this.#context, { subject, group, maxBuffered, signal });
    try {
      await listener.ready();
    } catch (error) {
      await listener.close();
      throw error;
    }
    return listener;
  }
}

interface ResolvedListenOptions {
  readonly subject: string;
  readonly group: string | undefined;
  readonly maxBuffered: number;
  readonly signal: AbortSignal | undefined;
}

/** States: *listening* -> `close()`, the signal, or the end of the bus -> *closed*. */
class NatsListener implements Listener, Owned {
  readonly #context: NatsContext;
  readonly #options: ResolvedListenOptions;
  readonly #mailbox: Mailbox<LiveMessage>;
  readonly #subscriptions: readonly Subscription[];
  #dropped = 0;
  #failure: BusError | undefined;
  #closing: Promise<void> | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(context: NatsContext, options: ResolvedListenOptions) {
    this.#context = context;
    this.#options = options;
    this.#mailbox = new Mailbox({
      maxItems: options.maxBuffered,
      onDrop: () => this.#onDrop(),
    });
    const { names, config } = context;
    this.#subscriptions = [messagePrefix(names, config), names.livePrefix].map((prefix) =>
      this.#subscribe(prefix),
    );
    context.lifecycle.add(this);
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Resolves when messages can arrive. @throws BusError `PERMISSION_DENIED`, `DISCONNECTED` */
  async ready(): Promise<void> {
    await this.#context.link.flush(`listen on ${this.#options.subject}`);
    // The server refuses a subscription before it answers the flush behind it.
    if (this.#failure) throw this.#failure;
  }

  get dropped(): number {
    return this.#dropped;
  }

  [Symbol.asyncIterator](): AsyncIterator<LiveMessage, undefined> {
    return {
      next: () => this.#mailbox.next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async stop(): Promise<{ abandoned: number }> {
    await this.close();
    return { abandoned: 0 };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #onAbort = (): void => {
    void this.close();
  };

  async #close(): Promise<void> {
    const { lifecycle, link } = this.#context;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#mailbox.drain();
    this.#mailbox.end();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    // Until the server knows, it gives this listener its share of the group.
    if (link.connected) await within(link.clock, link.connection.flush(), CLOSE_LIMIT_MS);
    lifecycle.remove(this);
  }

  #subscribe(prefix: string): Subscription {
    const { subject, group } = this.#options;
    return this.#context.link.connection.subscribe(prefix + subject, {
      ...(group === undefined ? {} : { queue: flat(group) }),
      callback: (error, message) => {
        if (error) {
          this.#failure = fromClientError(error, `listen on ${subject}`);
          this.#mailbox.fail(this.#failure);
        } else this.#onMessage(message, prefix);
      },
    });
  }

  #onMessage(message: Msg, prefix: string): void {
    // A stream without a prefix shares its subjects with everything else on the server.
    if (prefix === "" && /^(?:\$|_INBOX\.|busbar\.)/.test(message.subject)) return;
    const { headers } = message;
    // A dead letter that one durable gets again is no news, nor is a question for a message id.
    if (headers?.has(H.replayFor) || headers?.has(H.expectedLastMsgId)) return;
    this.#mailbox.push({
      subject: message.subject.slice(prefix.length),
      payload: ownBytes(message.data),
      headers: userHeaders(headers),
    });
  }

  #onDrop(): void {
    this.#dropped += 1;
    const { link } = this.#context;
    const now = link.clock.monotonic();
    if (now - this.#toldAt < SLOW_STATUS_MS) return;
    this.#toldAt = now;
    link.status.emit({
      type: "slow",
      what: `listener on ${this.#options.subject}`,
      dropped: this.#dropped,
    });
  }
}
