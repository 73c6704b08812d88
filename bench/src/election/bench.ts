import { errorCode, openBus } from "@busbar/core";
import type { NatsServerBinary } from "@busbar/scripts";
import { Crew, type Led } from "../../../examples/scheduler/crew.ts";
import { Ticks } from "../../../examples/scheduler/ticks.ts";
import { environmentFacts } from "../environment.ts";
import type { Report, Row } from "../report.ts";
import { median, percentile } from "../statistics.ts";
import { Servers } from "./servers.ts";

/** What the election bench may be told. */
export interface ElectionBenchOptions {
  readonly binary: NatsServerBinary;
  /** Three servers with three replicas; the one that leads the stream is killed in every twelfth failover. */
  readonly isCluster: boolean;
  /** Only kinds of failover whose name contains this. */
  readonly only?: string | undefined;
  /** Told what is going on. */
  readonly progress: (line: string) => void;
}

const PROCESSES = ["one", "two", "three", "four", "five"];
const TTL_MS = 1_000;
const SERVER_HIT_EVERY = 12;

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
  const { binary, isCluster, only = "", progress } = options;
  await using servers = await Servers.start(binary, isCluster);
  await using bus = await persist(() => openBus(servers.url));
  await using ticks = await persist(() => Ticks.open(bus));
  // Slow enough that all ticks of the time in which the servers change over are kept for who watches.
  const everyMs = isCluster ? 200 : 20;
  await using crew = new Crew({ url: servers.url, ttlMs: TTL_MS, everyMs });
  await Promise.all(PROCESSES.map((name) => crew.start(name)));
  let leader = await crew.leaderAfter(0);
  const rows: Row[] = [];
  let failovers = 0;
  for (const kind of KINDS.filter(({ name }) => name.includes(only))) {
    progress(`${kind.name}, ${kind.times} times`);
    const handOvers: number[] = [];
    for (let round = 0; round < kind.times; round++) {
      const isServerHit = isCluster && ++failovers % SERVER_HIT_EVERY === 0;
      const startServer = isServerHit ? await servers.killStreamLeader() : undefined;
      leader = await failOver(crew, ticks, { kind, leader, handOvers });
      await startServer?.();
    }
    rows.push(...rowsOf(kind, handOvers, isCluster));
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
  const environment = environmentFacts(
    `${isCluster ? "3 x " : ""}nats-server ${binary.version}`,
    1,
  );
  return { suite: "bench election", environment, rows };
}

/** A cluster has no JetStream until it has elected who leads. */
async function persist<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!["TIMEOUT", "DISCONNECTED", "NOT_FOUND"].includes(errorCode(error) ?? "")) throw error;
    }
  }
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

function rowsOf({ name, atMostMs }: Kind, handOvers: readonly number[], isCluster: boolean): Row[] {
  const row = (what: string, busbar: number): Row => ({
    name: `hand-over after ${name}, ${what}`,
    unit: "ms",
    busbar,
  });
  return [
    row("median", median(handOvers)),
    {
      ...row("99th percentile", percentile(handOvers, 99)),
      // With a server that is killed it takes what the servers take to elect another one.
      ...(isCluster ? {} : { target: { of: "busbar", bound: "atMost", value: atMostMs } }),
    },
    row("longest", Math.max(...handOvers)),
  ];
}
