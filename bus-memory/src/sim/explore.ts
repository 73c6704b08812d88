import { systemClock, systemRandom } from "@busbar/core";
import { checkInteger } from "@busbar/core/adapter";
import { type Played, playScenario, type ScenarioDefinition } from "./scenario.ts";

/** What {@link explore} may be told. */
export interface ExploreOptions {
  /** How many seeds. 1 or more. @defaultValue 100 */
  readonly seeds?: number | undefined;
  /** The first one, or `random` for fresh ones each time. @defaultValue 1 */
  readonly from?: number | "random" | undefined;
  /** After how many failures it ends. @defaultValue 1 */
  readonly maxFailures?: number | undefined;
  /** Plays each seed twice and compares. @defaultValue false */
  readonly twice?: boolean | undefined;
}

/** What the seeds of a scenario came to. */
export interface Exploration<Step> {
  readonly scenario: string;
  /** The first seed. */
  readonly from: number;
  /** How many seeds were played. */
  readonly seeds: number;
  /** By seed. */
  readonly failures: readonly Played<Step>[];
  /** Operations that the processes of all seeds began. */
  readonly calls: number;
  /** What reached them. */
  readonly deliveries: number;
  /** Virtual time that passed, in milliseconds. */
  readonly virtualMs: number;
  /** Faults that happened, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** In how many seeds each rare state was reached; 0 for those that never were. */
  readonly reached: Readonly<Record<string, number>>;
  /** Real time that it took, in milliseconds. */
  readonly realMs: number;
}

const MAX_SEED = 0xffff_ffff;

/** {@link ExploreOptions} with everything filled in. @throws RangeError */
export function resolveExploreOptions(options: ExploreOptions = {}): {
  readonly seeds: number;
  readonly from: number;
  readonly maxFailures: number;
  readonly twice: boolean;
} {
  const { seeds = 100, from: first = 1, maxFailures = 1, twice = false } = options;
  checkInteger("seeds", seeds, 1, MAX_SEED);
  const from = first === "random" ? Math.floor(systemRandom.next() * (MAX_SEED - seeds)) : first;
  checkInteger("from", from, 0, MAX_SEED - seeds + 1);
  checkInteger("maxFailures", maxFailures, 1, MAX_SEED);
  return { seeds, from, maxFailures, twice };
}

/** Plays many seeds of a scenario, one after the other. What fails is in the result. */
export async function explore<Step, State>(
  scenario: ScenarioDefinition<Step, State>,
  options: ExploreOptions = {},
): Promise<Exploration<Step>> {
  const { seeds, from, maxFailures, twice } = resolveExploreOptions(options);
  const tally = new Tally<Step>(scenario, from);
  for (let seed = from; seed < from + seeds && tally.failed < maxFailures; seed += 1) {
    tally.add(await playScenario(scenario, { seed, twice }));
  }
  return tally.result();
}

/** Adds up what seeds come to. */
export class Tally<Step> {
  readonly #scenario: string;
  readonly #from: number;
  readonly #startedAt: number = systemClock.monotonic();
  readonly #failures: Played<Step>[] = [];
  readonly #faults: Record<string, number> = {};
  readonly #reached: Record<string, number> = {};
  #seeds = 0;
  #calls = 0;
  #deliveries = 0;
  #virtualMs = 0;

  constructor(
    { name, reaches = [] }: Pick<ScenarioDefinition<never>, "name" | "reaches">,
    from: number,
  ) {
    this.#scenario = name;
    this.#from = from;
    for (const state of reaches) this.#reached[state] = 0;
  }

  /** How many seeds failed. */
  get failed(): number {
    return this.#failures.length;
  }

  /** One seed more. */
  add(played: Played<Step>): void {
    const { finding, reached, counts } = played;
    this.#seeds += 1;
    if (finding) this.#failures.push(played);
    for (const state of Object.keys(reached)) count(this.#reached, state, 1);
    this.#calls += counts?.calls ?? 0;
    this.#deliveries += counts?.deliveries ?? 0;
    this.#virtualMs += counts?.virtualMs ?? 0;
    for (const [kind, times] of Object.entries(counts?.faults ?? {})) {
      count(this.#faults, kind, times);
    }
  }

  /** What some seeds came to that were played elsewhere. */
  merge(other: Exploration<Step>): void {
    this.#seeds += other.seeds;
    this.#failures.push(...other.failures);
    this.#calls += other.calls;
    this.#deliveries += other.deliveries;
    this.#virtualMs += other.virtualMs;
    for (const [kind, times] of Object.entries(other.faults)) count(this.#faults, kind, times);
    for (const [state, times] of Object.entries(other.reached)) count(this.#reached, state, times);
  }

  result(): Exploration<Step> {
    return {
      scenario: this.#scenario,
      from: this.#from,
      seeds: this.#seeds,
      failures: this.#failures.toSorted((one, other) => one.seed - other.seed),
      calls: this.#calls,
      deliveries: this.#deliveries,
      virtualMs: this.#virtualMs,
      faults: { ...this.#faults },
      reached: { ...this.#reached },
      realMs: systemClock.monotonic() - this.#startedAt,
    };
  }
}

function count(counts: Record<string, number>, name: string, times: number): void {
  counts[name] = (counts[name] ?? 0) + times;
}
