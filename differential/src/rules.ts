import type { Outcome } from "./outcome.ts";
import type { Step } from "./script.ts";

/** A difference that is known, and where it is allowed. */
export interface Rule {
  readonly id: string;
  /** Which servers. */
  readonly servers: string;
  readonly what: string;
  readonly why: string;
  /** The part of docs/contracts.md that leaves it open. */
  readonly contract: string;
  /** Whether it applies to this server. */
  appliesTo(version: string): boolean;
  /** Whether it explains the difference at a step. */
  explains(step: Step, expected: Outcome, actual: Outcome): boolean;
}

/** A claim that waits asks again after a second at the latest: 2.5 ticks, one more by rounding. */
const MAX_EARLY_TICKS = 3;

export const RULES: readonly Rule[] = [
  {
    id: "lease-of-waiting-claim",
    servers: "all",
    what: "A claim that waited for its job tells an end of the lease that is up to one second early.",
    why: "Of a lease of the default length the adapter knows only when it asked, and saves the question when it began.",
    contract: "Leases of jobs",
    appliesTo: () => true,
    explains: (step, expected, actual) =>
      (step.op === "join" || step.op === "claim") && isEarlier(expected, actual),
  },
];

/** The id of the rule that explains a difference on a server. */
export function explain(
  version: string,
  step: Step,
  outcomes: { readonly expected: Outcome; readonly actual: Outcome },
): string | undefined {
  const { expected, actual } = outcomes;
  return RULES.find((rule) => rule.appliesTo(version) && rule.explains(step, expected, actual))?.id;
}

/** Whether two lists of claims differ only in ends that are a little earlier. */
function isEarlier(expected: Outcome, actual: Outcome): boolean {
  if (!Array.isArray(expected) || !Array.isArray(actual)) return false;
  const [ends, otherEnds] = [expected, actual].map((jobs) =>
    (jobs as { readonly until: number }[]).map(({ until }) => until),
  ) as [number[], number[]];
  const [rest, otherRest] = [expected, actual].map((jobs) =>
    JSON.stringify(jobs, (name, value: unknown) => (name === "until" ? undefined : value)),
  );
  return (
    rest === otherRest &&
    ends.every((end, index) => {
      const early = end - (otherEnds[index] as number);
      return early >= 0 && early <= MAX_EARLY_TICKS;
    })
  );
}
