const SLAB_BYTES = 8_192;
const LARGEST_SHARED = 1_024;

/** Where some stored bytes are: `length` bytes of `slab` from `at` on. They are never changed. */
export interface StoredBytes {
  readonly slab: Uint8Array;
  readonly at: number;
  readonly length: number;
}

/**
 * Stores payloads. A `Uint8Array` for each costs more than everything else that happens to a small
 * message, so small ones share slabs. A slab is never written twice and lives as long as something
 * on it is stored. No view of one leaves the engine: whoever got it could write on the slab, or give
 * it, and everything else on it, to another thread.
 */
export class Arena implements StoredBytes {
  /** The slab that is being filled. */
  #shared = new Uint8Array(0);
  #used = 0;
  #slab = this.#shared;
  #at = 0;
  #length = 0;

  /** Of what was written last. */
  get slab(): Uint8Array {
    return this.#slab;
  }

  /** Of what was written last. */
  get at(): number {
    return this.#at;
  }

  /** Of what was written last. */
  get length(): number {
    return this.#length;
  }

  /** Copies bytes in; `slab`, `at` and `length` say where, until the next call. */
  write(bytes: Uint8Array): void {
    const { length } = bytes;
    this.#length = length;
    if (length > LARGEST_SHARED) {
      this.#slab = new Uint8Array(bytes);
      this.#at = 0;
      return;
    }
    if (this.#used + length > this.#shared.length) {
      this.#shared = new Uint8Array(SLAB_BYTES);
      this.#used = 0;
    }
    this.#slab = this.#shared;
    this.#at = this.#used;
    this.#used += length;
    this.#slab.set(bytes, this.#at);
  }
}

/** A copy with a buffer of its own. */
export function copyOf({ slab, at, length }: StoredBytes): Uint8Array {
  return slab.slice(at, at + length);
}
