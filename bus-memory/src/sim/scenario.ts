import { type Random, seededRandom } from "@busbar/core";
import type { Checker } from "./checker.ts";
import { type Draw, hashText } from "./draws.ts";
import type { FaultOptions } from "./faults.ts";
import type { RunCounts } from "./recorder.ts";
import { simulate } from "./simulate.ts";
import { SimulationError } from "./simulation-error.ts";
import type { TraceEvent } from "./trace.ts";
import type { World } from "./world.ts";

/**
 * A simulation as data and code: a seed gives a script, a list of steps that are plain data, and
 * code plays them. So a run is (seed, steps, plan), which can be written down, replayed and shrunk.
 */
export interface ScenarioDefinition<Step, State = void> {
  /** Named in reports and in the names of replay files: letters, digits, `-`. */
  readonly name: string;
  /** The steps of a run: data that survives JSON. Everything random in it comes from `random`. */
  script(random: Random): readonly Step[];
  /** Before the first step: starts the processes. What it returns goes to `step` and `check`. */
  setUp(world: World): State | Promise<State>;
  /** Plays one step. What it throws is a failure, so it handles what faults may cause. */
  step(world: World, step: Step, state: State): void | Promise<void>;
  /** Looks at the end, when everything is healed and at rest. @returns everything that is wrong */
  check?(world: World, state: State): readonly string[] | Promise<readonly string[]>;
  /** As in `SimulateOptions`. */
  readonly faults?: FaultOptions;
  /** As in `SimulateOptions`. */
  readonly checkers?: () => readonly Checker[];
  /**
   * How long everything goes on after the last step, faults too, in milliseconds.
   * @defaultValue 5_000
   */
  readonly lingerMs?: number;
  /**
   * How long everything goes on after healing before it is asked whether it is at rest, in
   * milliseconds: what timed out must have had time to be tried again. @defaultValue 10_000
   */
  readonly healingMs?: number;
  /** As in `SimulateOptions`. */
  readonly drain?: false | ((world: World) => boolean | Promise<boolean>);
  /** As in `SimulateOptions`. */
  readonly drainWithinMs?: number;
  /** As in `SimulateOptions`. */
  readonly maxMs?: number;
  /** As in `SimulateOptions`. */
  readonly graceMs?: number;
  /** As in `SimulateOptions`. */
  readonly unsyncedMs?: number;
  /** Rare states that seeds should reach: the code says so with `note("reached: NAME")`. */
  readonly reaches?: readonly string[];
}

/** Which run of a scenario. */
export interface PlayOptions<Step> {
  /** From 0 to 4_294_967_295. */
  readonly seed: number;
  /** Instead of the script of the seed. */
  readonly steps?: readonly Step[] | undefined;
  /** Instead of random faults and delays. */
  readonly plan?: readonly Draw[] | undefined;
  /** Instead of what the scenario says. */
  readonly lingerMs?: number | undefined;
  /** Keeps what happened. @defaultValue false */
  readonly trace?: boolean;
  /** Plays it twice and compares. @defaultValue false */
  readonly twice?: boolean;
}

/** What a run that failed is known by. */
export interface Finding {
  /** Who found it: as in `FailedRun`, or `check`. */
  readonly by: string;
  /** What is wrong. */
  readonly what: string;
  /** Where it was thrown, if it was. */
  readonly at?: string | undefined;
}

/** How a run went. */
export interface Played<Step> {
  readonly scenario: string;
  readonly seed: number;
  readonly steps: readonly Step[];
  /** How long everything went on after the last step. */
  readonly lingerMs: number;
  /** The faults and delays that happened. */
  readonly plan: readonly Draw[];
  /** Empty unless it was asked for. */
  readonly trace: readonly TraceEvent[];
  /** What is wrong; `undefined` if the run passed. */
  readonly finding: Finding | undefined;
  /** How often each rare state was reached. */
  readonly reached: Readonly<Record<string, number>>;
  /** Of a run that passed. */
  readonly counts: (RunCounts & { readonly virtualMs: number; readonly hash: number }) | undefined;
}

const MOST_FRAMES = 5;
const REACHED = "reached: ";
const NAME = /^[A-Za-z0-9][A-Za-z0-9-]*$/;

/** Defines a scenario. @throws RangeError if its name is none */
export function defineScenario<Step, State>(
  definition: ScenarioDefinition<Step, State>,
): ScenarioDefinition<Step, State> {
  if (NAME.test(definition.name)) return definition;
  throw new RangeError(
    `name of a scenario: letters, digits and "-", got ${JSON.stringify(definition.name)}`,
  );
}

/** The script of a seed. */
export function scriptOf<Step, State>(
  scenario: ScenarioDefinition<Step, State>,
  seed: number,
): readonly Step[] {
  const steps = scenario.script(seededRandom(hashText("script", seed)));
  // As a replay file would hold it: a step that JSON changes shows at once, not on replay.
  return JSON.parse(JSON.stringify(steps)) as Step[];
}

/** Plays one run of a scenario. What is wrong is in the result; it throws for wrong options only. */
export async function playScenario<Step, State>(
  scenario: ScenarioDefinition<Step, State>,
  options: PlayOptions<Step>,
): Promise<Played<Step>> {
  const { seed, plan, trace = false, twice = false } = options;
  const { faults, drainWithinMs, maxMs, graceMs, unsyncedMs } = scenario;
  const steps = options.steps ?? scriptOf(scenario, seed);
  const lingerMs = options.lingerMs ?? scenario.lingerMs ?? 5_000;
  const script = { steps, lingerMs };
  let stage = new Stage(scenario, script);
  const common = { scenario: scenario.name, seed, ...script };
  try {
    const report = await simulate(
      {
        seed,
        trace,
        twice,
        checkers: () => {
          stage = new Stage(scenario, script);
          return stage.checkers;
        },
        ...(plan && { plan }),
        ...(faults && { faults }),
        drain: scenario.drain ?? (faults !== undefined && ((world) => stage.isAtRest(world))),
        ...(drainWithinMs !== undefined && { drainWithinMs }),
        ...(maxMs !== undefined && { maxMs }),
        ...(unsyncedMs !== undefined && { unsyncedMs }),
        ...(graceMs !== undefined && { graceMs }),
      },
      (world) => stage.play(world),
    );
    const { reached } = stage;
    return {
      ...common,
      plan: report.plan,
      trace: report.trace,
      finding: undefined,
      reached,
      counts: report,
    };
  } catch (error) {
    if (!(error instanceof SimulationError)) throw error;
    const what = error.message.slice(`seed ${seed}: ${error.by}: `.length);
    return {
      ...common,
      plan: error.plan,
      trace: error.trace,
      finding: { by: error.by, what, at: placeOf(error.cause) },
      reached: stage.reached,
      counts: undefined,
    };
  }
}

/** The lines of the user's code in a stack. A process that throws has its own error inside. */
function placeOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  if (cause.cause instanceof Error) return placeOf(cause.cause);
  const frames = cause.stack?.split("\n").filter((line) => /^\s+at .*(?:file:|\/)/.test(line));
  return frames?.slice(0, MOST_FRAMES).join("\n");
}

/** One run of a scenario: its world, its state, and what it reaches. */
class Stage<Step, State> {
  readonly reached: Record<string, number> = {};
  readonly #scenario: ScenarioDefinition<Step, State>;
  readonly #script: Pick<Played<Step>, "steps" | "lingerMs">;
  #isHealed = false;
  #end: (() => readonly string[] | Promise<readonly string[]>) | undefined;

  constructor(
    scenario: ScenarioDefinition<Step, State>,
    script: Pick<Played<Step>, "steps" | "lingerMs">,
  ) {
    this.#scenario = scenario;
    this.#script = script;
  }

  get checkers(): readonly Checker[] {
    return [
      ...(this.#scenario.checkers?.() ?? []),
      { name: "reached", event: (event) => this.#notice(event) },
      { name: "check", event: () => undefined, finish: () => this.#end?.() ?? [] },
    ];
  }

  async play(world: World): Promise<void> {
    const scenario = this.#scenario;
    const state = await scenario.setUp(world);
    this.#end = () => scenario.check?.(world, state) ?? [];
    for (const [index, step] of this.#script.steps.entries()) {
      world.note(`step ${index + 1}`, { step });
      await scenario.step(world, step, state);
    }
    await world.sleep(this.#script.lingerMs);
  }

  /** Whether everything is at rest, once it had its time to heal. */
  async isAtRest(world: World): Promise<boolean> {
    if (!this.#isHealed) await world.sleep(this.#scenario.healingMs ?? 10_000);
    this.#isHealed = true;
    return world.isAtRest();
  }

  #notice({ type, op }: TraceEvent): undefined {
    if (type !== "note" || !op.startsWith(REACHED)) return;
    const name = op.slice(REACHED.length);
    this.reached[name] = (this.reached[name] ?? 0) + 1;
  }
}
