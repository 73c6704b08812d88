const CHUNK_BITS = 10;
const CHUNK_SIZE = 1 << CHUNK_BITS;

/** Items by consecutive numbers from 1 on; the oldest can be dropped. */
export class SequenceLog<T> {
  readonly #chunks: (T | undefined)[][] = [];
  /** How many chunks were dropped before the first one. */
  #droppedChunks = 0;
  #first = 1;
  #next = 1;

  /** The number of the oldest item; equal to `next` if there is none. */
  get first(): number {
    return this.#first;
  }

  /** The number the next item will get. */
  get next(): number {
    return this.#next;
  }

  /** How many there are. */
  get size(): number {
    return this.#next - this.#first;
  }

  /** Adds an item; its number was {@link SequenceLog.next}. */
  push(item: T): void {
    const index = this.#next++ - 1;
    const at = Math.floor(index / CHUNK_SIZE) - this.#droppedChunks;
    const chunk = this.#chunks[at];
    if (chunk === undefined) this.#chunks[at] = [item];
    else chunk.push(item);
  }

  /** The item with this number, if it is there. */
  get(sequence: number): T | undefined {
    if (sequence < this.#first || sequence >= this.#next) return undefined;
    const index = sequence - 1;
    const chunk = this.#chunks[Math.floor(index / CHUNK_SIZE) - this.#droppedChunks];
    return chunk?.[index % CHUNK_SIZE];
  }

  /** Drops the oldest item and gives it back. */
  dropFirst(): T | undefined {
    const item = this.get(this.#first);
    if (item === undefined) return undefined;
    const index = this.#first++ - 1;
    const chunk = this.#chunks[Math.floor(index / CHUNK_SIZE) - this.#droppedChunks];
    if (chunk) chunk[index % CHUNK_SIZE] = undefined;
    if (index % CHUNK_SIZE === CHUNK_SIZE - 1) {
      this.#chunks.shift();
      this.#droppedChunks += 1;
    }
    return item;
  }
}
