import { type Exploration, explore, type ExploreOptions } from "./explore.ts";
import { formatFailure } from "./failure-text.ts";
import type { Played, ScenarioDefinition } from "./scenario.ts";
import { shrink, type ShrinkOptions } from "./shrink.ts";

/** What {@link testScenario} may be told. */
export interface TestScenarioOptions extends Omit<ExploreOptions, "maxFailures"> {
  /** How far a failure is shrunk; `false` not at all. */
  readonly shrink?: false | ShrinkOptions;
}

/** A scenario that failed in {@link testScenario}. Its message has everything that is known. */
export class ScenarioError extends Error {
  override readonly name = "ScenarioError";
  // Not a plain field: test runners print those, and it is long.
  readonly #run: Played<unknown>;

  constructor(run: Played<unknown>, message: string) {
    super(message);
    this.#run = run;
  }

  /** The smallest run that fails. */
  get run(): Played<unknown> {
    return this.#run;
  }
}

/**
 * For tests: plays many seeds of a scenario, and throws for the first one that fails.
 * @returns what the seeds came to
 * @throws ScenarioError with the shrunk script, the faults that matter and a timeline
 */
export async function testScenario<Step, State>(
  scenario: ScenarioDefinition<Step, State>,
  options: TestScenarioOptions = {},
): Promise<Exploration<Step>> {
  const { shrink: shrinkOptions, ...rest } = options;
  const exploration = await explore(scenario, rest);
  const [failure] = exploration.failures;
  if (failure === undefined) return exploration;
  const canShrink = shrinkOptions !== false && failure.finding?.by !== "determinism";
  const shrunk = canShrink ? await shrink(scenario, failure, shrinkOptions) : undefined;
  const again = `again: testScenario(…, { from: ${failure.seed}, seeds: 1 })`;
  throw new ScenarioError(shrunk ?? failure, `${formatFailure(failure, shrunk)}\n${again}`);
}
