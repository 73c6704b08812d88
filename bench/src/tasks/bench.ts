import { environmentFacts } from "../environment.ts";
import type { NatsBenchOptions } from "../nats/bench.ts";
import { compareRow } from "../nats/comparison-row.ts";
import { openNatsSetup } from "../nats/setup.ts";
import type { Report, Row } from "../report.ts";
import { memoryFlows, memoryRow } from "./memory-rates.ts";
import { pickUpRows } from "./pick-up.ts";
import { pipelineRows } from "./pipeline.ts";

const PICK_UP = "idle pick-up";

/** How many tasks a second, beside the messages of the raw client; and how soon an idle pool has one. */
export async function tasksBench(options: NatsBenchOptions): Promise<Report> {
  const { binary, rounds, only = "", profiler, progress } = options;
  const rows: Row[] = [];
  await using setup = await openNatsSetup(binary);
  for (const row of pipelineRows.filter(({ name }) => name.includes(only))) {
    progress(row.name);
    rows.push(await compareRow(row, setup, { rounds, profiler }));
    if (profiler) progress(profiler.summary(40));
  }
  if (PICK_UP.includes(only)) {
    progress(PICK_UP);
    rows.push(...(await pickUpRows(setup, rounds)));
  }
  for (const flow of memoryFlows.filter(({ name }) => name.includes(only))) {
    progress(flow.name);
    rows.push(await memoryRow(flow, rounds));
  }
  const server = `nats-server ${setup.server.version}`;
  return { suite: "bench tasks", environment: environmentFacts(server, rounds), rows };
}
