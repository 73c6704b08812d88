import { writeFile } from "node:fs/promises";
import {
  findNatsServer,
  NATS_SERVER_GENERATIONS,
  type NatsServerGeneration,
} from "@busbar/scripts";
import { Command, InvalidArgumentError, Option } from "commander";
import { electionBench } from "./election/bench.ts";
import { fairnessBench } from "./fairness/bench.ts";
import { memoryBench } from "./memory/bench.ts";
import { natsBench, type NatsBenchOptions } from "./nats/bench.ts";
import { Profiler } from "./profile.ts";
import { isMet, type Report, toJson, toTable } from "./report.ts";
import { simulatorBench } from "./simulator/bench.ts";
import { tasksBench } from "./tasks/bench.ts";
import { tenantsBench } from "./tenants/bench.ts";

const DEFAULT_ROUNDS = 5;

interface CommonOptions {
  readonly json?: string;
  readonly only?: string;
  readonly rounds: number;
  readonly check?: boolean;
}

interface NatsOptions extends CommonOptions {
  readonly serverBin?: string;
  readonly version?: NatsServerGeneration;
  readonly profile?: string;
}

const program = new Command("bench").description("measures Busbar, side by side with raw clients");

withNatsOptions(program.command("nats"))
  .description("Busbar beside the raw NATS client on a private nats-server")
  .action((options: NatsOptions) => onNats(natsBench, options));

withNatsOptions(program.command("tasks"))
  .description("the task queue and its workers: tasks a second on NATS and on memory, idle pick-up")
  .action((options: NatsOptions) => onNats(tasksBench, options));

withNatsOptions(program.command("fairness"))
  .description("how tenants share the slots of a worker pool, in virtual time and on NATS")
  .action((options: NatsOptions) => onNats(fairnessBench, options));

withNatsOptions(program.command("tenants"))
  .description("many tenants on one server: their tasks a second, and what they take of the server")
  .action((options: NatsOptions) => onNats(tenantsBench, options));

withCommonOptions(program.command("memory"))
  .description("the embedded bus: rates, and the cost per operation by what is queued")
  .action(async ({ rounds, only, ...options }: CommonOptions) => {
    await publish(await memoryBench({ rounds, only, progress }), { rounds, ...options });
  });

withCommonOptions(program.command("simulator"))
  .description("the simulator: operations per second, and the seeds of the demo workload")
  .action(async ({ rounds, only, ...options }: CommonOptions) => {
    await publish(await simulatorBench({ rounds, only, progress }), { rounds, ...options });
  });

withCommonOptions(program.command("election"))
  .description(
    "the time from the end of a leader to the next one, among five processes that are killed",
  )
  .option(
    "--cluster",
    "on three servers with three replicas, of which the leading one is killed too",
  )
  .action(async ({ only, cluster, ...options }: CommonOptions & { cluster?: boolean }) => {
    const binary = await findNatsServer();
    const isCluster = cluster ?? false;
    await publish(await electionBench({ binary, isCluster, only, progress }), options);
  });

try {
  await program.parseAsync();
} catch (error) {
  // Wrong options; anything else is shown with its stack.
  if (!(error instanceof RangeError)) throw error;
  program.error(`error: ${error.message}`, { exitCode: 2 });
}

function withCommonOptions(command: Command): Command {
  return command
    .option("--json <file>", "write the rows as JSON")
    .option("--only <name>", "only rows whose name contains this")
    .option("--rounds <n>", "rounds, of which the medians are printed", rounds, DEFAULT_ROUNDS)
    .option("--check", "exit with 1 if a target is missed");
}

function withNatsOptions(command: Command): Command {
  return withCommonOptions(command)
    .option("--server-bin <path>", "the nats-server to start; default: the newest that is found")
    .addOption(
      new Option("--version <generation>", "the generation of nats-server to find").choices(
        NATS_SERVER_GENERATIONS,
      ),
    )
    .option("--profile <directory>", "also write CPU profiles of the slices, and print a summary");
}

async function onNats(
  bench: (options: NatsBenchOptions) => Promise<Report>,
  options: NatsOptions,
): Promise<void> {
  const profiler = options.profile ? await Profiler.open(options.profile) : undefined;
  const binary = await findNatsServer({ path: options.serverBin, version: options.version });
  const { rounds, only } = options;
  await publish(await bench({ binary, rounds, only, profiler, progress }), options);
  profiler?.close();
}

function rounds(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 100) return value;
  throw new InvalidArgumentError("a whole number from 1 to 100.");
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function publish(report: Report, { json, check }: CommonOptions): Promise<void> {
  process.stdout.write(`\n${toTable(report)}\n`);
  if (json !== undefined) await writeFile(json, toJson(report));
  if (check && report.rows.some((row) => isMet(row) === false)) process.exitCode = 1;
}
