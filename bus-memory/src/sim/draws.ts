import { type Random, seededRandom } from "@busbar/core";

/** One random decision that was not the quiet one: what shrinking works on. */
export interface Draw {
  /** What was decided, such as `worker-1/drop`. */
  readonly label: string;
  /** The how manieth decision with this label it was, from 0 on. */
  readonly index: number;
  /** What came out: 1 for a fault that happens, else a number such as a delay in milliseconds. */
  readonly value: number;
}

interface Stream {
  readonly random: Random;
  count: number;
  /** Only while a plan is followed. */
  readonly planned: ReadonlyMap<number, number> | undefined;
}

const QUIET: ReadonlyMap<number, number> = new Map();

/**
 * Every random decision of a simulation. Each label has a stream of its own, so that one decision
 * more or less under one label changes nothing under the others.
 *
 * With a plan nothing is random: what the plan names comes out as it says, everything else is the
 * quiet choice (no fault, the shortest delay).
 */
export class Draws {
  readonly #seed: number;
  readonly #streams = new Map<string, Stream>();
  readonly #plan: ReadonlyMap<string, ReadonlyMap<number, number>> | undefined;
  readonly #log: string[] | undefined;
  readonly #loud: Draw[] = [];
  #hash = 0x811c9dc5;
  #quiet = false;

  /** `keepLog` remembers every draw, to compare two runs. */
  constructor(
    seed: number,
    options: { readonly plan?: readonly Draw[] | undefined; readonly keepLog?: boolean } = {},
  ) {
    this.#seed = seed;
    this.#plan = options.plan && byLabel(options.plan);
    this.#log = options.keepLog ? [] : undefined;
  }

  /** A number over everything that was drawn and {@link Draws.mix}ed so far, in its order. */
  get hash(): number {
    return this.#hash >>> 0;
  }

  /** Every draw as a line, if they are kept. */
  get log(): readonly string[] {
    return this.#log ?? [];
  }

  /** The decisions so far that were not the quiet ones. */
  get plan(): readonly Draw[] {
    return this.#loud;
  }

  /** From now on every decision is the quiet one. */
  silence(): void {
    this.#quiet = true;
  }

  /** Whether a fault with this probability happens. */
  chance(label: string, probability: number): boolean {
    if (probability <= 0) return false;
    return this.#draw(label, 0, (random) => (random.next() < probability ? 1 : 0)) === 1;
  }

  /** A number from `min` to `max`, in steps of a microsecond if it is a time in milliseconds. */
  between(label: string, min: number, max: number): number {
    if (max <= min) return min;
    return this.#draw(
      label,
      min,
      (random) => Math.round((min + random.next() * (max - min)) * 1_000) / 1_000,
    );
  }

  /** A source of randomness with a stream of its own. Not part of any plan: it stays what it is. */
  random(label: string): Random {
    return seededRandom(hashText(label, this.#seed));
  }

  /** Lets something that happened, or its time, count in the hash. */
  mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value * 1_000), 0x01000193);
  }

  #draw(label: string, quietValue: number, draw: (random: Random) => number): number {
    if (this.#quiet) return quietValue;
    const stream = this.#stream(label);
    const index = stream.count++;
    const value =
      stream.planned === undefined
        ? draw(stream.random)
        : (stream.planned.get(index) ?? quietValue);
    this.mix(value);
    this.#log?.push(`${label}[${index}] = ${value}`);
    if (value !== quietValue) this.#loud.push({ label, index, value });
    return value;
  }

  #stream(label: string): Stream {
    let stream = this.#streams.get(label);
    if (stream === undefined) {
      const planned = this.#plan && (this.#plan.get(label) ?? QUIET);
      stream = { random: seededRandom(hashText(label, this.#seed)), count: 0, planned };
      this.#streams.set(label, stream);
    }
    return stream;
  }
}

/** FNV-1a with a start of one's own. */
export function hashText(text: string, start = 0): number {
  let hash = 0x811c9dc5 ^ start;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

function byLabel(plan: readonly Draw[]): Map<string, Map<number, number>> {
  const map = new Map<string, Map<number, number>>();
  for (const { label, index, value } of plan) {
    const values = map.get(label) ?? new Map<number, number>();
    values.set(index, value);
    map.set(label, values);
  }
  return map;
}
