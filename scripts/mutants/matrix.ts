import type { Verdict } from "../../conformance-tests/test/mutants/kill.ts";
import type { Mutant } from "../../conformance-tests/test/mutants/mutant.ts";

/** How many killers stand in a line. */
const SHOWN = 4;

/** What a run of all mutants found. */
export interface KillMatrix {
  readonly seed: number;
  readonly mutants: readonly {
    readonly id: string;
    readonly title: string;
    /** All cases that failed on it. */
    readonly killedBy: readonly string[];
  }[];
}

/** The matrix as plain data. */
export function matrixOf(
  mutants: readonly Mutant[],
  verdicts: readonly Verdict[],
  seed: number,
): KillMatrix {
  const byId = new Map(verdicts.map((verdict) => [verdict.id, verdict]));
  const rows = mutants.map(({ id, title }) => {
    return { id, title, killedBy: byId.get(id)?.kills.map((kill) => kill.id) ?? [] };
  });
  return { seed, mutants: rows };
}

/** The matrix as a table: how many cases kill a mutant, the declared ones first. */
export function formatMatrix(matrix: KillMatrix, mutants: readonly Mutant[]): string {
  const width = Math.max(...matrix.mutants.map(({ id }) => id.length));
  const lines = matrix.mutants.map(({ id, title, killedBy }) => {
    const declared = mutants.find((mutant) => mutant.id === id)?.killedBy ?? [];
    const named = declared.filter((killer) => killedBy.includes(killer));
    const others = killedBy.filter((killer) => !named.includes(killer));
    const shown = [...named, ...others].slice(0, SHOWN).join(" ");
    const more = killedBy.length > SHOWN ? ` and ${killedBy.length - SHOWN} more` : "";
    const killers = killedBy.length > 0 ? shown + more : "SURVIVES";
    return `${id.padEnd(width)}  ${String(killedBy.length).padStart(3)}  ${title}\n${" ".repeat(width + 7)}${killers}`;
  });
  return lines.join("\n");
}
