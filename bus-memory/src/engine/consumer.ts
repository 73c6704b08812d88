import type { Clock, StartFrom } from "@busbar/core";
import { Bag } from "./bag.ts";
import { Cursor } from "./cursor.ts";
import { DeadLetterStore } from "./dead-letter-store.ts";
import type { Deadlines } from "./deadlines.ts";
import { Delivery, type DeliveryOwner } from "./delivery.ts";
import { Fifo } from "./fifo.ts";
import type { Journal } from "./journal.ts";
import { Member, type MemberOwner, type MemberSink } from "./member.ts";
import type { StoredMessage } from "./stored-message.ts";
import type { Stream } from "./stream.ts";

/** What makes a consumer; of a durable, what cannot be changed later. */
export interface ConsumerOptions {
  readonly durable: string | undefined;
  readonly pattern: string;
  readonly from: StartFrom;
  readonly ackWaitMs: number;
  readonly maxDeliveries: number;
  readonly backoffMs: readonly number[];
}

/** What a consumer lives on. */
export interface ConsumerContext {
  readonly stream: Stream;
  readonly deadlines: Deadlines;
  readonly clock: Clock;
  readonly journal: Journal | undefined;
}

/** The reason of a dead letter after the last delivery. */
export const MAX_DELIVERIES = "max deliveries";

/**
 * A position in a stream, shared by its members, and everything on the way between the two.
 *
 * What is to be delivered again goes first, then the stream in order. Members that have room stand
 * in a row; the first one gets the next message and, if it still has room, goes to the row's end.
 */
export class Consumer implements DeliveryOwner, MemberOwner {
  readonly options: ConsumerOptions;
  readonly deadLetters: DeadLetterStore<StoredMessage> = new DeadLetterStore();
  readonly #context: ConsumerContext;
  readonly #cursor: Cursor;
  readonly #members = new Set<Member>();
  readonly #unsettled = new Bag<Delivery>();
  #row = new Fifo<Member>();
  #again = new Fifo<Delivery>();
  #isDeleted = false;

  constructor(options: ConsumerOptions, context: ConsumerContext) {
    this.options = options;
    this.#context = context;
    this.#cursor = new Cursor(context.stream, options.pattern, options.from);
  }

  /** How many subscriptions share it. */
  get memberCount(): number {
    return this.#members.size;
  }

  /** How many messages are on their way: buffered, held, waiting again or delayed. */
  get unsettledCount(): number {
    return this.#unsettled.size;
  }

  /** Whether nothing is on its way and nothing in the stream is left for it. */
  get isAtRest(): boolean {
    return this.#cursor.isCaughtUp && this.#unsettled.size === 0;
  }

  /** A new subscription. */
  join(maxInFlight: number, sink: MemberSink): Member {
    const member = new Member(maxInFlight, sink, this);
    // From now on there is somebody to take over what another one lets lie.
    if (this.#members.size === 1) for (const other of this.#members) this.#watchBuffer(other);
    this.#members.add(member);
    this.#row.push(member);
    member.inRow = true;
    this.#pump();
    return member;
  }

  /** Ends a subscription: what it has buffered goes to the others at once. */
  leave(member: Member): void {
    if (!member.isOpen) return;
    member.isOpen = false;
    this.#members.delete(member);
    this.#context.deadlines.clear(member);
    for (const delivery of member.buffer.drain()) this.#takeBack(member, delivery);
    if (member.inRow) {
      const others = this.#row.drain().filter((other) => other !== member);
      for (const other of others) this.#row.push(other);
      member.inRow = false;
    }
    this.#pump();
  }

  /** A message was just stored that is for this consumer. */
  offer(sequence: number): void {
    // If somebody has room, nothing waits to be delivered again.
    if (!this.#cursor.arrived(sequence, this.#row.size > 0)) return;
    this.#give(this.#newDelivery(this.#context.stream.get(sequence) as StoredMessage));
  }

  /** The program takes what is first in its buffer. */
  take(member: Member): Delivery | undefined {
    const delivery = member.buffer.shift();
    if (delivery === undefined) return undefined;
    if (member.buffer.size === 0) this.#context.deadlines.clear(member);
    this.#hand(delivery, member);
    return delivery;
  }

  /** How long the ack wait of a delivery is. */
  waitMs(count: number): number {
    const { backoffMs, ackWaitMs } = this.options;
    return backoffMs[Math.min(count, backoffMs.length) - 1] ?? ackWaitMs;
  }

  /** Settles a held delivery for good. */
  finish(delivery: Delivery): void {
    this.#context.deadlines.clear(delivery);
    this.#unsettled.remove(delivery);
    delivery.state = "done";
    this.#release(delivery);
    if (this.#context.journal) this.#journalFinish(this.#context.journal, delivery);
    this.#pump();
  }

  /** Settles a held delivery: again, after a delay. */
  retry(delivery: Delivery, delayMs: number): void {
    const { deadlines } = this.#context;
    deadlines.clear(delivery);
    this.#release(delivery);
    if (delivery.count >= this.options.maxDeliveries) {
      this.#bury(delivery);
    } else if (delayMs > 0) {
      delivery.state = "delayed";
      deadlines.set(delivery, deadlines.nowMs + delayMs);
    } else {
      this.#wait(delivery);
    }
    this.#pump();
  }

  /** Takes a held delivery back that the program never saw: it does not count. */
  giveBack(delivery: Delivery): void {
    this.#context.deadlines.clear(delivery);
    delivery.count -= 1;
    this.#release(delivery);
    this.#wait(delivery);
    this.#pump();
  }

  /** Starts the ack wait of a held delivery again. */
  extend(delivery: Delivery): void {
    const { deadlines } = this.#context;
    deadlines.set(delivery, deadlines.nowMs + this.waitMs(delivery.count));
  }

  /** Brings a dead letter back, with all deliveries to go. */
  replay(message: StoredMessage): void {
    this.#wait(this.#newDelivery(message));
    this.#pump();
  }

  /**
   * The server has crashed and is back: what was buffered goes again, in the order of the stream,
   * what was held stays held, and what became of lost messages is gone.
   */
  recover(): void {
    const { deadlines, stream } = this.#context;
    for (const member of this.#members) {
      deadlines.clear(member);
      for (const delivery of member.buffer.drain()) this.#takeBack(member, delivery);
    }
    const { nextSequence } = stream;
    for (const delivery of this.#unsettled.drain()) {
      if (delivery.message.sequence < nextSequence) this.#unsettled.add(delivery);
      else this.#drop(delivery);
    }
    this.deadLetters.removeWhere(({ origin }) => origin.sequence >= nextSequence);
    const again = this.#again.drain().filter(({ state }) => state === "waiting");
    again.sort((one, other) => one.message.sequence - other.message.sequence);
    for (const delivery of again) this.#again.push(delivery);
    this.#cursor.rewind();
    for (const member of this.#members) this.#enterRow(member);
    this.#pump();
  }

  /** Ends it: deliveries come to nothing, members are told. */
  delete(): void {
    const { deadlines } = this.#context;
    this.#isDeleted = true;
    const members = [...this.#members];
    for (const member of members) member.isOpen = false;
    this.#members.clear();
    this.#again.clear();
    this.#row.clear();
    for (const delivery of this.#unsettled.drain()) this.#drop(delivery);
    this.deadLetters.clear();
    for (const member of members) {
      member.inRow = false;
      member.buffer.clear();
      deadlines.clear(member);
      member.sink.consumerDeleted();
    }
  }

  timeOver(delivery: Delivery): void {
    if (delivery.state === "held") this.#release(delivery);
    this.#wait(delivery);
    this.#pump();
  }

  stalled(member: Member): void {
    const { nowMs } = this.#context.deadlines;
    // Alone it would get everything back: it is left to it until somebody joins.
    if (this.#members.size < 2) return;
    for (let first = member.buffer.peek(); first; first = member.buffer.peek()) {
      if (first.dueMs > nowMs) break;
      member.buffer.shift();
      this.#takeBack(member, first);
    }
    this.#watchBuffer(member);
    this.#enterRow(member);
    this.#pump();
  }

  #pump(): void {
    for (;;) {
      if (this.#row.size === 0) return;
      const delivery = this.#next();
      if (delivery === undefined) return;
      this.#give(delivery);
    }
  }

  #next(): Delivery | undefined {
    for (let again = this.#again.shift(); again; again = this.#again.shift()) {
      if (again.count < this.options.maxDeliveries) return again;
      // Nobody settled its last delivery. As with JetStream that is found when it would be delivered
      // once more: not before somebody has room for it.
      this.#bury(again);
    }
    const message = this.#cursor.next();
    return message && this.#newDelivery(message);
  }

  #newDelivery(message: StoredMessage): Delivery {
    const delivery = new Delivery(message, this);
    this.#unsettled.add(delivery);
    return delivery;
  }

  /** To the first of the row, which must not be empty. */
  #give(delivery: Delivery): void {
    const member = this.#row.shift() as Member;
    member.inFlight += 1;
    delivery.member = member;
    if (member.inFlight < member.maxInFlight) this.#row.push(member);
    else member.inRow = false;
    if (member.sink.isWaiting) {
      this.#hand(delivery, member);
      member.sink.receive(delivery);
      return;
    }
    delivery.state = "buffered";
    delivery.dueMs = this.#context.deadlines.nowMs + this.waitMs(delivery.count + 1);
    member.buffer.push(delivery);
    if (this.#members.size > 1 && member.slot < 0) this.#watchBuffer(member);
  }

  /** The program has it from now on. */
  #hand(delivery: Delivery, member: Member): void {
    const { deadlines } = this.#context;
    delivery.state = "held";
    delivery.count += 1;
    member.held += 1;
    deadlines.set(delivery, deadlines.nowMs + this.waitMs(delivery.count));
  }

  /** The program does not have it any more. */
  #release(delivery: Delivery): void {
    const { member } = delivery;
    if (member === undefined) return;
    delivery.member = undefined;
    member.inFlight -= 1;
    member.held -= 1;
    this.#enterRow(member);
    if (member.held === 0) member.sink.idle();
  }

  /** Its message or its consumer is no more. */
  #drop(delivery: Delivery): void {
    this.#context.deadlines.clear(delivery);
    if (delivery.state === "held") this.#release(delivery);
    delivery.state = "gone";
  }

  #takeBack(member: Member, delivery: Delivery): void {
    member.inFlight -= 1;
    delivery.member = undefined;
    this.#wait(delivery);
  }

  #journalFinish(journal: Journal, delivery: Delivery): void {
    const { deadlines } = this.#context;
    journal.add("settle", deadlines.nowMs, () => {
      if (this.#isDeleted) return;
      // Nobody has it any more, but the server waits for its settle as before.
      delivery.state = "held";
      this.#unsettled.add(delivery);
      deadlines.set(delivery, delivery.dueMs);
    });
  }

  #enterRow(member: Member): void {
    if (member.inRow || !member.isOpen || member.inFlight >= member.maxInFlight) return;
    member.inRow = true;
    this.#row.push(member);
  }

  #wait(delivery: Delivery): void {
    delivery.state = "waiting";
    this.#again.push(delivery);
  }

  #watchBuffer(member: Member): void {
    const first = member.buffer.peek();
    if (first) this.#context.deadlines.set(member, first.dueMs);
  }

  #bury(delivery: Delivery): void {
    this.#unsettled.remove(delivery);
    delivery.state = "done";
    const { count } = delivery;
    const message = delivery.message.detached();
    this.deadLetters.add({
      id: String(message.sequence),
      subject: message.subject,
      reason: MAX_DELIVERIES,
      attempts: count,
      payload: message.slab,
      headers: message.headers,
      publishedAtMs: message.publishedAtMs,
      deadAtMs: this.#context.clock.now(),
      origin: message,
    });
  }
}
