const SLAB_BYTES = 16_384;
const LARGEST_SHARED = 2_048;

/**
 * Copies payloads that are stored. A `Uint8Array` with a buffer of its own costs more than everything
 * else that happens to a small message, so small copies are views on slabs. A slab is never written
 * twice and lives as long as one of its views. No view leaves the engine: whoever got one could
 * transfer the slab, and everything else on it, to another thread.
 */
export class Arena {
  #slab = new Uint8Array(0);
  #used = 0;

  /** A copy that shares no byte with anything else. */
  copy(bytes: Uint8Array): Uint8Array {
    const { length } = bytes;
    if (length > LARGEST_SHARED || length === 0) return new Uint8Array(bytes);
    if (this.#used + length > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB_BYTES);
      this.#used = 0;
    }
    const at = this.#used;
    this.#slab.set(bytes, at);
    this.#used = at + length;
    return new Uint8Array(this.#slab.buffer, at, length);
  }
}
