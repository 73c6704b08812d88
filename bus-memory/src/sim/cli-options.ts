import { Command, InvalidArgumentError } from "commander";

/** Where a command line talks to: `process.stdout` has this shape. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
}

/** What the command line is told. */
export interface CliOptions {
  readonly seed?: number;
  readonly seeds: number;
  readonly from: number | "random";
  readonly replay?: string;
  readonly trace?: string;
  readonly mermaid?: string;
  readonly timeline?: boolean;
  readonly twice?: boolean;
  readonly shrink: boolean;
  readonly jobs: number;
  readonly json?: string;
}

/** The parser of the command line. */
export function createCommand(output: Output, errors: Output): Command {
  return new Command("busbar-simulate")
    .description("Plays a scenario with many seeds, and shrinks what fails.")
    .argument("<file>", "a module whose default export, or export `scenario`, is a scenario")
    .option("--seed <n>", "plays this seed only", integerFrom(0))
    .option("--seeds <n>", "how many seeds", integerFrom(1), 100)
    .option("--from <n>", "the first of them, or random", firstSeed, 1)
    .option("--replay <file>", "plays the run in this file instead")
    .option("--timeline", "prints what happened, also if the run passed")
    .option("--trace <file>", "writes what happened, one JSON object a line")
    .option("--mermaid <file>", "writes what happened as a Mermaid sequence diagram")
    .option("--twice", "plays each seed twice: both must be the same")
    .option("--no-shrink", "leaves a failure as it is")
    .option("--jobs <n>", "on how many threads", integerFrom(1), 1)
    .option("--json <file>", "writes what the seeds came to as JSON")
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void output.write(text),
      writeErr: (text) => void errors.write(text),
    });
}

function integerFrom(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isSafeInteger(value) && value >= min) return value;
    throw new InvalidArgumentError(`must be an integer of ${min} or more.`);
  };
}

function firstSeed(text: string): number | "random" {
  return text === "random" ? text : integerFrom(0)(text);
}
