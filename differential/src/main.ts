import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { writeFile } from "node:fs/promises";
import {
  findNatsServer,
  NATS_SERVER_GENERATIONS,
  type NatsServerBinary,
  type NatsServerGeneration,
} from "@busbar/scripts";
import { Command, InvalidArgumentError, Option } from "commander";
import { Differential, type DifferentialReport } from "./differential.ts";
import { NatsHost } from "./nats-world.ts";

interface CliOptions {
  readonly scripts: number;
  readonly seed?: number;
  readonly steps?: number;
  readonly concurrency: number;
  readonly unit: number;
  readonly serverBin?: string;
  readonly version?: NatsServerGeneration;
  readonly only?: number;
  readonly json?: string;
  readonly shrink: boolean;
}

const program = new Command("differential")
  .description("runs random scripts on the simulator and on a private nats-server, and compares")
  .option("--scripts <n>", "how many scripts", wholeNumber, 100)
  .option("--seed <n>", "seed of the run; default: a fresh one", wholeNumber)
  .option("--steps <n>", "steps of each script; default: 20 to 60", wholeNumber)
  .option("--concurrency <n>", "most scripts that run at a time", wholeNumber, 128)
  .option("--unit <ms>", "length of a tick in milliseconds", wholeNumber, 400)
  .option("--server-bin <path>", "the nats-server to start; default: the newest that is found")
  .addOption(
    new Option("--version <generation>", "the generation of nats-server to find").choices(
      NATS_SERVER_GENERATIONS,
    ),
  )
  .option("--only <seed>", "only the script of this seed", wholeNumber)
  .option("--json <file>", "write what came of it as JSON")
  .option("--no-shrink", "leave scripts that differ as they are")
  .action(async (options: CliOptions) => {
    const report = await runDifferential(options);
    print(report);
    if (options.json !== undefined) {
      await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
    }
    if (report.unexplained > 0) process.exitCode = 1;
  });

await program.parseAsync();

async function runDifferential(options: CliOptions): Promise<DifferentialReport> {
  const { seed = randomInt(0x1_0000_0000), unit: unitMs, ...rest } = options;
  const binary = await findBinary(options);
  process.stdout.write(`nats-server ${binary.version}, seed ${seed}\n`);
  const host = await NatsHost.start({ binary });
  const progress = (line: string): void => void process.stdout.write(`${line}\n`);
  try {
    return await new Differential({ ...rest, host, seed, unitMs, progress }).run();
  } finally {
    await host.close();
  }
}

function print(report: DifferentialReport): void {
  const { scripts, steps, unexplained, unstable, late, seconds, differences } = report;
  const rules = new Map<string, number>();
  for (const { rule } of differences) {
    if (rule !== undefined) rules.set(rule, (rules.get(rule) ?? 0) + 1);
  }
  const lines = [
    `${scripts} scripts, ${steps} steps in ${seconds} s`,
    ...[...rules]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([rule, count]) => `${count} differences by rule ${rule}`),
    `${unexplained} unexplained, ${unstable} unstable, ${late} repeated because they came too late`,
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

async function findBinary({ serverBin, version }: CliOptions): Promise<NatsServerBinary> {
  if (serverBin === undefined) return findNatsServer(version === undefined ? {} : { version });
  const text = execFileSync(serverBin, ["--version"], { encoding: "utf8", timeout: 10_000 });
  return { path: serverBin, version: /\d+\.\d+\.\d+\S*/.exec(text)?.[0] ?? "unknown" };
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError("a whole number, 0 or more.");
}
