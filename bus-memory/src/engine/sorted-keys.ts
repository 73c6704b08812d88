const CHUNK_SIZE = 512;

/** A set of keys in code point order, in sorted chunks: adding and removing move few of them. */
export class SortedKeys {
  #chunks: string[][] = [];
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** Adds a key that is not there. */
  add(key: string): void {
    this.#size += 1;
    if (this.#chunks.length === 0) {
      this.#chunks.push([key]);
      return;
    }
    const at = this.#chunkOf(key);
    const chunk = this.#chunks[at] as string[];
    chunk.splice(lowerBound(chunk, key), 0, key);
    if (chunk.length > CHUNK_SIZE) {
      this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK_SIZE / 2));
    }
  }

  /** Removes a key that is there. */
  remove(key: string): void {
    const at = this.#chunkOf(key);
    const chunk = this.#chunks[at];
    if (chunk === undefined) return;
    const index = lowerBound(chunk, key);
    if (chunk[index] !== key) return;
    chunk.splice(index, 1);
    this.#size -= 1;
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** The keys from `start` on, in order. The set must not change meanwhile. */
  *from(start: string): IterableIterator<string> {
    if (this.#chunks.length === 0) return;
    let at = this.#chunkOf(start);
    let index = lowerBound(this.#chunks[at] as string[], start);
    for (; at < this.#chunks.length; at++) {
      const chunk = this.#chunks[at] as string[];
      for (; index < chunk.length; index++) yield chunk[index] as string;
      index = 0;
    }
  }

  /** The last chunk whose first key is not after `key`, else the first one. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#chunks[middle]?.[0] as string) <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function lowerBound(chunk: readonly string[], key: string): number {
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((chunk[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
