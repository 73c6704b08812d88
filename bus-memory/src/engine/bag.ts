/** What can be in a {@link Bag}: it carries its own place. */
export interface Bagged {
  bagSlot: number;
}

/** An unordered set whose members know their place: adding and removing cost a few writes. */
export class Bag<T extends Bagged> {
  #items: T[] = [];

  /** How many are in it. */
  get size(): number {
    return this.#items.length;
  }

  /** All of them, until the next change. */
  get items(): readonly T[] {
    return this.#items;
  }

  /** Adds one that is in no bag. */
  add(item: T): void {
    item.bagSlot = this.#items.length;
    this.#items.push(item);
  }

  /** Removes one that is in this bag. */
  remove(item: T): void {
    const last = this.#items.pop() as T;
    if (last !== item) {
      this.#items[item.bagSlot] = last;
      last.bagSlot = item.bagSlot;
    }
    item.bagSlot = -1;
  }

  /** Takes all out. */
  drain(): T[] {
    const items = this.#items;
    this.#items = [];
    for (const item of items) item.bagSlot = -1;
    return items;
  }
}
