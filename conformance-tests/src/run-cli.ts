import { writeFile } from "node:fs/promises";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { HarnessFactory, Level } from "./case.ts";
import { allCases } from "./cases/index.ts";
import { DEFAULT_LEVEL, LEVELS, selectCases } from "./levels.ts";
import { type Output, printResult, printSummary } from "./progress.ts";
import { formatJson } from "./report/json.ts";
import { formatJunit } from "./report/junit.ts";
import { formatMarkdown } from "./report/markdown.ts";
import type { ConformanceReport } from "./report/report.ts";
import { runConformance } from "./runner.ts";

export { endProcess } from "./end-process.ts";

/** What the command line knows about the server of a bus. */
export interface HarnessOptions {
  /** `--server-bin`. */
  readonly serverBin: string | undefined;
}

/** A harness for `--bus`. */
export interface HarnessChoice {
  readonly factory: HarnessFactory;
  /** How many cases run at a time unless `--concurrency` says so. @defaultValue 1 */
  readonly concurrency?: number;
}

/** What {@link runCli} is put together from. */
export interface CliParts {
  /** Finds the harness of a bus. Throws if there is none: that is bad usage. */
  harnessFor(bus: string, options: HarnessOptions): Promise<HarnessChoice>;
  /** Default: `process.stdout`. */
  readonly output?: Output;
  /** Where complaints go. Default: `process.stderr`. */
  readonly errors?: Output;
}

interface CliOptions {
  readonly bus: string;
  readonly serverBin?: string;
  readonly level?: Level;
  readonly only?: string[];
  readonly seed?: number;
  readonly concurrency?: number;
  readonly json?: string;
  readonly junit?: string;
  readonly markdown?: string;
  readonly list?: boolean;
}

/**
 * The command line of the suite. `argv` is what stands behind the program's name.
 * @returns the exit code: 0, 1 if a case failed or the bus cannot be opened, 2 for bad usage
 */
export async function runCli(argv: readonly string[], parts: CliParts): Promise<number> {
  const output = parts.output ?? process.stdout;
  const errors = parts.errors ?? process.stderr;
  const usageError = (message: string): number => {
    errors.write(`error: ${message}\n`);
    return 2;
  };
  const command = createCommand(output, errors);
  try {
    command.parse([...argv], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  const options = command.opts<CliOptions>();
  try {
    const selected = selectCases(allCases, options);
    if (options.list) {
      output.write(selected.map(({ id, level, title }) => `${id} ${level} ${title}\n`).join(""));
      return 0;
    }
  } catch (error) {
    return usageError(messageOf(error));
  }
  let choice: HarnessChoice;
  try {
    choice = await parts.harnessFor(options.bus, { serverBin: options.serverBin });
  } catch (error) {
    return usageError(messageOf(error));
  }
  let report: ConformanceReport;
  try {
    report = await runConformance(choice.factory, {
      level: options.level,
      only: options.only,
      seed: options.seed,
      concurrency: options.concurrency ?? choice.concurrency,
      onResult: (result) => printResult(output, result),
    });
  } catch (error) {
    errors.write(`error: the suite cannot run on ${options.bus}: ${messageOf(error)}\n`);
    return 1;
  }
  printSummary(output, report);
  await writeReports(report, options);
  return report.failed === 0 ? 0 : 1;
}

function createCommand(output: Output, errors: Output): Command {
  return new Command("busbar-conformance")
    .description("Runs the conformance suite of Busbar on a bus.")
    .option(
      "--bus <bus>",
      "memory:, nats:, nats://host:port, a package, or a file with a backend or a configuration",
      process.env["BUSBAR_URL"] || "memory:",
    )
    .option("--server-bin <path>", "the server to start, where the bus starts one")
    .addOption(
      new Option("--level <level>", `levels up to this one (default: ${DEFAULT_LEVEL})`).choices(
        LEVELS,
      ),
    )
    .option("--only <id>", "only this case, or those whose id begins so; repeatable", collect)
    .option("--seed <n>", "seed of all random choices", integerFrom(0))
    .option("--concurrency <n>", "how many cases run at a time", integerFrom(1))
    .option("--json <file>", "writes the report as JSON")
    .option("--junit <file>", "writes the report as JUnit XML")
    .option("--markdown <file>", "writes the report as Markdown")
    .option("--list", "lists the cases instead of running them")
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void output.write(text),
      writeErr: (text) => void errors.write(text),
    });
}

async function writeReports(report: ConformanceReport, options: CliOptions): Promise<void> {
  const { json, junit, markdown } = options;
  if (json !== undefined) await writeFile(json, formatJson(report));
  if (junit !== undefined) await writeFile(junit, formatJunit(report));
  if (markdown !== undefined) await writeFile(markdown, formatMarkdown(report));
}

function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

function integerFrom(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isSafeInteger(value) && value >= min) return value;
    throw new InvalidArgumentError(`must be an integer of ${min} or more.`);
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
