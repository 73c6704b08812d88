import { perform } from "./actions/perform.ts";
import { endsScript } from "./rules.ts";
import { isSame, type Outcome, type TraceEntry } from "./outcome.ts";
import { Run, type RunOptions, TooLate } from "./run.ts";
import { Ticks } from "./guards.ts";
import type { Step } from "./script.ts";

/** The id of a rule that explains a difference, or `undefined`. */
export type Judge = (step: Step, expected: Outcome, actual: Outcome) => string | undefined;

/** A step that told something else than the reference. */
export interface Difference {
  /** The index of the step. */
  readonly step: number;
  /** The rule that explains it. */
  readonly rule?: string;
  readonly expected: Outcome;
  readonly actual: Outcome;
}

/** What came of a run beside a reference. */
export interface Comparison {
  /** Up to the first one that no rule explains, or that makes the rest say nothing. */
  readonly differences: readonly Difference[];
  /** How many steps were run. */
  readonly steps: number;
}

/** Longest that a step may take: it would hang otherwise. */
const HANG_MS = 20_000;

/** Runs a script for its own sake. */
export async function trace(options: RunOptions): Promise<TraceEntry[]> {
  const run = new Run(options);
  const ticks = new Ticks();
  const entries: TraceEntry[] = [];
  await run.start();
  for (const step of options.script.steps) {
    const tick = ticks.place(step);
    await run.moveTo(tick);
    entries.push({ tick, outcome: await perform(run, step) });
  }
  return entries;
}

/**
 * Runs a script in the ticks of a reference, and compares step by step.
 * @throws TooLate if the machine was too slow to say anything
 */
export async function compare(
  options: RunOptions,
  reference: readonly TraceEntry[],
  judge: Judge,
): Promise<Comparison> {
  const run = new Run(options);
  const differences: Difference[] = [];
  await run.start();
  for (const [index, step] of options.script.steps.entries()) {
    const { tick, outcome: expected } = reference[index] as TraceEntry;
    run.step = index;
    await run.moveTo(tick);
    run.checkTime();
    run.expected = expected;
    run.isExplained = (outcome) => {
      const rule = judge(step, expected, outcome);
      return rule !== undefined && !endsScript(rule);
    };
    const actual = await notForEver(run, perform(run, step));
    if (step.op !== "restartServer") run.checkTime();
    if (isSame(actual, expected)) continue;
    const rule = judge(step, expected, actual);
    differences.push({ step: index, ...(rule !== undefined && { rule }), expected, actual });
    if (rule === undefined || endsScript(rule)) {
      return { differences, steps: index + 1 };
    }
  }
  return { differences, steps: options.script.steps.length };
}

async function notForEver(run: Run, work: Promise<Outcome>): Promise<Outcome> {
  let cancel = (): void => undefined;
  const hung = new Promise<never>((_resolve, reject) => {
    const error = new TooLate(`a step did not end within ${HANG_MS} ms`);
    const timer = run.world.clock.setTimer(() => reject(error), HANG_MS, { keepAlive: false });
    cancel = () => timer.cancel();
  });
  try {
    return await Promise.race([work, hung]);
  } finally {
    cancel();
  }
}
