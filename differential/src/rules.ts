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

export const RULES: readonly Rule[] = [];

/** The id of the rule that explains a difference on a server. */
export function explain(
  version: string,
  step: Step,
  outcomes: { readonly expected: Outcome; readonly actual: Outcome },
): string | undefined {
  const { expected, actual } = outcomes;
  return RULES.find((rule) => rule.appliesTo(version) && rule.explains(step, expected, actual))?.id;
}
