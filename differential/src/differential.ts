import { systemClock } from "@busbar/core";
import { type Comparison, compare, type Difference } from "./execute.ts";
import { generate, scriptSeed } from "./generator/generate.ts";
import type { NatsHost } from "./nats-world.ts";
import { Pace } from "./pace.ts";
import { type Reference, referenceOf } from "./reference.ts";
import { explain } from "./rules.ts";
import { TooLate } from "./run.ts";
import type { Script } from "./script.ts";
import { shrink, withPauses } from "./shrink.ts";

/** How scripts are compared. */
export interface DifferentialOptions {
  readonly host: NatsHost;
  readonly seed: number;
  readonly scripts: number;
  /** Steps of each script before its last look at everything. Default: 20 to 60. */
  readonly steps?: number | undefined;
  /** Most scripts that run at a time. */
  readonly concurrency: number;
  /** The length of a tick in milliseconds. */
  readonly unitMs: number;
  readonly shrink: boolean;
  /** Only the script of this seed. */
  readonly only?: number | undefined;
  readonly progress: (line: string) => void;
  /** Other options of the command line that shows a difference again. */
  readonly flags?: string | undefined;
}

/** A difference of one script. */
export interface ScriptDifference extends Difference {
  /** The script's own seed. */
  readonly script: number;
  /** The steps that are left when it is shrunk; only of unexplained ones. */
  readonly minimal?: Script["steps"];
}

/** What came of all scripts. */
export interface DifferentialReport {
  readonly server: string;
  readonly seed: number;
  readonly scripts: number;
  readonly steps: number;
  readonly differences: readonly ScriptDifference[];
  /** How many scripts differ for no known reason. */
  readonly unexplained: number;
  /** Scripts that differed, and did not when they were run again. */
  readonly unstable: number;
  /** Scripts that came too late however often they were run: nothing is known of them. */
  readonly untold: number;
  /** Runs that were repeated because the machine was too slow. */
  readonly late: number;
  readonly seconds: number;
}

interface Prepared {
  readonly script: Script;
  readonly reference: Reference;
}

/** A script that differed, or that was late to the end. */
interface Suspect extends Prepared {
  readonly first?: Difference | undefined;
}

/** How many variants of a script are tried until one has no ambiguous moment. */
const MAX_VARIANTS = 200;
/** Few enough that nobody is late. */
const CONFIRMED_AT_A_TIME = 10;
/** How many differences are shrunk; the others are likely to be the same. */
const MAX_SHRUNK = 5;

/** Runs random scripts on the simulator and on a server, and compares. */
export class Differential {
  readonly #options: DifferentialOptions;
  readonly #differences: ScriptDifference[] = [];
  #steps = 0;
  #late = 0;
  #unstable = 0;
  #untold = 0;

  constructor(options: DifferentialOptions) {
    this.#options = options;
  }

  /** Runs them all. */
  async run(): Promise<DifferentialReport> {
    const { seed, scripts, only, host } = this.#options;
    const startedAt = systemClock.monotonic();
    const indexes = Array.from({ length: only === undefined ? scripts : 1 }, (_, index) => index);
    const suspects = await this.#runAll(indexes);
    const unexplained = await this.#confirm(suspects);
    return {
      server: `nats-server ${host.traits.version}`,
      seed,
      scripts: indexes.length,
      steps: this.#steps,
      differences: this.#differences,
      unexplained,
      unstable: this.#unstable,
      untold: this.#untold,
      late: this.#late,
      seconds: Math.round((systemClock.monotonic() - startedAt) / 100) / 10,
    };
  }

  /** The scripts with a difference that no rule explains, or that were late to the end. */
  async #runAll(indexes: readonly number[]): Promise<Suspect[]> {
    const { concurrency, progress } = this.#options;
    const pace = new Pace({ clock: systemClock, atMost: concurrency });
    const suspects: Suspect[] = [];
    let done = 0;
    const never = await pace.run(indexes, async (index) => {
      const prepared = await this.#prepare(index);
      const comparison = await this.#tryCompare(prepared);
      if (comparison === undefined) return false;
      if (!isUnexplained(comparison)) this.#note(prepared.script, comparison);
      else suspects.push({ ...prepared, first: comparison.differences.at(-1) });
      done += 1;
      if (done % 500 === 0) {
        progress(`${done} of ${indexes.length} scripts, ${pace.limit} at a time`);
      }
      return true;
    });
    for (const index of never) suspects.push(await this.#prepare(index));
    this.#late = pace.late;
    return suspects;
  }

  /** Runs suspects again, twice; what does not come again was the machine's fault. */
  async #confirm(suspects: readonly Suspect[]): Promise<number> {
    let unexplained = 0;
    const runs = new Map<Suspect, (Comparison | undefined)[]>();
    await inParallel(suspects, CONFIRMED_AT_A_TIME, async (prepared) => {
      const first = await this.#tryCompare(prepared);
      runs.set(prepared, [first, await this.#tryCompare(prepared)]);
    });
    for (const [prepared, comparisons] of runs) {
      const last = comparisons.findLast((one) => one !== undefined);
      const confirmed = comparisons.findLast((one) => one !== undefined && isUnexplained(one));
      if (confirmed === undefined) {
        if (last === undefined) this.#untold += 1;
        else this.#unstable += 1;
        this.#options.progress(tellUnstable(prepared));
        if (last) this.#note(prepared.script, last);
        continue;
      }
      unexplained += 1;
      this.#note(prepared.script, confirmed);
      await this.#reduce(prepared.script, confirmed, unexplained <= MAX_SHRUNK);
    }
    return unexplained;
  }

  async #reduce(script: Script, comparison: Comparison, worthIt: boolean): Promise<void> {
    const { progress } = this.#options;
    let last = comparison.differences.at(-1) as Difference;
    let minimal: Script = { ...script, steps: script.steps.slice(0, comparison.steps) };
    const { entries } = await this.#reference(minimal);
    if (this.#options.shrink && worthIt) {
      const op = script.steps[last.step]?.op;
      minimal = await shrink(withPauses(minimal, entries), {
        concurrency: 12,
        fails: async (candidate) => {
          const reference = await this.#reference(candidate);
          if (!reference.isClear) return false;
          const again = await this.#tryCompare({ script: candidate, reference });
          const found = again && isUnexplained(again) ? again.differences.at(-1) : undefined;
          return found !== undefined && candidate.steps[found.step]?.op === op;
        },
      });
      const again = await this.#tryCompare({
        script: minimal,
        reference: await this.#reference(minimal),
      });
      last = again?.differences.at(-1) ?? last;
    }
    progress(tell(minimal, last, this.#options.flags));
    const noted = this.#differences.findLastIndex((one) => one.script === script.seed);
    const known = this.#differences[noted];
    if (known) this.#differences[noted] = { ...known, ...last, minimal: minimal.steps };
  }

  #note(script: Script, comparison: Comparison): void {
    this.#steps += comparison.steps;
    for (const difference of comparison.differences) {
      this.#differences.push({ script: script.seed, ...difference });
    }
  }

  /** The script of an index, or a variant of it without ambiguous moments. */
  async #prepare(index: number): Promise<Prepared> {
    const { seed, only, steps } = this.#options;
    const first = only ?? scriptSeed(seed, index);
    for (let variant = 0; variant < MAX_VARIANTS; variant++) {
      const script = generate((first + variant) >>> 0, { steps });
      const reference = await this.#reference(script);
      if (reference.isClear) return { script, reference };
    }
    throw new Error(`no variant of script ${first} is without ambiguous moments`);
  }

  #reference(script: Script): Promise<Reference> {
    const { unitMs, host } = this.#options;
    return referenceOf(script, { unitMs, traits: host.traits });
  }

  /** Runs it on the server; `undefined` if that was too late to say anything. */
  async #tryCompare({ script, reference }: Prepared): Promise<Comparison | undefined> {
    const { unitMs } = this.#options;
    const host = script.restarts ? await this.#options.host.another() : this.#options.host;
    const { traits } = host;
    const storage = script.restarts || script.seed % 8 === 0 ? "file" : "memory";
    const world = host.world(script, { unitMs, storage });
    try {
      return await compare(
        { world, script, unitMs, traits },
        reference.entries,
        (step, expected, actual) => explain(traits.version, step, { expected, actual }),
      );
    } catch (error) {
      if (error instanceof TooLate) return undefined;
      throw error;
    } finally {
      await world.close();
      if (script.restarts) await host.close();
    }
  }
}

/** A difference as text, with the line that shows it again. */
function tell(script: Script, difference: Difference, flags = ""): string {
  const { seed, dedupWindow, steps } = script;
  return [
    `script ${seed} differs; npm run differential -- --only ${seed}${flags}`,
    ...(dedupWindow === undefined ? [] : [`  dedup window of ${dedupWindow} units`]),
    ...steps.map(
      (step, index) => `  ${index === difference.step ? ">" : " "} ${JSON.stringify(step)}`,
    ),
    `  expected ${JSON.stringify(difference.expected)}`,
    `  actual   ${JSON.stringify(difference.actual)}`,
  ].join("\n");
}

/** One line about a difference that did not come again. */
function tellUnstable({ script, first }: Suspect): string {
  const told = first
    ? `${JSON.stringify(script.steps[first.step])} told ${JSON.stringify(first.actual)} instead of ${JSON.stringify(first.expected)}`
    : "always too late";
  return `script ${script.seed} is unstable: ${told}`;
}

function isUnexplained({ differences }: Comparison): boolean {
  return differences.some(({ rule }) => rule === undefined);
}

async function inParallel<T>(
  items: readonly T[],
  concurrency: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) await work(items[next++] as T);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, lane));
}
