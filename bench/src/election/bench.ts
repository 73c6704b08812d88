import { isBusError, openBus } from "@busbar/core";
import type { NatsServerBinary } from "@busbar/scripts";
import { Crew } from "../../../examples/scheduler/crew.ts";
import { Ticks } from "../../../examples/scheduler/ticks.ts";
import { environmentFacts } from "../environment.ts";
import type { Report, Row, Target } from "../report.ts";
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

/** How long it took to have another leader, in milliseconds. */
interface HandOver {
  readonly ms: number;
  /** Since the streams of a server that was killed had leaders again. */
  readonly possibleMs: number;
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
    const handOvers: HandOver[] = [];
    for (let round = 0; round < kind.times; round++) {
      const isServerHit = isCluster && ++failovers % SERVER_HIT_EVERY === 0;
      await ticks.more(3);
      const killed = isServerHit ? await servers.killStreamLeader() : undefined;
      const startedAtMs = performance.now();
      kind.strike(crew, leader.name);
      const next = await crew.leaderAfter(leader.term);
      await kind.mend(crew, leader.name);
      // Until the servers have elected leaders of the streams, nobody can take anything over.
      const possibleAtMs = Math.max(startedAtMs, killed?.electedAtMs ?? 0);
      handOvers.push({
        ms: next.atMs - startedAtMs,
        possibleMs: next.atMs - possibleAtMs,
      });
      leader = next;
      await killed?.start();
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
      if (!isBusError(error) || !error.retryable) throw error;
    }
  }
}

function rowsOf(
  { name, atMostMs }: Kind,
  handOvers: readonly HandOver[],
  isCluster: boolean,
): Row[] {
  const row = (what: string, busbar: number): Row => ({
    name: `hand-over after ${name}, ${what}`,
    unit: "ms",
    busbar,
  });
  const target: Target = { of: "busbar", bound: "atMost", value: atMostMs };
  const times = handOvers.map(({ ms }) => ms);
  const possible = handOvers.map(({ possibleMs }) => possibleMs);
  const last = isCluster
    ? [
        {
          ...row("99th percentile from when the streams have leaders", percentile(possible, 99)),
          target,
        },
      ]
    : [];
  return [
    row("median", median(times)),
    { ...row("99th percentile", percentile(times, 99)), ...(isCluster ? {} : { target }) },
    row("longest", Math.max(...times)),
    ...last,
  ];
}
