import {
  BusError,
  type CloseOptions,
  type CloseReport,
  type Message,
  type Subscription,
  type Timer,
} from "@busbar/core";
import {
  Mailbox,
  type Owned,
  type ResolvedSubscribeOptions,
  resolveDrain,
  within,
} from "@busbar/core/adapter";
import type { Msg } from "@nats-io/transport-node";
import type { NatsContext } from "./context.ts";
import type { NatsDeadLetters } from "./dead-letters.ts";
import type { Ledger, StoredLedgerEntry } from "./ledger.ts";
import type { Link } from "./link.ts";
import { type DeliveryOwner, NatsMessage } from "./message.ts";
import { ACK, type DeliveryInfo, nakAfter, parseAckSubject, TERM } from "./wire/ack-subject.ts";
import { field, H } from "./wire/headers.ts";
import { forgetStalePulls } from "./wire/pull.ts";
import { PullStream } from "./wire/pull-stream.ts";

/**
 * What waits in the buffer until this part of its ack wait is left goes back: a program that takes
 * nothing keeps nothing from others, and what it never saw does not count as delivered.
 */
const GIVE_BACK_BEFORE = 0.3;

/** What a {@link NatsSubscription} is about. */
export interface SubscriptionTarget {
  readonly stream: string;
  readonly consumer: string;
  /** A durable was made after this sequence: replays up to it were for another one of its name. */
  readonly madeAfter: number;
  readonly options: ResolvedSubscribeOptions;
  /** The user's subject of a subject on the server. */
  readonly toSubject: (wire: string) => string;
}

/** What a {@link NatsSubscription} works with. */
export interface SubscriptionTools {
  readonly context: NatsContext;
  readonly ledger: Ledger;
  readonly deadLetters: NatsDeadLetters;
}

/**
 * Pulls from one consumer, keeping at most `maxInFlight` deliveries: asked for, buffered and in the
 * hands of the program together.
 *
 * States: *running* -> buffered and not taken for most of an ack wait -> *stalled* (everything goes
 * back) -> the program takes again -> *running*; *running* -> reconnect -> *running* (a new inbox, everything asked for again) ; *running*
 * -> `close()` -> *closing* (buffered and late deliveries go back, those in hand may be settled) ->
 * *closed*; *running* -> the consumer is gone -> *failed* (the iterator throws `NOT_FOUND`).
 *
 * The ack wait begins when the program gets the message, not while it is only buffered.
 */
export class NatsSubscription implements Subscription, Owned, DeliveryOwner {
  readonly link: Link;
  readonly ackWaitMs: number;
  readonly #target: SubscriptionTarget;
  readonly #tools: SubscriptionTools;
  readonly #mailbox: Mailbox<NatsMessage>;
  readonly #buffered = new Set<NatsMessage>();
  readonly #inHand = new Set<NatsMessage>();
  readonly #entries = new WeakMap<NatsMessage, StoredLedgerEntry>();
  readonly #stopReconnect: () => void;
  readonly #stopRemoval: () => void;
  readonly #pulls: PullStream;
  /** Deliveries that wait for the ledger; the ones behind them wait too, to stay in order. */
  #intake: Promise<void> | undefined;
  #intakeSize = 0;
  #waitTimer: Timer | undefined;
  #waitTimerAt = Number.POSITIVE_INFINITY;
  #closing: Promise<CloseReport> | undefined;
  #onIdle: (() => void) | undefined;
  /** Whether a {@link NatsSubscription.#fill} is due at the end of this turn. */
  #soon = false;
  /** The program takes nothing: nothing is asked for. */
  #stalled = false;
  /** Deliveries that came when none was wanted any more. */
  readonly #late: { readonly raw: Msg; readonly info: DeliveryInfo }[] = [];

  constructor(target: SubscriptionTarget, tools: SubscriptionTools) {
    this.#target = target;
    this.#tools = tools;
    this.link = tools.context.link;
    this.ackWaitMs = target.options.ackWaitMs;
    this.#mailbox = new Mailbox({ onTake: (message) => this.#hand(message) });
    this.#pulls = new PullStream(tools.context, target, {
      delivery: (message) => this.#onDelivery(message),
      wanting: () => this.#fill(),
      failed: (error) => this.#fail(error),
    });
    this.#stopReconnect = this.link.onReconnect(() => this.#reopen());
    this.#stopRemoval = tools.context.removal.onRemoved(() => this.#onRemoved());
    tools.context.lifecycle.add(this);
    target.options.signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.#reopen();
  }

  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  close(options: CloseOptions = {}): Promise<CloseReport> {
    return this.stop(resolveDrain(options.drainMs, 0));
  }

  stop(drainMs: number): Promise<CloseReport> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  settled(message: NatsMessage): void {
    if (!this.#inHand.delete(message)) return;
    if (this.#closing !== undefined) {
      if (this.#inHand.size === 0) this.#onIdle?.();
    } else this.#fill();
  }

  isLast(message: NatsMessage): boolean {
    return message.deliveryCount >= this.#target.options.maxDeliveries;
  }

  done(message: NatsMessage): void {
    const entry = this.#entries.get(message);
    if (entry) void this.#tools.ledger.remove(entry);
  }

  async bury(message: NatsMessage, reason: string): Promise<void> {
    const { durable } = this.#target.options;
    if (durable === undefined) return;
    await this.#tools.deadLetters.bury({
      owner: durable,
      sequence: message.sequence,
      subject: message.subject,
      reason,
      // The delivery that finds it exhausted was seen by nobody.
      attempts: Math.min(message.deliveryCount, this.#target.options.maxDeliveries),
      publishedAtMs: message.publishedAtMs,
      payload: message.raw.data,
      headers: message.headers,
      fields: [],
    });
    // If this gets lost, the redelivery finds the dead letter in place and is settled then.
    this.link.outbox.publish(message.raw.reply as string, TERM);
    this.done(message);
  }

  readonly #onAbort = (): void => {
    void this.close();
  };

  /** A server that removes a stream may drop what is asked of its consumers without a word. */
  #onRemoved(): void {
    const { stream, consumer } = this.#target;
    if (stream !== this.#tools.context.names.messageStream) return;
    const message = `consumer ${consumer} of stream ${stream} was removed with its namespace`;
    this.#fail(new BusError("NOT_FOUND", message));
  }

  #reopen(): void {
    if (this.#closing === undefined && !this.#stalled) this.#pulls.reopen();
  }

  #fillSoon(): void {
    if (this.#soon) return;
    this.#soon = true;
    setImmediate(() => {
      this.#soon = false;
      if (this.#pulls.requested === 0) this.#fill(true);
    });
  }

  #fill(now = false): void {
    if (this.#closing !== undefined || this.#stalled || !this.link.connected) return;
    const { maxInFlight } = this.#target.options;
    const held = this.#inHand.size + this.#mailbox.size + this.#intakeSize;
    const room = maxInFlight - held - this.#pulls.requested;
    if (room <= 0) return;
    // Few large requests instead of many small ones: what is free goes out when this turn of the event
    // loop is over, or at once when it is much.
    if (room * 2 < maxInFlight && !now) {
      if (this.#pulls.requested === 0) this.#fillSoon();
      return;
    }
    this.#pulls.request(room);
  }

  #onDelivery(message: Msg): void {
    const receivedAt = this.link.clock.monotonic();
    const info = parseAckSubject(message.reply as string);
    const isLate = this.#closing !== undefined || this.#stalled;
    // Whether one that comes late was the last one allowed is seen all the same: else nobody would
    // find it dead who only looks in.
    if (isLate && info.deliveries <= this.#target.options.maxDeliveries) {
      this.#late.push({ raw: message, info });
      return;
    }
    if (info.deliveries === 1 && this.#intake === undefined) {
      void this.#accept(message, info, receivedAt, undefined);
      return;
    }
    this.#intakeSize += 1;
    const before = this.#intake ?? Promise.resolve();
    const entry = info.deliveries > 1 ? this.#readEntry(info) : undefined;
    const turn = before
      .then(async () => this.#accept(message, info, receivedAt, await entry))
      .catch((error: unknown) => this.#onIntakeError(error))
      .finally(() => {
        this.#intakeSize -= 1;
        if (this.#intake === turn) this.#intake = undefined;
        this.#fill();
      });
    this.#intake = turn;
  }

  async #readEntry(info: DeliveryInfo): Promise<StoredLedgerEntry | undefined> {
    const { durable } = this.#target.options;
    if (durable === undefined) return undefined;
    return this.#tools.ledger.read("sub", durable, info.streamSequence);
  }

  /** The ledger could not be read: the message stays unsettled and comes again. */
  #onIntakeError(error: unknown): void {
    this.link.status.emit({
      type: "warning",
      code: "redelivery-deferred",
      message: error instanceof Error ? error.message : String(error),
    });
  }

  #accept(
    raw: Msg,
    info: DeliveryInfo,
    receivedAt: number,
    entry: StoredLedgerEntry | undefined,
  ): Promise<void> | undefined {
    const { from, durable, maxDeliveries } = this.#target.options;
    const replayFor = field(raw.headers, H.replayFor);
    // A dead letter that somebody else gets again.
    const isForOther =
      replayFor !== undefined &&
      (replayFor !== durable || info.streamSequence <= this.#target.madeAfter);
    // Servers before 2.11 begin with what is next if the sequence is beyond the end.
    const isBefore =
      typeof from === "object" && "sequence" in from && info.streamSequence < from.sequence;
    if (isForOther || isBefore) {
      this.link.outbox.publish(raw.reply as string, ACK);
      this.#fill();
      return undefined;
    }
    const message = this.#delivery(raw, info, receivedAt, entry);
    // The last allowed delivery ended without a settle.
    if (message.deliveryCount > maxDeliveries) return this.bury(message, "max deliveries");
    if (this.#closing !== undefined || this.#stalled) {
      this.#late.push({ raw, info });
      return undefined;
    }
    this.#buffered.add(message);
    this.#mailbox.push(message);
    this.#armWaits(message.deadline - message.waitMs * GIVE_BACK_BEFORE);
    return undefined;
  }

  #delivery(
    raw: Msg,
    info: DeliveryInfo,
    receivedAt: number,
    entry: StoredLedgerEntry | undefined,
  ): NatsMessage {
    const { options, toSubject } = this.#target;
    const { backoffMs, ackWaitMs } = options;
    const waitOf = (delivery: number): number =>
      backoffMs[Math.min(delivery, backoffMs.length) - 1] ?? ackWaitMs;
    const deliveryCount = info.deliveries - (entry?.uncounted ?? 0);
    const waitMs = waitOf(deliveryCount);
    const message = new NatsMessage(this, raw, {
      subject: toSubject(raw.subject),
      info,
      deliveryCount,
      waitMs,
      serverWaitMs: waitOf(info.deliveries),
      deadline: receivedAt + waitMs,
    });
    if (entry) this.#entries.set(message, entry);
    if (message.hasWrongWait) message.touch(this.link.clock.monotonic());
    return message;
  }

  #hand(message: NatsMessage): void {
    const now = this.link.clock.monotonic();
    this.#buffered.delete(message);
    this.#inHand.add(message);
    if (message.deadline - now < 0.75 * message.waitMs) message.touch(now);
    this.#armWaits(message.deadline);
  }

  #armWaits(atMs: number): void {
    if (atMs >= this.#waitTimerAt) return;
    this.#waitTimer?.cancel();
    this.#waitTimerAt = atMs;
    this.#waitTimer = this.link.clock.setTimer(
      () => this.#onWaits(),
      Math.max(1, atMs - this.link.clock.monotonic()),
      { keepAlive: false },
    );
  }

  /** Gives back what nobody took, and frees the places of deliveries whose ack wait is over. */
  #onWaits(): void {
    this.#waitTimerAt = Number.POSITIVE_INFINITY;
    const now = this.link.clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const message of this.#buffered) {
      const lastMoment = message.deadline - message.waitMs * GIVE_BACK_BEFORE;
      if (lastMoment <= now) {
        void this.#stall();
        break;
      }
      next = Math.min(next, lastMoment);
    }
    for (const message of this.#inHand) {
      if (message.deadline <= now) this.settled(message);
      else next = Math.min(next, message.deadline);
    }
    if (next < Number.POSITIVE_INFINITY) this.#armWaits(next);
  }

  /** Gives everything back, and asks for nothing more until the program takes something again. */
  async #stall(): Promise<void> {
    this.#stalled = true;
    const buffered = this.#mailbox.drain();
    for (const message of buffered) this.#buffered.delete(message);
    try {
      await this.#drainPulls();
      await this.#giveBack([...buffered, ...this.#late.splice(0)]);
    } catch (error) {
      this.#onIntakeError(error);
    }
  }

  #next(): Promise<IteratorResult<Message, undefined>> {
    // A timer may be late: nothing is handed out whose ack wait is all but over.
    if (this.link.clock.monotonic() >= this.#waitTimerAt) this.#onWaits();
    if (this.#stalled) {
      this.#stalled = false;
      this.#reopen();
    }
    return this.#mailbox.next();
  }

  #fail(error: Error): void {
    if (this.#closing !== undefined) return;
    this.#mailbox.fail(error);
    void this.close();
  }

  async #close(drainMs: number): Promise<CloseReport> {
    await Promise.resolve();
    this.#target.options.signal?.removeEventListener("abort", this.#onAbort);
    this.#stopReconnect();
    this.#stopRemoval();
    const buffered = this.#mailbox.drain();
    this.#mailbox.end();
    for (const message of buffered) this.#buffered.delete(message);
    const { clock } = this.link;
    // Late deliveries still come in until the server knows that nobody wants them.
    await within(clock, this.#drainPulls(), 1_000);
    const unseen = [...buffered, ...this.#late.splice(0)];
    await within(clock, this.#giveBack(unseen), 2_000);
    if (this.#inHand.size > 0 && drainMs > 0) {
      const idle = new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
      await within(clock, idle, drainMs);
    }
    this.#waitTimer?.cancel();
    const { stream, consumer, options } = this.#target;
    if (options.durable === undefined && this.link.connected) {
      await within(clock, this.#tools.context.api.deleteConsumer(stream, consumer), 1_000);
    }
    this.#tools.context.lifecycle.remove(this);
    return { abandoned: this.#inHand.size };
  }

  /** Takes in what the server had sent before it knew that nothing is wanted. */
  async #drainPulls(): Promise<void> {
    await this.#pulls.drain();
    await this.#intake;
  }

  /** Gives back what no program saw: at once, in order, and without using up a delivery. */
  async #giveBack(
    unseen: readonly { readonly raw: Msg; readonly info: DeliveryInfo }[],
  ): Promise<void> {
    const { stream, consumer } = this.#target;
    await Promise.all([
      forgetStalePulls(this.#tools.context.api, stream, consumer),
      ...unseen.map(({ info }) => this.#uncount(info)),
    ]);
    if (!this.link.connected) return;
    const ordered = unseen.toSorted((a, b) => a.info.streamSequence - b.info.streamSequence);
    for (const { raw } of ordered) this.link.outbox.publish(raw.reply as string, nakAfter(0));
  }

  async #uncount(info: DeliveryInfo): Promise<void> {
    const { durable } = this.#target.options;
    if (durable === undefined) return;
    await this.#tools.ledger.uncount("sub", durable, info);
  }
}
