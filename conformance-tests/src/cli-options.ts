import { Command, InvalidArgumentError, Option } from "commander";
import type { Level } from "./case.ts";
import { DEFAULT_LEVEL, LEVELS } from "./levels.ts";
import type { Output } from "./progress.ts";
import type { ReportFiles } from "./report/files.ts";

/** What the command line of the suite is told. */
export interface CliOptions extends ReportFiles {
  readonly bus: string;
  readonly serverBin?: string;
  readonly level?: Level;
  readonly only?: string[];
  readonly seed?: number;
  readonly concurrency?: number;
  readonly list?: boolean;
}

/** The parser of the command line. */
export function createCommand(output: Output, errors: Output): Command {
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
    .option("--html <file>", "writes the report as a page in one HTML file")
    .option("--badge <file>", "writes the badge line as an SVG image")
    .option("--list", "lists the cases instead of running them")
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void output.write(text),
      writeErr: (text) => void errors.write(text),
    });
}

/**
 * What, with `--only ID` behind it, repeats a case of a run with these options. What stands before
 * the @ of a URL is a secret: it is left out.
 */
export function repeatableCommand(program: string, options: CliOptions, seed: number): string {
  const { bus, serverBin, level } = options;
  const words = ["--bus", bus.replace(/\/\/[^@/]*@/, "//")];
  if (serverBin !== undefined) words.push("--server-bin", serverBin);
  if (level !== undefined) words.push("--level", level);
  words.push("--seed", String(seed));
  return [program, ...words.map(quoted)].join(" ");
}

/** A word as a POSIX shell reads it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
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
