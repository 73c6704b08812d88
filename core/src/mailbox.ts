/** Options of a {@link Mailbox}. */
export interface MailboxOptions<T = unknown> {
  /** Most items that wait; beyond it the oldest is dropped. Default: no limit (the owner has one). */
  readonly maxItems?: number;
  /** Told when an item was dropped. */
  readonly onDrop?: () => void;
  /** Told when an item leaves to a reader; not by `drain`. */
  readonly onTake?: (item: T) => void;
}

/**
 * A queue between who delivers and who iterates.
 *
 * States: *open* -> `end()` -> *ended* (what waits is still given) ; *open* or *ended* ->
 * `drain()` empties it; *open* -> `fail(error)` -> *failed* (what waits is given, then the error once).
 */
export class Mailbox<T> implements AsyncIterator<T, undefined> {
  #items: (T | undefined)[] = [];
  #head = 0;
  #readers: {
    resolve: (result: IteratorResult<T, undefined>) => void;
    reject: (error: unknown) => void;
  }[] = [];
  #ended = false;
  #error: { readonly value: unknown } | undefined;
  readonly #maxItems: number;
  readonly #onDrop: (() => void) | undefined;
  readonly #onTake: ((item: T) => void) | undefined;

  constructor(options: MailboxOptions<T> = {}) {
    this.#maxItems = options.maxItems ?? Number.POSITIVE_INFINITY;
    this.#onDrop = options.onDrop;
    this.#onTake = options.onTake;
  }

  /** How many items wait. */
  get size(): number {
    return this.#items.length - this.#head;
  }

  /** Whether `end` or `fail` was called. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Adds an item. Ignored, and false, once ended. */
  push(item: T): boolean {
    if (this.#ended) return false;
    const reader = this.#readers.shift();
    if (reader) {
      this.#onTake?.(item);
      reader.resolve({ done: false, value: item });
      return true;
    }
    if (this.size >= this.#maxItems) {
      this.#take();
      this.#onDrop?.();
    }
    this.#items.push(item);
    return true;
  }

  /** The next item; waits for one. */
  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#head < this.#items.length) {
      const item = this.#take();
      this.#onTake?.(item);
      return Promise.resolve({ done: false, value: item });
    }
    if (this.#error) {
      const { value } = this.#error;
      this.#error = undefined;
      return Promise.reject(value);
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
    });
  }

  /** No more items will come. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const reader of this.#readers.splice(0)) reader.resolve({ done: true, value: undefined });
  }

  /** No more items will come, because of `error`. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    const [first, ...others] = this.#readers.splice(0);
    if (first) first.reject(error);
    else this.#error = { value: error };
    for (const reader of others) reader.resolve({ done: true, value: undefined });
  }

  /** Takes out everything that waits. */
  drain(): T[] {
    const rest = this.#items.slice(this.#head) as T[];
    this.#items = [];
    this.#head = 0;
    return rest;
  }

  #take(): T {
    const item = this.#items[this.#head] as T;
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
