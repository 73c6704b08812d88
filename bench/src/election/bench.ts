import { openBus } from "@busbar/core";
import { type NatsServerBinary, startNatsServer } from "@busbar/scripts";
import { Crew, type Led } from "../../../examples/scheduler/crew.ts";
import { Ticks } from "../../../examples/scheduler/ticks.ts";
import { environmentFacts } from "../environment.ts";
import type { Report, Row } from "../report.ts";
import { median, percentile } from "../statistics.ts";

/** What the election bench may be told. */
export interface ElectionBenchOptions {
  readonly binary: NatsServerBinary;
  /** Only kinds of failover whose name contains this. */
  readonly only?: string | undefined;
  /** Told what is going on. */
  readonly progress: (line: string) => void;
}

const PROCESSES = ["one", "two", "three", "four", "five"];
const TTL_MS = 1_000;
const TICK_MS = 20;

interface Kind {
  readonly name: string;
  readonly times: number;
  /** The largest 99th percentile of the time from the blow to the next leader. */
  readonly atMostMs: number;
  readonly strike: (crew: Crew, leader: string) => void;
  readonly mend: (crew: Crew, leader: string) => Promise<void> | void;
}

const KINDS: readonly Kind[] = [
  {
    name: "kill -9",
    times: 100,
    atMostMs: TTL_MS + 1_000,
    strike: (crew, leader) => crew.signal(leader, "SIGKILL"),
    mend: (crew, leader) => crew.start(leader),
  },
  {
    name: "SIGSTOP, SIGCONT",
    times: 50,
    atMostMs: TTL_MS + 1_000,
    strike: (crew, leader) => crew.signal(leader, "SIGSTOP"),
    mend: (crew, leader) => crew.signal(leader, "SIGCONT"),
  },
  {
    name: "resign",
    times: 100,
    atMostMs: 100,
    strike: (crew, leader) => crew.resign(leader),
    mend: () => undefined,
  },
];

/**
 * Measures how long it takes from the end of a leader to the next one, among five processes on a
 * nats-server, and looks at each write of the leaders: one of an old leader that was accepted counts.
 */
export async function electionBench(options: ElectionBenchOptions): Promise<Report> {
  const { binary, only = "", progress } = options;
  await using server = await startNatsServer({ binary });
  await using bus = await openBus(server.url);
  await using ticks = await Ticks.open(bus);
  await using crew = new Crew({ url: server.url, ttlMs: TTL_MS, everyMs: TICK_MS });
  await Promise.all(PROCESSES.map((name) => crew.start(name)));
  let leader = await crew.leaderAfter(0);
  const rows: Row[] = [];
  for (const kind of KINDS.filter(({ name }) => name.includes(only))) {
    progress(`${kind.name}, ${kind.times} times`);
    const handOvers: number[] = [];
    for (let round = 0; round < kind.times; round++) {
      leader = await failOver(crew, ticks, { kind, leader, handOvers });
    }
    rows.push(...rowsOf(kind, handOvers));
  }
  await ticks.more(3);
  for (const problem of ticks.problems) progress(problem);
  rows.push({
    name: "accepted writes of old leaders, ticks doubled or missing",
    unit: "ticks",
    busbar: ticks.problems.length,
    target: { of: "busbar", bound: "atMost", value: 0 },
    note: `${ticks.count} ticks; ${crew.refused} writes of old leaders were refused`,
  });
  const environment = environmentFacts(`nats-server ${server.version}`, 1);
  return { suite: "bench election", environment, rows };
}

async function failOver(
  crew: Crew,
  ticks: Ticks,
  { kind, leader, handOvers }: { kind: Kind; leader: Led; handOvers: number[] },
): Promise<Led> {
  await ticks.more(3);
  const startedAt = performance.now();
  kind.strike(crew, leader.name);
  const next = await crew.leaderAfter(leader.term);
  handOvers.push(next.atMs - startedAt);
  await kind.mend(crew, leader.name);
  return next;
}

function rowsOf({ name, atMostMs }: Kind, handOvers: readonly number[]): Row[] {
  const row = (what: string, busbar: number): Row => ({
    name: `hand-over after ${name}, ${what}`,
    unit: "ms",
    busbar,
  });
  return [
    row("median", median(handOvers)),
    {
      ...row("99th percentile", percentile(handOvers, 99)),
      target: { of: "busbar", bound: "atMost", value: atMostMs },
    },
    row("longest", Math.max(...handOvers)),
  ];
}
