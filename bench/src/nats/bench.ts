import { environmentFacts } from "../environment.ts";
import type { Profiler } from "../profile.ts";
import type { Report, Row } from "../report.ts";
import type { NatsServerBinary } from "@busbar/scripts";
import { type ComparisonRow, compareRow } from "./comparison-row.ts";
import { idleRows } from "./idle.ts";
import { jobRows } from "./jobs.ts";
import { kvRows } from "./kv.ts";
import { pickUpRows } from "./pick-up.ts";
import { publishRows } from "./publish.ts";
import { requestRows } from "./request.ts";
import { type NatsSetup, openNatsSetup } from "./setup.ts";
import { subscribeRows } from "./subscribe.ts";

/** What the NATS bench may be told. */
export interface NatsBenchOptions {
  readonly binary: NatsServerBinary;
  readonly rounds: number;
  /** Only rows whose name contains this. */
  readonly only?: string | undefined;
  readonly profiler?: Profiler | undefined;
  /** Told what is going on. */
  readonly progress: (line: string) => void;
}

const COMPARISONS: readonly ComparisonRow[] = [
  ...publishRows,
  ...requestRows,
  ...kvRows,
  ...jobRows,
  ...subscribeRows,
];

/** Rows that measure something else than a rate, by what they are about. */
const OTHERS: Readonly<Record<string, (setup: NatsSetup, rounds: number) => Promise<Row[]>>> = {
  "waiting subscriber, waiting claim": pickUpRows,
  "idle cost": idleRows,
};

/** Runs the bench on a server of its own. */
export async function natsBench(options: NatsBenchOptions): Promise<Report> {
  const { binary, rounds, only = "" } = options;
  const wanted = (name: string): boolean => name.includes(only);
  const rows: Row[] = [];
  await using setup = await openNatsSetup(binary);
  for (const row of COMPARISONS.filter(({ name }) => wanted(name))) {
    options.progress(row.name);
    rows.push(await compareRow(row, setup, options));
    if (options.profiler) options.progress(options.profiler.summary(24));
  }
  for (const [name, run] of Object.entries(OTHERS)) {
    if (!wanted(name)) continue;
    options.progress(name);
    rows.push(...(await run(setup, rounds)));
  }
  const server = `nats-server ${setup.server.version}`;
  return { suite: "bench nats", environment: environmentFacts(server, rounds), rows };
}
