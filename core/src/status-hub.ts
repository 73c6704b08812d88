import { Mailbox } from "./mailbox.ts";
import type { BusStatus } from "./status.ts";

const MAX_WAITING = 256;

/** Hands every status to every reader; the newest connection state also to new readers. */
export class StatusHub {
  readonly #readers = new Set<Mailbox<BusStatus>>();
  #last: BusStatus | undefined;
  #closed = false;

  /** Tells everybody. After a `closed` status nothing follows. */
  emit(status: BusStatus): void {
    if (this.#closed) return;
    if (status.type === "connected" || status.type === "disconnected") this.#last = status;
    for (const reader of this.#readers) reader.push(status);
    if (status.type !== "closed") return;
    this.#closed = true;
    this.#last = status;
    for (const reader of this.#readers) reader.end();
    this.#readers.clear();
  }

  /** Implements `Bus.status`. */
  subscribe(): AsyncIterable<BusStatus> {
    return {
      [Symbol.asyncIterator]: (): AsyncIterator<BusStatus, undefined> => {
        const mailbox = new Mailbox<BusStatus>({ maxItems: MAX_WAITING });
        if (this.#last) mailbox.push(this.#last);
        if (this.#closed) mailbox.end();
        else this.#readers.add(mailbox);
        return {
          next: () => mailbox.next(),
          return: () => {
            this.#readers.delete(mailbox);
            mailbox.end();
            return Promise.resolve({ done: true, value: undefined });
          },
        };
      },
    };
  }
}
