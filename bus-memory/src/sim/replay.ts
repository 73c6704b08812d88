import { z } from "zod";
import type { Draw } from "./draws.ts";
import type { Played } from "./scenario.ts";

/** A run of a scenario as a file: with it the run happens again. */
export interface Replay<Step = unknown> {
  readonly version: 1;
  /** Name of the scenario. */
  readonly scenario: string;
  readonly seed: number;
  /** What it found, for people. */
  readonly finding?: { readonly by: string; readonly what: string } | undefined;
  /** How long everything goes on after the last step, in milliseconds. */
  readonly lingerMs: number;
  readonly steps: readonly Step[];
  readonly plan: readonly Draw[];
}

const replaySchema = z.object({
  version: z.literal(1),
  scenario: z.string(),
  seed: z.int().min(0).max(0xffff_ffff),
  finding: z.object({ by: z.string(), what: z.string() }).optional(),
  lingerMs: z.number().min(0),
  steps: z.array(z.unknown()),
  plan: z.array(z.object({ label: z.string(), index: z.int().min(0), value: z.number() })),
});

/** The text of a replay file: one line for each step and each draw. */
export function formatReplay(played: Played<unknown>): string {
  const { scenario, seed, lingerMs, steps, plan } = played;
  const finding = played.finding && { by: played.finding.by, what: played.finding.what };
  const facts = { version: 1, scenario, seed, finding, lingerMs };
  const head = JSON.stringify(facts, undefined, 2).slice(0, -2);
  return `${head},\n  "steps": ${lines(steps)},\n  "plan": ${lines(plan)}\n}\n`;
}

/** Reads a replay file. @throws RangeError which says what is wrong with it */
export function parseReplay(text: string): Replay {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RangeError(`a replay file is JSON: ${String(cause)}`, { cause });
  }
  const parsed = replaySchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new RangeError(`no replay file:\n${z.prettifyError(parsed.error)}`);
}

function lines(items: readonly unknown[]): string {
  if (items.length === 0) return "[]";
  return `[\n${items.map((item) => `    ${JSON.stringify(item)}`).join(",\n")}\n  ]`;
}
