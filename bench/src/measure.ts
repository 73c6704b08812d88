import { collectGarbage } from "./gc.ts";
import type { Profiler } from "./profile.ts";
import { median, medianRatio } from "./statistics.ts";

/** A piece of work and the time it took. */
export interface Slice {
  readonly operations: number;
  readonly ms: number;
}

/** One of those that do the same work. */
export interface Side {
  /** Gets ready for a slice; not timed. */
  prepare?(): Promise<void>;
  /** Does a slice of the work. */
  run(): Promise<Slice>;
}

/** The sides of a comparison. */
export interface Sides {
  readonly busbar: Side;
  readonly raw: Side;
  readonly rawDefault: Side;
}

/** How a comparison is run. */
export interface CompareOptions {
  readonly rounds: number;
  /** How many slices of each side make a round: they alternate, so that a drift hits all sides. */
  readonly slices: number;
  /** Told of each slice, for profiles. */
  readonly profiler?: Profiler | undefined;
}

/** Operations per second. */
export interface Comparison {
  readonly busbar: number;
  readonly raw: number;
  readonly rawDefault: number;
  readonly ratio: number;
}

/** Slices of each side before the first round: compiled code, warm connections and pages. */
const WARM_UP_SLICES = 3;

/** Runs the sides in turn, each in each place of the order, and compares them round by round. */
export async function compare(sides: Sides, options: CompareOptions): Promise<Comparison> {
  const names = ["raw", "busbar", "rawDefault"] as const;
  const rates: Record<keyof Sides, number[]> = { busbar: [], raw: [], rawDefault: [] };
  for (let warmUp = 0; warmUp < WARM_UP_SLICES; warmUp++) {
    for (const name of names) await slice(sides[name]);
  }
  for (let round = 0; round < options.rounds; round++) {
    const totals = { busbar: [0, 0], raw: [0, 0], rawDefault: [0, 0] } satisfies Record<
      keyof Sides,
      [number, number]
    >;
    for (let part = 0; part < options.slices; part++) {
      for (let place = 0; place < names.length; place++) {
        const name = names[(place + round + part) % names.length] as keyof Sides;
        const { operations, ms } = await slice(sides[name], name, options.profiler);
        totals[name][0] += operations;
        totals[name][1] += ms;
      }
    }
    for (const name of names) rates[name].push((totals[name][0] * 1_000) / totals[name][1]);
  }
  return {
    busbar: median(rates.busbar),
    raw: median(rates.raw),
    rawDefault: median(rates.rawDefault),
    ratio: medianRatio(rates.busbar, rates.raw),
  };
}

async function slice(side: Side, name = "", profiler?: Profiler): Promise<Slice> {
  await side.prepare?.();
  collectGarbage();
  await profiler?.start(name);
  const result = await side.run();
  await profiler?.stop();
  return result;
}

/** Repeats an operation one after another, for about this long. */
export async function sequentially(ms: number, operation: () => Promise<unknown>): Promise<Slice> {
  const startedAt = performance.now();
  let operations = 0;
  let now = startedAt;
  for (; now - startedAt < ms; now = performance.now()) {
    await operation();
    operations += 1;
  }
  return { operations, ms: now - startedAt };
}

/** Repeats an operation with `width` of them under way at a time, for about this long. */
export async function inFlight(
  ms: number,
  width: number,
  operation: () => Promise<unknown>,
): Promise<Slice> {
  const startedAt = performance.now();
  let operations = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() - startedAt < ms) {
      await operation();
      operations += 1;
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return { operations, ms: performance.now() - startedAt };
}

/** Runs an operation once for each item, with `width` of them under way at a time. */
export async function forEachInFlight<T>(
  items: readonly T[],
  width: number,
  operation: (item: T) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) await operation(items[next++] as T);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
}

/** Times one run of something that knows how many operations it was. */
export async function timed(operations: number, run: () => Promise<unknown>): Promise<Slice> {
  const startedAt = performance.now();
  await run();
  return { operations, ms: performance.now() - startedAt };
}
