const CHUNK_SIZE = 256;

interface Chunk<T> {
  readonly items: (T | undefined)[];
  next: Chunk<T> | undefined;
}

/** A queue in linked chunks: no operation moves what is queued, however much it is. */
export class Fifo<T> {
  #head: Chunk<T> = { items: [], next: undefined };
  #tail: Chunk<T> = this.#head;
  #at = 0;
  #size = 0;

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** Adds one at the end. */
  push(item: T): void {
    if (this.#tail.items.length === CHUNK_SIZE) {
      const chunk: Chunk<T> = { items: [], next: undefined };
      this.#tail.next = chunk;
      this.#tail = chunk;
    }
    this.#tail.items.push(item);
    this.#size += 1;
  }

  /** The first one, which stays. */
  peek(): T | undefined {
    return this.#size === 0 ? undefined : this.#head.items[this.#at];
  }

  /** Takes the first one out. */
  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const head = this.#head;
    const item = head.items[this.#at];
    head.items[this.#at++] = undefined;
    this.#size -= 1;
    if (this.#size === 0) {
      // Nothing waits, so head is tail: it is used again from its beginning.
      head.items.length = 0;
      this.#at = 0;
    } else if (this.#at === CHUNK_SIZE) {
      this.#head = head.next as Chunk<T>;
      this.#at = 0;
    }
    return item;
  }

  /** Takes all out, in order. */
  drain(): T[] {
    const all: T[] = [];
    for (;;) {
      const item = this.shift();
      if (item === undefined) return all;
      all.push(item);
    }
  }

  /** Forgets all. */
  clear(): void {
    this.#head = { items: [], next: undefined };
    this.#tail = this.#head;
    this.#at = 0;
    this.#size = 0;
  }
}
