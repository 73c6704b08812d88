import { environmentFacts } from "../environment.ts";
import type { NatsBenchOptions } from "../nats/bench.ts";
import { openNatsSetup } from "../nats/setup.ts";
import type { Report, Row } from "../report.ts";
import { median, medianRatio } from "../statistics.ts";
import { natsStage, SEED, type Stage, virtualStage } from "./arena.ts";
import {
  NOISY_TASKS,
  QUIET_TASKS,
  QUIET_TENANTS,
  quietWaitMs,
  SLOTS,
  TASK_MS,
} from "./quiet-tenants.ts";
import { SHARED_TASKS, slotUseAlone, worstShareError } from "./shares.ts";

type Options = Pick<NatsBenchOptions, "binary" | "rounds" | "only" | "progress">;

/** Rows that are measured together, by what they are about. */
const GROUPS: Readonly<Record<string, (stage: Stage, rounds: number) => Promise<Row[]>>> = {
  "quiet tenants beside a noisy one": quietRows,
  "shares by weight": shareRows,
  "one tenant alone": aloneRows,
};

/** How the slots of a pool are shared between tenants: on memory in virtual time, and on NATS. */
export async function fairnessBench(options: Options): Promise<Report> {
  const { binary, rounds, only = "", progress } = options;
  await using setup = await openNatsSetup(binary);
  const stages: readonly (readonly [Stage, number])[] = [
    // What nothing disturbs comes out the same each time.
    [virtualStage, 1],
    [natsStage(setup), rounds],
  ];
  const rows: Row[] = [];
  for (const [stage, times] of stages) {
    for (const [about, measure] of Object.entries(GROUPS)) {
      const name = `${stage.name}, ${about}`;
      if (!name.includes(only)) continue;
      progress(name);
      rows.push(...(await measure(stage, times)));
    }
  }
  const server = `seed ${SEED} in virtual time, and nats-server ${setup.server.version}`;
  return { suite: "bench fairness", environment: environmentFacts(server, rounds), rows };
}

async function quietRows(stage: Stage, rounds: number): Promise<Row[]> {
  const alone: number[] = [];
  const beside: number[] = [];
  for (let round = 0; round < rounds; round++) {
    alone.push(await stage.play((arena) => quietWaitMs(arena, 0)));
    beside.push(await stage.play((arena) => quietWaitMs(arena, NOISY_TASKS)));
  }
  const name = `${stage.name}: p95 wait of ${QUIET_TENANTS} quiet tenants`;
  return [
    { name: `${name}, alone`, unit: "ms", busbar: median(alone) },
    { name: `${name}, beside a noisy one`, unit: "ms", busbar: median(beside) },
    {
      name: `${name}, beside a noisy one to alone`,
      unit: "times",
      busbar: medianRatio(beside, alone),
      target: { of: "busbar", bound: "atMost", value: 2 },
      note: `${QUIET_TASKS} tasks each, ${NOISY_TASKS} of the noisy one queued; ${SLOTS} slots, ${TASK_MS} ms a task`,
    },
  ];
}

async function shareRows(stage: Stage, rounds: number): Promise<Row[]> {
  const errors = await repeated(rounds, () => stage.play(worstShareError));
  return [
    {
      name: `${stage.name}: weights 1, 2, 4, largest error of a share over ${SHARED_TASKS.toLocaleString("en-US")} tasks`,
      unit: "percent",
      busbar: Math.max(...errors),
      target: { of: "busbar", bound: "atMost", value: 5 },
    },
  ];
}

async function aloneRows(stage: Stage, rounds: number): Promise<Row[]> {
  const uses = await repeated(rounds, () => stage.play(slotUseAlone));
  const name = `${stage.name}: slots of ${SLOTS} that a tenant alone has`;
  return [
    {
      name: `${name}, most`,
      unit: "slots",
      busbar: Math.min(...uses.map(({ most }) => most)),
      target: { of: "busbar", bound: "atLeast", value: SLOTS },
    },
    {
      name: `${name}, on average`,
      unit: "slots",
      busbar: median(uses.map(({ average }) => average)),
    },
  ];
}

async function repeated<T>(times: number, run: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let time = 0; time < times; time++) results.push(await run());
  return results;
}
