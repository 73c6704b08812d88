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
  resolveSubscribeOptions,
  resolveTimeout,
  sequenceConflict,
} from "@busbar/core/adapter";
import { bury, Consumer, deleteConsumer, findDurable, revive } from "./consumer.ts";
import type { BusContext } from "./context.ts";
import { deleteAll, SqliteDeadLetters } from "./dead-letters.ts";
import { findDuplicate, remember } from "./dedup.ts";
import { SqliteListener } from "./listener.ts";
import type { Parcel, PostOffice } from "./post-office.ts";
import { SqliteSubscription } from "./subscription.ts";

/** Publish and subscribe on the messages of one namespace. */
export class SqlitePubsub implements Pubsub {
  readonly deadLetters: DeadLetters;
  readonly #context: BusContext;
  readonly #post: PostOffice;

  constructor(context: BusContext, post: PostOffice) {
    this.#context = context;
    this.#post = post;
    this.deadLetters = new SqliteDeadLetters(context, {
      kind: "durable",
      find: (name) => findDurable(context, name)?.id,
      bury: (consumer, nowMs) => bury(context, consumer, nowMs),
      revive: (consumer, letter) => revive(context, consumer, letter),
      revived: () => this.#wake(),
    });
  }

  async publish(
    subject: string,
    payload: Payload,
    options: PublishOptions = {},
  ): Promise<PublishAck> {
    this.#context.enter();
    checkSubject(subject);
    const { messageId, expectedLastSequence, timeoutMs, signal } = options;
    const parcel = this.#parcel(subject, payload, options.headers);
    if (messageId !== undefined) checkDedupId("messageId", messageId);
    if (expectedLastSequence !== undefined) {
      checkExpected("expectedLastSequence", expectedLastSequence);
    }
    resolveTimeout(timeoutMs);
    signal?.throwIfAborted();
    const { file, ns } = this.#context;
    const scope = `message ${ns}`;
    const ack = file.write((): PublishAck => {
      if (messageId !== undefined) {
        const first = findDuplicate(this.#context, scope, messageId);
        if (first !== undefined) return { sequence: Number(first), duplicate: true };
      }
      if (expectedLastSequence !== undefined) this.#checkLast(subject, expectedLastSequence);
      const sequence = this.#append(parcel);
      if (messageId !== undefined) remember(this.#context, scope, messageId, String(sequence));
      this.#post.sendToAll("live", parcel);
      return { sequence, duplicate: false };
    });
    this.#wake();
    return ack;
  }

  async notify(
    subject: string,
    payload: Payload,
    options?: { readonly headers?: Headers },
  ): Promise<void> {
    this.#context.enter();
    checkSubject(subject);
    const parcel = this.#parcel(subject, payload, options?.headers);
    this.#context.file.write(() => this.#post.sendToAll("live", parcel));
  }

  async subscribe(subject: string, options?: SubscribeOptions): Promise<Subscription> {
    this.#context.enter();
    checkSubjectPattern(subject);
    const resolved = resolveSubscribeOptions(options);
    resolved.signal?.throwIfAborted();
    const consumer = Consumer.use(this.#context, subject, resolved);
    return new SqliteSubscription(this.#context, consumer, resolved);
  }

  async listen(subject: string, options: ListenOptions = {}): Promise<Listener> {
    this.#context.enter();
    checkSubjectPattern(subject);
    options.signal?.throwIfAborted();
    return new SqliteListener(this.#context, this.#post, subject, options);
  }

  async deleteDurable(durable: string): Promise<boolean> {
    this.#context.enter();
    checkName("durable", durable);
    const existed = this.#context.file.write(() => {
      const id = findDurable(this.#context, durable)?.id;
      if (id === undefined) return false;
      deleteAll(this.#context, "durable", id);
      deleteConsumer(this.#context, id);
      return true;
    });
    this.#wake();
    return existed;
  }

  #parcel(subject: string, payload: Payload, headers: Headers | undefined): Parcel {
    const bytes = this.#context.bytes(payload, subject);
    return { subject, payload: bytes, headers: JSON.stringify(checkHeaders(headers)), note: "" };
  }

  #checkLast(subject: string, expected: number): void {
    const { file, ns } = this.#context;
    const sql = "SELECT max(sequence) AS last FROM message WHERE ns = ? AND subject = ?";
    const last = file.one<{ last: number | null }>(sql, ns, subject)?.last ?? 0;
    if (last !== expected) throw sequenceConflict(subject, expected, last);
  }

  #append({ subject, payload, headers }: Parcel): number {
    const { file, ns, clock } = this.#context;
    return file.insert("message", { ns, subject, payload, headers, published_ms: clock.now() });
  }

  #wake(): void {
    this.#context.file.hub.wake(this.#context.topic("pubsub"));
  }
}
