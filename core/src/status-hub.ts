import { Mailbox } from "./mailbox.ts";
import type { BusStatus } from "./status.ts";

const MAX_WAITING = 256;
/** Most warnings that are kept for the first reader. */
const MAX_UNHEARD = 16;

/**
 * Hands every status to every reader; the newest connection state also to new readers, and the
 * warnings that nobody has heard (of an old server, while the bus was opened) to the first one.
 */
export class StatusHub {
  readonly #readers = new Set<Mailbox<BusStatus>>();
  #last: BusStatus | undefined;
  #unheard: BusStatus[] = [];
  #closed = false;

  /** Tells everybody. After a `closed` status nothing follows. */
  emit(status: BusStatus): void {
    if (this.#closed) return;
    if (status.type === "connected" || status.type === "disconnected") this.#last = status;
    for (const reader of this.#readers) reader.push(status);
    if (status.type === "warning" && this.#readers.size === 0) {
      this.#unheard = [...this.#unheard, status].slice(-MAX_UNHEARD);
    }
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
        for (const status of this.#closed ? [] : this.#unheard.splice(0)) mailbox.push(status);
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
