import { compare, type CompareOptions, type Sides } from "../measure.ts";
import type { Row, Target } from "../report.ts";
import type { NatsSetup } from "./setup.ts";

/** A row whose sides do the same work on the same server. */
export interface ComparisonRow {
  readonly name: string;
  readonly target?: Target;
  readonly note?: string;
  /** How many slices of each side make a round. @defaultValue 4 */
  readonly slices?: number;
  /** Makes what the sides work on. `close` ends what was started for this row. */
  open(setup: NatsSetup): Promise<Sides & { close?(): Promise<void> }>;
}

/** As fast as the raw client, give or take what a shared machine does. */
export const AS_FAST: Target = { of: "ratio", bound: "atLeast", value: 0.95 };

/** Clearly faster than the raw client. */
export const FASTER: Target = { of: "ratio", bound: "atLeast", value: 1.5 };

/** Length of a timed slice, in milliseconds: four of them make a round of one side. */
export const SLICE_MS = 200;

const SLICES = 4;

/** Measures a row. */
export async function compareRow(
  row: ComparisonRow,
  setup: NatsSetup,
  { rounds, profiler }: Pick<CompareOptions, "rounds" | "profiler">,
): Promise<Row> {
  const sides = await row.open(setup);
  profiler?.row(row.name);
  try {
    const slices = row.slices ?? SLICES;
    const result = await compare(sides, { rounds, slices, profiler });
    return { name: row.name, unit: "per second", ...result, target: row.target, note: row.note };
  } finally {
    await sides.close?.();
  }
}
