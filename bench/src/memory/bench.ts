import { environmentFacts } from "../environment.ts";
import type { Report, Row } from "../report.ts";
import { conformanceRow } from "./conformance-run.ts";
import { flatnessRows } from "./flatness.ts";
import { rateRow, rateRows } from "./rates.ts";

/** What the memory bench may be told. */
export interface MemoryBenchOptions {
  readonly rounds: number;
  /** Only rows whose name contains this; all of a group count as one. */
  readonly only?: string | undefined;
  /** Told what is going on. */
  readonly progress: (line: string) => void;
}

/** Rows that are measured together, by what they are about. */
const GROUPS: Readonly<Record<string, (rounds: number) => Promise<Row[]>>> = {
  "cost by what is queued": flatnessRows,
  "conformance run": async () => [await conformanceRow()],
};

/** Runs the bench in this process. */
export async function memoryBench(options: MemoryBenchOptions): Promise<Report> {
  const { rounds, only = "", progress } = options;
  const rows: Row[] = [];
  for (const row of rateRows.filter(({ name }) => name.includes(only))) {
    progress(row.name);
    rows.push(await rateRow(row, rounds));
  }
  for (const [name, run] of Object.entries(GROUPS)) {
    if (!name.includes(only)) continue;
    progress(name);
    rows.push(...(await run(rounds)));
  }
  const server = "in this process";
  return { suite: "bench memory", environment: environmentFacts(server, rounds), rows };
}
