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

/** One number for each side. */
export type BySide = Readonly<Record<keyof Sides, number>>;

/** Operations per second, and what they cost. */
export interface Comparison extends BySide {
  readonly ratio: number;
  /** CPU time of this thread for one operation, in microseconds: less in the hands of the machine. */
  readonly cpuUs: BySide;
}

/** What a side did and took, summed up. */
interface Total {
  operations: number;
  ms: number;
  cpuUs: number;
}

/** Slices of each side before the first round: compiled code, warm connections and pages. */
const WARM_UP_SLICES = 3;

/** Runs the sides in turn, each in each place of the order, and compares them round by round. */
export async function compare(sides: Sides, options: CompareOptions): Promise<Comparison> {
  const names = ["raw", "busbar", "rawDefault"] as const;
  const rounds: Readonly<Record<keyof Sides, Total>>[] = [];
  for (let warmUp = 0; warmUp < WARM_UP_SLICES; warmUp++) {
    for (const name of names) await slice(sides[name], nothing());
  }
  for (let round = 0; round < options.rounds; round++) {
    const totals = { busbar: nothing(), raw: nothing(), rawDefault: nothing() };
    for (let part = 0; part < options.slices; part++) {
      for (let place = 0; place < names.length; place++) {
        const name = names[(place + round + part) % names.length] as keyof Sides;
        await slice(sides[name], totals[name], options.profiler && { ...options, name });
      }
    }
    rounds.push(totals);
  }
  const rates = (side: keyof Sides): number[] =>
    rounds.map(({ [side]: { operations, ms } }) => (operations * 1_000) / ms);
  const cpuUs = (side: keyof Sides): number =>
    median(rounds.map(({ [side]: total }) => total.cpuUs / total.operations));
  return {
    busbar: median(rates("busbar")),
    raw: median(rates("raw")),
    rawDefault: median(rates("rawDefault")),
    ratio: medianRatio(rates("busbar"), rates("raw")),
    cpuUs: { busbar: cpuUs("busbar"), raw: cpuUs("raw"), rawDefault: cpuUs("rawDefault") },
  };
}

function nothing(): Total {
  return { operations: 0, ms: 0, cpuUs: 0 };
}

async function slice(
  side: Side,
  total: Total,
  watch?: Pick<CompareOptions, "profiler"> & { readonly name: string },
): Promise<void> {
  await side.prepare?.();
  collectGarbage();
  await watch?.profiler?.start(watch.name);
  const before = process.threadCpuUsage();
  const { operations, ms } = await side.run();
  const { user, system } = process.threadCpuUsage(before);
  await watch?.profiler?.stop();
  total.operations += operations;
  total.ms += ms;
  total.cpuUs += user + system;
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
