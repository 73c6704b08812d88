import type { Headers } from "@busbar/core";
import { checkPageCursor } from "@busbar/core/adapter";

/** A dead letter as it is stored. `origin` is what it takes to bring it back. */
export interface StoredDeadLetter<Origin> {
  readonly id: string;
  readonly subject: string;
  readonly reason: string;
  readonly attempts: number;
  readonly payload: Uint8Array;
  readonly headers: Headers;
  readonly publishedAtMs: number;
  readonly deadAtMs: number;
  readonly origin: Origin;
}

interface Slot<Origin> {
  readonly ordinal: number;
  readonly letter: StoredDeadLetter<Origin>;
  removed: boolean;
}

/** The dead letters of one owner, oldest first, at most one for an id. */
export class DeadLetterStore<Origin> {
  #slots: Slot<Origin>[] = [];
  readonly #byId = new Map<string, Slot<Origin>>();
  #ordinal = 0;

  /** How many there are. */
  get size(): number {
    return this.#byId.size;
  }

  /** How many bytes of payloads there are. */
  get bytes(): number {
    let bytes = 0;
    for (const { letter } of this.#byId.values()) bytes += letter.payload.length;
    return bytes;
  }

  /** Adds one. */
  add(letter: StoredDeadLetter<Origin>): void {
    this.remove(letter.id);
    const slot = { ordinal: ++this.#ordinal, letter, removed: false };
    this.#slots.push(slot);
    this.#byId.set(letter.id, slot);
  }

  /** One, or `undefined`. */
  get(id: string): StoredDeadLetter<Origin> | undefined {
    return this.#byId.get(id)?.letter;
  }

  /** Takes one out. */
  remove(id: string): StoredDeadLetter<Origin> | undefined {
    const slot = this.#byId.get(id);
    if (slot === undefined) return undefined;
    this.#byId.delete(id);
    slot.removed = true;
    // Gaps are closed when they are the larger part.
    if (this.#slots.length > 64 && this.#byId.size * 2 < this.#slots.length) {
      this.#slots = this.#slots.filter((one) => !one.removed);
    }
    return slot.letter;
  }

  /** Takes all out. @returns how many. */
  clear(): number {
    const { size } = this.#byId;
    this.#byId.clear();
    this.#slots = [];
    return size;
  }

  /** Takes those out for which `isGone`. */
  removeWhere(isGone: (letter: StoredDeadLetter<Origin>) => boolean): void {
    for (const { letter } of this.#byId.values()) if (isGone(letter)) this.remove(letter.id);
  }

  /** A page, and where the next one begins. @throws BusError `INVALID_ARGUMENT` */
  page(
    after: string | undefined,
    limit: number,
  ): { readonly letters: StoredDeadLetter<Origin>[]; readonly next: string | undefined } {
    const letters: StoredDeadLetter<Origin>[] = [];
    let last = after === undefined ? 0 : checkPageCursor(after);
    for (let index = this.#indexAfter(last); index < this.#slots.length; index++) {
      const slot = this.#slots[index] as Slot<Origin>;
      if (slot.removed) continue;
      if (letters.length === limit) return { letters, next: String(last) };
      letters.push(slot.letter);
      last = slot.ordinal;
    }
    return { letters, next: undefined };
  }

  #indexAfter(ordinal: number): number {
    let low = 0;
    let high = this.#slots.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#slots[middle]?.ordinal as number) <= ordinal) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
