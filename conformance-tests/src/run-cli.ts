import { CommanderError } from "commander";
import type { HarnessFactory } from "./case.ts";
import { allCases } from "./cases/index.ts";
import { type CliOptions, createCommand, repeatableCommand } from "./cli-options.ts";
import { watchInterruption } from "./interruption.ts";
import { selectCases } from "./levels.ts";
import { type Output, printResult, printSummary } from "./progress.ts";
import { prepareReports, type ReportFiles, writeReports } from "./report/files.ts";
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
  /** How this command line is called, for reports that say how to repeat a case. Default: `npx busbar-conformance`. */
  readonly program?: string;
  /** Default: `process.stdout`. */
  readonly output?: Output;
  /** Where complaints go. Default: `process.stderr`. */
  readonly errors?: Output;
}

/**
 * The command line of the suite. `argv` is what stands behind the program's name.
 * @returns the exit code: 0; 1 if a case failed, the bus cannot be opened or a report cannot be
 * written; 2 for bad usage; 130 or 143 if SIGINT or SIGTERM interrupted the run
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
  try {
    await prepareReports(options);
  } catch (error) {
    return usageError(messageOf(error));
  }
  return runAndReport({ ...parts, output, errors }, options, choice);
}

/** Runs the suite and writes what it found, also if it is interrupted. */
async function runAndReport(
  parts: CliParts & { readonly output: Output; readonly errors: Output },
  options: CliOptions,
  { factory, concurrency }: HarnessChoice,
): Promise<number> {
  const { output, errors, program = "npx busbar-conformance" } = parts;
  const { level, only, seed } = options;
  const interruption = watchInterruption();
  try {
    const run = await runConformance(factory, {
      level,
      only,
      seed,
      concurrency: options.concurrency ?? concurrency,
      signal: interruption.signal,
      onResult: (result) => printResult(output, result),
    });
    const command = repeatableCommand(program, options, run.seed);
    const report: ConformanceReport = { ...run, command };
    printSummary(output, report);
    const isWritten = await writeAll(report, options, errors);
    return interruption.exitCode() ?? (report.failed === 0 && isWritten ? 0 : 1);
  } catch (error) {
    errors.write(`error: the suite cannot run on ${options.bus}: ${messageOf(error)}\n`);
    return interruption.exitCode() ?? 1;
  } finally {
    interruption.dispose();
  }
}

async function writeAll(
  report: ConformanceReport,
  files: ReportFiles,
  errors: Output,
): Promise<boolean> {
  try {
    await writeReports(report, files);
    return true;
  } catch (error) {
    errors.write(`error: ${messageOf(error)}\n`);
    return false;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
