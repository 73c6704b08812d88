/** Where all randomness comes from; seeded in tests and in the simulator. */
export interface Random {
  /** A number from 0 (inclusive) to 1 (exclusive). */
  next(): number;
}

/** The machine's randomness. */
export const systemRandom: Random = { next: () => Math.random() };

/** A small generator (mulberry32): the same seed gives the same numbers, everywhere. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    next(): number {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = state;
      mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
    },
  };
}

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** A random id of `length` letters and digits; 22 of them hold 131 bits. */
export function newId(random: Random = systemRandom, length = 22): string {
  let id = "";
  for (let index = 0; index < length; index++) {
    id += ALPHABET[Math.floor(random.next() * ALPHABET.length)];
  }
  return id;
}
