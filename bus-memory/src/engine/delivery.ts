import { Deadline } from "./deadlines.ts";
import type { Member } from "./member.ts";
import type { StoredMessage } from "./stored-message.ts";

/** Where a delivery is. See {@link Delivery}. */
export type DeliveryState = "waiting" | "buffered" | "held" | "delayed" | "done" | "gone";

/** Who is told when the ack wait or the delay of a delivery is over. */
export interface DeliveryOwner {
  timeOver(delivery: Delivery): void;
}

/**
 * One message on its way through one consumer.
 *
 * *waiting* -> given to a member -> *buffered* -> the program takes it -> *held*;
 * *held* -> ack, term, or the last chance is over -> *done*;
 * *held* -> ack wait over, or nak -> *waiting*, or *delayed* until the nak's delay is over;
 * *buffered* -> its member closes or stalls -> *waiting*;
 * *done* -> the server crashes and has lost the settle -> *held*, by nobody;
 * any -> its consumer is deleted, or its message lost in a crash -> *gone*.
 */
export class Delivery extends Deadline {
  readonly message: StoredMessage;
  readonly #owner: DeliveryOwner;
  state: DeliveryState = "waiting";
  /** How often the program got it. Tells an old delivery from the current one, too. */
  count = 0;
  /** Who has it buffered or held. */
  member: Member | undefined = undefined;
  bagSlot = -1;

  constructor(message: StoredMessage, owner: DeliveryOwner) {
    super();
    this.message = message;
    this.#owner = owner;
  }

  expire(): void {
    this.#owner.timeOver(this);
  }
}
