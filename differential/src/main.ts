import { randomInt } from "node:crypto";
import { writeFile } from "node:fs/promises";
import {
  findNatsServer,
  NATS_SERVER_GENERATIONS,
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
  // 1 is for a difference.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .description("runs random scripts on the simulator and on a private nats-server, and compares")
  .option("--scripts <n>", "how many scripts", wholeNumber(1), 100)
  .option("--seed <n>", "seed of the run; default: a fresh one", wholeNumber(0))
  .option("--steps <n>", "steps of each script; default: 20 to 60", wholeNumber(1))
  .option("--concurrency <n>", "most scripts that run at a time", wholeNumber(1), 128)
  .option("--unit <ms>", "length of a tick in milliseconds", wholeNumber(50), 400)
  .option("--server-bin <path>", "the nats-server to start; default: the newest that is found")
  .addOption(
    new Option("--version <generation>", "the generation of nats-server to find").choices(
      NATS_SERVER_GENERATIONS,
    ),
  )
  .option("--only <seed>", "only the script of this seed", wholeNumber(0))
  .option("--json <file>", "write what came of it as JSON")
  .option("--no-shrink", "leave scripts that differ as they are")
  .action(async (options: CliOptions) => {
    const report = await runDifferential(options);
    print(report);
    if (options.json !== undefined) {
      await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
    }
    if (isBad(report)) process.exitCode = 1;
  });

try {
  await program.parseAsync();
} catch (error) {
  // Wrong options; anything else is shown with its stack.
  if (!(error instanceof RangeError)) throw error;
  program.error(`error: ${error.message}`);
}

async function runDifferential(options: CliOptions): Promise<DifferentialReport> {
  const { seed = randomInt(0x1_0000_0000), unit: unitMs, ...rest } = options;
  const binary = await findNatsServer({ path: options.serverBin, version: options.version });
  process.stdout.write(`nats-server ${binary.version}, seed ${seed}\n`);
  const host = await NatsHost.start({ binary });
  const progress = (line: string): void => void process.stdout.write(`${line}\n`);
  try {
    const flags = flagsOf(options);
    return await new Differential({ ...rest, host, seed, unitMs, progress, flags }).run();
  } finally {
    await host.close();
  }
}

/** A machine may be too slow for a script now and then; where it is for many, nothing was compared. */
function isBad({ unexplained, untold, scripts }: DifferentialReport): boolean {
  return unexplained > 0 || untold > Math.max(1, scripts / 50);
}

/** What besides its seed makes a script what it is. */
function flagsOf({ version, serverBin, steps, unit }: CliOptions): string {
  const all = { version, "server-bin": serverBin, steps, unit };
  const given = Object.entries(all).filter(([, value]) => value !== undefined);
  return given.map(([name, value]) => ` --${name} ${value}`).join("");
}

function print(report: DifferentialReport): void {
  const { scripts, steps, unexplained, unstable, untold, late, seconds, differences } = report;
  const rules = new Map<string, number>();
  for (const { rule } of differences) {
    if (rule !== undefined) rules.set(rule, (rules.get(rule) ?? 0) + 1);
  }
  const lines = [
    `${scripts} scripts, ${steps} steps in ${seconds} s`,
    ...[...rules]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([rule, count]) => `${count} differences by rule ${rule}`),
    `${unexplained} unexplained, ${unstable} unstable, ${late} repeated because they came too late, ${untold} always too late`,
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= min) return value;
    throw new InvalidArgumentError(`a whole number, ${min} or more.`);
  };
}
