import { Deadline } from "./deadlines.ts";
import type { Delivery } from "./delivery.ts";
import { Fifo } from "./fifo.ts";

/** The program's end of a subscription, as the engine sees it. */
export interface MemberSink {
  /** Whether the program waits for a message right now. */
  readonly isWaiting: boolean;
  /** Hands over to the waiting program. */
  receive(delivery: Delivery): void;
  /** The last message in the hands of the program was settled, or its time is over. */
  idle(): void;
  /** The consumer was deleted. */
  consumerDeleted(): void;
}

/** Who is told when a member leaves its buffer alone for longer than the ack wait. */
export interface MemberOwner {
  stalled(member: Member): void;
}

/** One subscription of a consumer: what the consumer knows of it. Its deadline is that of its buffer. */
export class Member extends Deadline {
  readonly maxInFlight: number;
  readonly sink: MemberSink;
  readonly #owner: MemberOwner;
  /** Given to it, and the program has not taken it yet; `dueMs` says when it is taken back. */
  readonly buffer: Fifo<Delivery> = new Fifo();
  /** Buffered and held. */
  inFlight = 0;
  /** In the hands of the program. */
  held = 0;
  isOpen = true;
  /** Whether it stands in the consumer's row of those that have room. */
  inRow = false;

  constructor(maxInFlight: number, sink: MemberSink, owner: MemberOwner) {
    super();
    this.maxInFlight = maxInFlight;
    this.sink = sink;
    this.#owner = owner;
  }

  expire(): void {
    this.#owner.stalled(this);
  }
}
