import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runSimulateCli } from "@busbar/bus-memory/run-cli";
import { environmentFacts } from "../environment.ts";
import type { Report, Row, Target } from "../report.ts";
import { median } from "../statistics.ts";

/** What the simulator bench may be told. */
export interface SimulatorBenchOptions {
  readonly rounds: number;
  /** Only rows whose name contains this. */
  readonly only?: string | undefined;
  /** Told what is going on. */
  readonly progress: (line: string) => void;
}

/** What `busbar-simulate --json` says. */
interface Exploration {
  readonly seeds: number;
  readonly failures: readonly unknown[];
  /** Operations that processes began. */
  readonly calls: number;
  /** What reached them: messages, jobs, events. */
  readonly deliveries: number;
  readonly realMs: number;
}

interface BenchRow {
  readonly name: string;
  readonly unit: string;
  readonly file: string;
  readonly seeds: number;
  readonly target?: Target;
  readonly figure: (found: Exploration) => number;
}

const THREADS = 2;
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const OPERATIONS: Target = { of: "busbar", bound: "atLeast", value: 300_000 };

const rate = ({ calls, deliveries, realMs }: Exploration): number =>
  ((calls + deliveries) * 1_000) / realMs;

const ROWS: readonly BenchRow[] = [
  {
    name: "simulated operations, nothing takes time",
    unit: "per second",
    file: "bench/src/simulator/at-once.ts",
    seeds: 100,
    target: OPERATIONS,
    figure: rate,
  },
  {
    name: "simulated operations, each way takes 0.5 to 3 ms",
    unit: "per second",
    file: "bench/src/simulator/network.ts",
    seeds: 50,
    target: OPERATIONS,
    figure: rate,
  },
  {
    name: "the same, with all standard checkers",
    unit: "per second",
    file: "bench/src/simulator/checked.ts",
    seeds: 25,
    figure: rate,
  },
  {
    name: "1,000 seeds of the demo workload, all faults, all checkers",
    unit: "s",
    file: "examples/simulate/demo.ts",
    seeds: 1_000,
    target: { of: "busbar", bound: "atMost", value: 60 },
    figure: ({ realMs }) => realMs / 1_000,
  },
];

/**
 * Measures the simulator as its users run it: `busbar-simulate` on two threads, their start
 * included. An operation is a call that a process began, or something that reached one: a
 * message, a job, an event, a request, a reply.
 */
export async function simulatorBench(options: SimulatorBenchOptions): Promise<Report> {
  const { rounds, only = "", progress } = options;
  const rows: Row[] = [];
  for (const row of ROWS.filter(({ name }) => name.includes(only))) {
    progress(row.name);
    rows.push(await measure(row, row.unit === "s" ? 1 : rounds));
  }
  const server = `simulated, ${THREADS} threads`;
  return { suite: "bench simulator", environment: environmentFacts(server, rounds), rows };
}

async function measure(row: BenchRow, rounds: number): Promise<Row> {
  const { name, unit, target, figure } = row;
  const figures: number[] = [];
  let last: Exploration | undefined;
  for (let round = 0; round < rounds; round++) {
    last = await explore(row, round);
    figures.push(figure(last));
  }
  const { calls = 0, deliveries = 0, seeds = 0 } = last ?? {};
  const note = `${seeds} seeds, ${calls} calls, ${deliveries} deliveries a round`;
  return { name, unit, busbar: median(figures), target, note };
}

async function explore({ file, seeds }: BenchRow, round: number): Promise<Exploration> {
  const directory = await mkdtemp(join(tmpdir(), "busbar-bench-"));
  try {
    const json = join(directory, "seeds.json");
    const from = 1 + round * seeds;
    const flags = Object.entries({ seeds, from, jobs: THREADS, json });
    const argv = [
      file,
      "--no-shrink",
      ...flags.flatMap(([flag, value]) => [`--${flag}`, `${value}`]),
    ];
    const output: string[] = [];
    const sink = { write: (text: string) => output.push(text), isTTY: false };
    const code = await runSimulateCli(argv, { cwd: ROOT, output: sink, errors: sink });
    if (code !== 0) throw new Error(`${file} failed:\n${output.join("")}`);
    return JSON.parse(await readFile(json, "utf8")) as Exploration;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
