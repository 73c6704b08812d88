import { createHash } from "node:crypto";
import { systemClock } from "@busbar/core";
import { ddmin } from "./ddmin.ts";
import type { Draw } from "./draws.ts";
import { isFault, isSpell, kindOf, SCHEDULE } from "./fault-plan.ts";
import { type Finding, type Played, playScenario, type ScenarioDefinition } from "./scenario.ts";
import { randomShortRuns, SHORT, singleFaultRuns, spellAt } from "./short-runs.ts";
import { smallerSteps } from "./smaller-steps.ts";

/** How far {@link shrink} goes. */
export interface ShrinkOptions {
  /** Most runs. @defaultValue 2_000 */
  readonly maxRuns?: number;
  /**
   * Most real time, in milliseconds. Two shrinks of one failure give the same result unless this
   * ends them. @defaultValue 30_000
   */
  readonly maxMs?: number;
}

/** A failure and the smallest run that fails in the same way. */
export interface Shrunk<Step> extends Played<Step> {
  readonly finding: Finding;
  /** How many steps and draws there were before. */
  readonly from: { readonly steps: number; readonly plan: number };
  /** How many runs it took. */
  readonly runs: number;
  /** Whether it was ended before nothing smaller failed. */
  readonly isCutShort: boolean;
}

/**
 * Looks for the smallest run that fails in the same way: found by the same checker; where code threw,
 * with the same text but for numbers. First the script gets shorter, then the faults fewer and
 * earlier, then the delays shorter and rounder, again and again until nothing changes.
 *
 * @throws RangeError if the run passes, or does not fail in the same way when it is replayed
 */
export async function shrink<Step, State>(
  scenario: ScenarioDefinition<Step, State>,
  failure: Played<Step>,
  options: ShrinkOptions = {},
): Promise<Shrunk<Step>> {
  const { finding } = failure;
  if (finding === undefined) throw new RangeError(`seed ${failure.seed} did not fail`);
  const shrinker = new Shrinker(scenario, { ...failure, finding }, options);
  if (!(await shrinker.tries(failure.steps, failure.plan))) {
    throw new RangeError(
      `seed ${failure.seed} does not fail again in the same way: run it with --twice, which names what differs`,
    );
  }
  await shrinker.settle();
  // What is left may be long only because it takes its time, or because faults and steps no longer
  // meet when one of them goes.
  if (await shrinker.lingers()) await shrinker.settle();
  if (await shrinker.findsShorter()) await shrinker.settle();
  await shrinker.calmSchedule();
  await shrinker.endSooner();
  await shrinker.simplifySteps();
  return shrinker.result();
}

const LONG_END_MS = 60_000;
const SOONER_MS = [1, 10, 100, 300, 1_000, 3_000];

type Failed<Step> = Played<Step> & { readonly finding: Finding };

class Shrinker<Step, State> {
  readonly #scenario: ScenarioDefinition<Step, State>;
  readonly #from: Failed<Step>;
  readonly #maxRuns: number;
  readonly #endAt: number;
  /** What was tried already and did not fail. */
  readonly #passed = new Set<string>();
  #best: Failed<Step>;
  #runs = 0;

  constructor(
    scenario: ScenarioDefinition<Step, State>,
    failure: Failed<Step>,
    { maxRuns = 2_000, maxMs = 30_000 }: ShrinkOptions,
  ) {
    this.#scenario = scenario;
    this.#from = failure;
    this.#best = failure;
    this.#maxRuns = maxRuns;
    this.#endAt = systemClock.monotonic() + maxMs;
  }

  /** Whether runs or time are used up. */
  get isOver(): boolean {
    return this.#runs >= this.#maxRuns || systemClock.monotonic() >= this.#endAt;
  }

  /** Changes with every step forward. */
  get #size(): string {
    return JSON.stringify([this.#best.steps, this.#best.plan]);
  }

  /** Lets the end be long, so that steps are not needed for the time that they take. */
  async lingers(): Promise<boolean> {
    const { steps, plan, lingerMs } = this.#best;
    if (steps.length <= SHORT || lingerMs >= LONG_END_MS) return false;
    return this.tries(steps, plan, { lingerMs: LONG_END_MS });
  }

  /** Takes that back as far as possible. */
  async endSooner(): Promise<void> {
    const { steps, plan, lingerMs } = this.#best;
    const shortest = this.#from.lingerMs;
    for (const ms of [shortest, shortest * 2, shortest * 4, shortest * 8]) {
      if (ms >= lingerMs || (await this.tries(steps, plan, { lingerMs: ms }))) return;
    }
  }

  /** Runs it; if it fails in the same way it is the best one so far. */
  async tries(
    steps: readonly Step[],
    plan: readonly Draw[] | undefined,
    other: { readonly seed?: number; readonly lingerMs?: number } = {},
  ): Promise<boolean> {
    const { seed = this.#best.seed, lingerMs = this.#best.lingerMs } = other;
    const run = { seed, lingerMs, steps, plan };
    const key = createHash("sha1").update(JSON.stringify(run)).digest("base64");
    if (this.isOver || this.#passed.has(key)) return false;
    this.#runs += 1;
    const { finding } = this.#from;
    const played = await playScenario(this.#scenario, run);
    if (played.finding === undefined || !isSame(played.finding, finding)) {
      this.#passed.add(key);
      return false;
    }
    // What the plan names and did not come to pass is left out: only what happened is in its plan.
    this.#best = { ...played, finding: played.finding };
    return true;
  }

  /** Shorter, with fewer and earlier faults, until that changes nothing. */
  async settle(): Promise<void> {
    for (let before = ""; before !== this.#size && !this.isOver; ) {
      before = this.#size;
      await this.#shortenScript();
      await this.#thinFaults();
    }
  }

  /** Plays a few steps of the script under other faults, if all else left it long. */
  async findsShorter(): Promise<boolean> {
    const best = this.#best;
    if (best.steps.length <= SHORT) return false;
    for (const { steps, plan, seed } of randomShortRuns(this.#from)) {
      if (steps.length >= best.steps.length) break;
      if (await this.tries(steps, plan, { seed })) return true;
    }
    for await (const { steps, plan, seed } of singleFaultRuns(this.#scenario, this.#from, best)) {
      if (this.isOver || steps.length >= best.steps.length) break;
      if (await this.tries(steps, plan, { seed })) return true;
    }
    return false;
  }

  async #shortenScript(): Promise<void> {
    await ddmin(this.#best.steps, (steps) => this.tries(steps, this.#best.plan));
  }

  async simplifySteps(): Promise<void> {
    for (const [index, step] of this.#best.steps.entries()) {
      for (const smaller of smallerSteps(step)) {
        const { steps, plan } = this.#best;
        if (await this.tries(steps.with(index, smaller), plan)) break;
      }
    }
  }

  async #thinFaults(): Promise<void> {
    const { steps } = this.#best;
    // Most failures need no delays, or only those of one kind: all the others go at once.
    if (!(await this.#triesWithout((draw) => !isFault(draw)))) {
      for (const kind of SCHEDULE) await this.#triesWithout((draw) => kindOf(draw.label) === kind);
    }
    const kept = this.#best.plan.filter((draw) => !isFault(draw));
    await ddmin(this.#best.plan.filter(isFault), (some) => this.tries(steps, [...some, ...kept]));
    for (const draw of this.#best.plan.filter(isFault)) {
      if (isSpell(draw.label)) await this.#beginSooner(draw);
      else await this.#bringForward(draw);
    }
  }

  async #triesWithout(leaves: (draw: Draw) => boolean): Promise<boolean> {
    const { steps, plan } = this.#best;
    const left = plan.filter((draw) => !leaves(draw));
    return left.length === plan.length || this.tries(steps, left);
  }

  /** A fault that hits something earlier needs fewer steps before it. */
  async #bringForward(draw: Draw): Promise<void> {
    const others = this.#best.plan.filter((other) => other !== draw);
    const { label, index, value } = draw;
    const taken = new Set(others.filter((other) => other.label === label).map((o) => o.index));
    for (const earlier of earlierThan(index)) {
      if (taken.has(earlier)) continue;
      if (await this.tries(this.#best.steps, [...others, { label, index: earlier, value }])) return;
    }
  }

  /** The same for what begins after a time: it may come sooner than at random. */
  async #beginSooner({ label, index }: Draw): Promise<void> {
    const { steps, plan } = this.#best;
    const begun = plan.filter((own) => own.label === label).findIndex((own) => own.index === index);
    const lasts = plan.find((own) => own.label === `${label}/for` && own.index === begun);
    const others = plan.filter((own) => own.label !== label && !own.label.startsWith(`${label}/`));
    const begins = plan.find((own) => own.label === `${label}/after` && own.index === 0);
    for (const afterMs of SOONER_MS) {
      if (index === 0 && begins !== undefined && begins.value <= afterMs) return;
      if (await this.tries(steps, [...others, ...spellAt(label, afterMs, lasts?.value)])) return;
    }
  }

  async calmSchedule(): Promise<void> {
    const { steps } = this.#best;
    const faults = this.#best.plan.filter(isFault);
    await ddmin(
      this.#best.plan.filter((draw) => !isFault(draw)),
      (some) => this.tries(steps, [...faults, ...some]),
    );
    for (const draw of this.#best.plan.filter((own) => !isFault(own))) {
      for (const value of rounder(draw.value)) {
        const plan = this.#best.plan.map((own) =>
          own.label === draw.label && own.index === draw.index ? { ...own, value } : own,
        );
        if (await this.tries(steps, plan)) break;
      }
    }
  }

  async result(): Promise<Shrunk<Step>> {
    const { seed, lingerMs, steps, plan } = this.#best;
    const run = { seed, lingerMs, steps, plan, trace: true };
    const traced = await playScenario(this.#scenario, run);
    return {
      ...this.#best,
      trace: traced.trace,
      from: { steps: this.#from.steps.length, plan: this.#from.plan.length },
      runs: this.#runs,
      isCutShort: this.isOver,
    };
  }
}

/** Whether two findings are of one failure. */
function isSame(one: Finding, other: Finding): boolean {
  if (one.by !== other.by) return false;
  const isThrown = one.by === "process" || one.by === "scenario";
  return !isThrown || withoutNumbers(one.what) === withoutNumbers(other.what);
}

function withoutNumbers(text: string): string {
  return text.replaceAll(/\d+/g, "#");
}

function earlierThan(index: number): number[] {
  const all = [0, 1, 2, index >> 2, index >> 1, index - (index >> 2), index - 2, index - 1];
  return [...new Set(all)].filter((earlier) => earlier >= 0 && earlier < index);
}

/** Numbers with fewer digits near a value, the roundest first. */
function rounder(value: number): number[] {
  const sizes = [10_000, 1_000, 100, 10, 1];
  return [...new Set(sizes.map((size) => Math.round(value / size) * size))].filter(
    (round) => round > 0 && round !== value,
  );
}
