import { seededRandom } from "@busbar/core";
import { type Draw, hashText } from "./draws.ts";
import { isFault, isSpell } from "./fault-plan.ts";
import { type Played, playScenario, type ScenarioDefinition } from "./scenario.ts";

/** A run that might fail. */
export interface Candidate<Step> {
  readonly seed: number;
  readonly steps: readonly Step[];
  /** `undefined`: random faults. */
  readonly plan: readonly Draw[] | undefined;
}

/** No script of so many steps is looked for a shorter one of. */
export const SHORT = 8;
const SIZES = [2, 4, SHORT];
const RANDOM_RUNS = 60;
const WINDOWS = 4;
const MOST_FAULTS = 8;
const MOST_PLACES = 24;

/** A few neighbouring steps of a script under other random faults. */
export function* randomShortRuns<Step>(failure: Played<Step>): Generator<Candidate<Step>> {
  for (const size of SIZES) {
    for (let index = 0; index < RANDOM_RUNS; index += 1) {
      const seed = hashText(`short/${size}/${index}`, failure.seed);
      yield { seed, steps: windowOf(failure.steps, size, seed), plan: undefined };
    }
  }
}

/** A few neighbouring steps of a script, with each kind of fault that `best` has, alone, at every place. */
export async function* singleFaultRuns<Step, State>(
  scenario: ScenarioDefinition<Step, State>,
  failure: Played<Step>,
  best: Played<Step>,
): AsyncGenerator<Candidate<Step>> {
  const draws = best.plan.filter(isFault);
  // What breaks most comes first.
  draws.sort((one, other) => Number(isSpell(other.label)) - Number(isSpell(one.label)));
  const faults = new Map(draws.map((draw) => [draw.label, draw]));
  const { seed } = best;
  for (const size of [1, ...SIZES]) {
    for (let index = 0; index < WINDOWS; index += 1) {
      const steps = windowOf(failure.steps, size, hashText(`window/${size}/${index}`, seed));
      const { trace } = await playScenario(scenario, { seed, steps, plan: [], trace: true });
      for (const [label, { value }] of [...faults].slice(0, MOST_FAULTS)) {
        if (!isSpell(label)) {
          for (let place = 0; place < MOST_PLACES; place += 1) {
            yield { seed, steps, plan: [{ label, index: place, value }] };
          }
          continue;
        }
        const lasts = best.plan.find((draw) => draw.label === `${label}/for`);
        for (const afterMs of momentsOf(trace, label)) {
          yield { seed, steps, plan: spellAt(label, afterMs, lasts?.value) };
        }
      }
    }
  }
}

/** The plan of one spell. */
export function spellAt(label: string, afterMs: number, forMs: number | undefined): Draw[] {
  return [
    { label: `${label}/after`, index: 0, value: afterMs },
    { label, index: 0, value: 1 },
    ...(forMs === undefined ? [] : [{ label: `${label}/for`, index: 0, value: forMs }]),
  ];
}

function windowOf<Step>(steps: readonly Step[], size: number, seed: number): readonly Step[] {
  const start = Math.floor(seededRandom(seed).next() * Math.max(1, steps.length - size + 1));
  return steps.slice(start, start + size);
}

/** Just after everything that a process did or got. */
function momentsOf(trace: Played<never>["trace"], label: string): number[] {
  const process = label.slice(0, label.lastIndexOf("/"));
  const own = trace.filter((event) => process === "server" || event.process === process);
  const times = [...new Set(own.map(({ atMs }) => Math.round(atMs * 10) / 10 + 0.1))];
  return times.slice(0, MOST_PLACES);
}
