import type { Clock } from "@busbar/core";

/** How a {@link Pace} is kept. */
export interface PaceOptions {
  readonly clock: Clock;
  /** Most scripts that run at a time. */
  readonly atMost: number;
}

/** How many run at a time at first. */
const FIRST = 32;
const FEWEST = 4;
/** What every script that was in time adds to their number. */
const GROWTH = 0.25;
/** What is left of their number when one was too late. */
const CUT = 0.8;
/** Scripts that were late for one reason are no reason to cut twice. */
const CUT_PAUSE_MS = 4_000;
/** Between two starts: the first steps of a script are the dearest. */
const START_PAUSE_MS = 30;
/** How often a script that is too late is run. */
const TRIES = 5;

/** Runs as many scripts at a time as the machine bears: more while all are in time, else fewer. */
export class Pace {
  readonly #options: PaceOptions;
  #limit: number;
  #cutAtMs = Number.NEGATIVE_INFINITY;
  #late = 0;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#limit = Math.min(FIRST, options.atMost);
  }

  /** How many scripts run at a time by now. */
  get limit(): number {
    return Math.floor(this.#limit);
  }

  /** How many runs were too late. */
  get late(): number {
    return this.#late;
  }

  /** Does `work` for each item until it says that it was in time; tells which never were. */
  async run<T>(items: readonly T[], work: (item: T) => Promise<boolean>): Promise<T[]> {
    const { clock } = this.#options;
    const waiting = items.map((item) => ({ item, tries: 0 }));
    const running = new Set<Promise<void>>();
    const never: T[] = [];
    while (waiting.length > 0 || running.size > 0) {
      const next = running.size < this.limit ? waiting.shift() : undefined;
      if (next === undefined) {
        await Promise.race(running);
        continue;
      }
      const { item, tries } = next;
      const run = async (): Promise<void> => {
        const isInTime = await work(item);
        this.#adjust(isInTime);
        if (isInTime) return;
        if (tries + 1 < TRIES) waiting.push({ item, tries: tries + 1 });
        else never.push(item);
      };
      const one = run().finally(() => running.delete(one));
      running.add(one);
      await clock.sleep(START_PAUSE_MS);
    }
    return never;
  }

  #adjust(isInTime: boolean): void {
    const { clock, atMost } = this.#options;
    if (isInTime) {
      this.#limit = Math.min(atMost, this.#limit + GROWTH);
      return;
    }
    this.#late += 1;
    if (clock.monotonic() - this.#cutAtMs < CUT_PAUSE_MS) return;
    this.#cutAtMs = clock.monotonic();
    this.#limit = Math.max(Math.min(FEWEST, atMost), this.#limit * CUT);
  }
}
