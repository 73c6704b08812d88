/// <reference lib="esnext.disposable" preserve="true" />
import type { CloseOptions, CloseReport } from "./close.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { Headers, Payload } from "./payload.ts";

/** Options of {@link Pubsub.publish}. */
export interface PublishOptions {
  /** Headers to send along. See {@link Headers} for the rules. */
  readonly headers?: Headers;
  /**
   * Makes the publish idempotent: a second one with the same id within the dedup window
   * (`capabilities.dedupWindowMs`) is not stored, and answers with the first one's sequence and
   * `duplicate: true`. With an id a publish is also retried over a reconnect.
   * 1 to 256 printable ASCII characters.
   */
  readonly messageId?: string;
  /**
   * Stores only if the last message on exactly this subject has this sequence; 0 means that there
   * is none yet. Otherwise `CONFLICT`.
   */
  readonly expectedLastSequence?: number;
  /**
   * How long to wait for the acknowledgement, in milliseconds, 1 or more.
   * @defaultValue 5_000
   */
  readonly timeoutMs?: number;
  /** Stops waiting; the outcome is then unknown. */
  readonly signal?: AbortSignal;
}

/** The acknowledgement of a publish. What it means is `capabilities.ackMeaning`. */
export interface PublishAck {
  /** Position in the stream: grows with every message, over all subjects, not always by one. */
  readonly sequence: number;
  /** True if the message id was seen before: nothing was stored. */
  readonly duplicate: boolean;
}

/** Where a new subscription begins. An existing durable goes on where it stopped. */
export type StartFrom = "all" | "new" | { readonly sequence: number } | { readonly timeMs: number };

/** Options of {@link Pubsub.subscribe}. */
export interface SubscribeOptions {
  /**
   * Name of a position that outlives this subscription. All subscriptions with one durable, in any
   * process, share its messages. Without it the subscription is ephemeral: it has a position of its
   * own, which ends with it.
   */
  readonly durable?: string;
  /**
   * Where a durable that does not exist yet, or an ephemeral subscription, begins.
   * @defaultValue "all" for a durable, "new" for an ephemeral one
   */
  readonly from?: StartFrom;
  /**
   * How long a delivery may stay unsettled before it is redelivered, in milliseconds, 10 or more.
   * @defaultValue 30_000
   */
  readonly ackWaitMs?: number;
  /**
   * How often a message is delivered at most, 1 or more; after that it is in the dead letters of
   * the durable. `Infinity` never gives up. Not for ephemeral subscriptions, which never give up.
   * @defaultValue 5
   */
  readonly maxDeliveries?: number;
  /**
   * Ack waits by delivery: the first entry for the first delivery, the last one repeats. Replaces
   * `ackWaitMs`. It does not apply to `nak()`, which says its own delay.
   */
  readonly backoffMs?: readonly number[];
  /**
   * How many deliveries this subscription holds unsettled at most: buffered and in the hands of
   * the program together. 1 to 10_000. Raise it for throughput; keep it small where handlers are
   * slow and other subscriptions share the durable.
   * @defaultValue 32
   */
  readonly maxInFlight?: number;
  /** Closes the subscription. */
  readonly signal?: AbortSignal;
}

/** Options of {@link Message.ack}. */
export interface AckOptions {
  /**
   * Waits until the server has taken the ack in. Without it the ack is sent and not awaited.
   * @defaultValue false
   */
  readonly confirm?: boolean;
}

/** Options of {@link Message.nak}. */
export interface NakOptions {
  /**
   * Not to be redelivered before this many milliseconds; 0 is at once.
   * @defaultValue 0
   */
  readonly delayMs?: number;
}

/** Options of {@link Message.term}. */
export interface TermOptions {
  /** Why; for operators. Up to 256 characters. */
  readonly reason?: string;
}

/**
 * One delivery of a message.
 *
 * Exactly one of `ack`, `nak` and `term` settles it; the second call rejects with
 * `ALREADY_SETTLED`. Unsettled past its ack wait it is redelivered, here or elsewhere.
 */
export interface Message {
  /** The subject it was published on. */
  readonly subject: string;
  /** The bytes; the receiver owns them. */
  readonly payload: Uint8Array;
  /** The headers. */
  readonly headers: Headers;
  /** Its position in the stream. */
  readonly sequence: number;
  /** When it was stored, by the server's clock, in milliseconds since the Unix epoch. */
  readonly publishedAtMs: number;
  /** 1 for the first delivery. Deliveries that no program saw do not count. */
  readonly deliveryCount: number;
  /** Settles: done. */
  ack(options?: AckOptions): Promise<void>;
  /** Settles: deliver again, not before the delay. The last allowed delivery is dead-lettered. */
  nak(options?: NakOptions): Promise<void>;
  /** Settles: never deliver again, and keep nothing. */
  term(options?: TermOptions): Promise<void>;
  /** Starts the ack wait again, from now. Rejects with `ALREADY_SETTLED` once settled. */
  extend(): Promise<void>;
}

/**
 * A running subscription: iterate over it to receive. Leaving the loop closes it.
 *
 * *Delivery*: at least once; in stream order, except redeliveries. *Concurrency*: one iterator.
 */
export interface Subscription extends AsyncIterable<Message>, AsyncDisposable {
  /**
   * Stops. Buffered messages are given back at once, without using up a delivery. Messages in the
   * hands of the program can still be settled; `drainMs` waits for that. Idempotent.
   */
  close(options?: CloseOptions): Promise<CloseReport>;
}

/** A message of {@link Pubsub.listen}: nothing to settle. */
export interface LiveMessage {
  /** The subject it was sent on. */
  readonly subject: string;
  /** The bytes; the receiver owns them. */
  readonly payload: Uint8Array;
  /** The headers. */
  readonly headers: Headers;
}

/** Options of {@link Pubsub.listen}. */
export interface ListenOptions {
  /** Listeners with one group share: each message goes to one of them. */
  readonly group?: string;
  /**
   * How many messages wait for the loop at most, 1 or more. The oldest are dropped beyond it, and
   * counted in {@link Listener.dropped}.
   * @defaultValue 1_024
   */
  readonly maxBuffered?: number;
  /** Closes the listener. */
  readonly signal?: AbortSignal;
}

/** A running live subscription: at most once, from now on, nothing to settle. */
export interface Listener extends AsyncIterable<LiveMessage>, AsyncDisposable {
  /** How many messages were dropped because the loop was too slow. */
  readonly dropped: number;
  /** Stops. Idempotent. */
  close(): Promise<void>;
}

/**
 * Publish and subscribe over one stored stream.
 *
 * *Delivery*: at least once to every durable and ephemeral subscription; at most once to
 * listeners. *Order*: by sequence. *Retention*: the backend's stream limits.
 */
export interface Pubsub {
  /**
   * Stores a message and delivers it.
   * @throws BusError `INVALID_ARGUMENT`, `PAYLOAD_TOO_LARGE`, `CONFLICT` (expected sequence),
   *   `LIMIT_EXCEEDED`, `TIMEOUT`, `DISCONNECTED`, `CLOSED`
   */
  publish(subject: string, payload: Payload, options?: PublishOptions): Promise<PublishAck>;
  /**
   * Sends to listeners only: not stored, at most once, for wake-ups.
   * Resolves when it is on its way.
   */
  notify(
    subject: string,
    payload: Payload,
    options?: { readonly headers?: Headers },
  ): Promise<void>;
  /**
   * Subscribes to a subject, which may have wildcards.
   * @throws BusError `INVALID_ARGUMENT`, `CONFLICT` if the durable exists with another subject,
   *   `from`, ack wait, backoff or `maxDeliveries` (`details.differences` names them), `CLOSED`
   */
  subscribe(subject: string, options?: SubscribeOptions): Promise<Subscription>;
  /** Receives what is published or notified from now on, live. The subject may have wildcards. */
  listen(subject: string, options?: ListenOptions): Promise<Listener>;
  /**
   * Removes a durable, its position and its dead letters. Its subscriptions, on any bus, end with
   * `NOT_FOUND`. Resolves with false if it did not exist.
   */
  deleteDurable(durable: string): Promise<boolean>;
  /** The dead letters of durables. A replayed one goes to its durable only. */
  readonly deadLetters: DeadLetters;
}
