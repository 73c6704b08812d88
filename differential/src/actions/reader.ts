import { errorView, type Outcome } from "../outcome.ts";

/** Reads from a stream as soon as something comes, and remembers how it ended. */
export class Reader<T> {
  readonly source: { close(): Promise<unknown> };
  /** What was read and not drained yet. */
  readonly items: T[] = [];
  readonly #iterator: AsyncIterator<T>;
  readonly #reading: Promise<void>;
  #ended: Outcome | undefined;

  /** `limit` is how many items are asked for at most. */
  constructor(
    source: AsyncIterable<T> & { close(): Promise<unknown> },
    limit: number = Number.POSITIVE_INFINITY,
  ) {
    this.source = source;
    this.#iterator = source[Symbol.asyncIterator]();
    this.#reading = this.#read(limit);
  }

  /** How it ended, if it has. */
  get ended(): Outcome | undefined {
    return this.#ended;
  }

  /** Takes what was read. */
  drain(): T[] {
    return this.items.splice(0);
  }

  /** Closes the source; what it had handed over has been read then. */
  async close(): Promise<unknown> {
    const report = await this.source.close();
    await this.#reading;
    return report;
  }

  async #read(limit: number): Promise<void> {
    try {
      for (let read = 0; read < limit; read++) {
        const next = await this.#iterator.next();
        if (next.done === true) {
          this.#ended = "ended";
          return;
        }
        this.items.push(next.value);
      }
    } catch (error) {
      this.#ended = errorView(error);
    }
  }
}
