import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { CommanderError } from "commander";
import { type CliOptions, createCommand, type Output } from "./cli-options.ts";
import type { Exploration } from "./explore.ts";
import { exploreFile } from "./explore-file.ts";
import { formatExploration, formatFailure } from "./failure-text.ts";
import { formatMermaid } from "./mermaid.ts";
import { formatReplay, parseReplay } from "./replay.ts";
import {
  type Played,
  type PlayOptions,
  playScenario,
  type ScenarioDefinition,
} from "./scenario.ts";
import { loadScenario } from "./scenario-file.ts";
import { shrink, type Shrunk } from "./shrink.ts";
import { formatTimeline } from "./timeline.ts";

/** What {@link runSimulateCli} is put together from. */
export interface CliParts {
  /** How this command line is called. @defaultValue "npx busbar-simulate" */
  readonly program?: string;
  /** What files are relative to. Default: the working directory. */
  readonly cwd?: string;
  /** What is found: the same for the same seeds. Default: `process.stdout`. */
  readonly output?: Output;
  /** Progress, speed and complaints. Default: `process.stderr`. */
  readonly errors?: Output;
}

/**
 * The command line of the simulator. `argv` is what stands behind the program's name.
 * @returns the exit code: 0; 1 if a seed failed; 2 for bad usage, or if a file cannot be read or written
 */
export async function runSimulateCli(
  argv: readonly string[],
  parts: CliParts = {},
): Promise<number> {
  const { output = process.stdout, errors = process.stderr } = parts;
  const { program = "npx busbar-simulate", cwd = process.cwd() } = parts;
  const command = createCommand(output, errors);
  try {
    command.parse([...argv], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  const [file = ""] = command.args;
  const options = command.opts<CliOptions>();
  try {
    const scenario = await loadScenario(file, cwd);
    const session = new Session({ file, program, cwd, output, errors }, scenario, options);
    const isOne = options.replay !== undefined || options.seed !== undefined;
    if (isOne && options.json !== undefined) {
      throw new RangeError("--json is about many seeds: with --from N --seeds 1 it is about one");
    }
    return (await (isOne ? session.playOne() : session.playMany())) ? 0 : 1;
  } catch (error) {
    errors.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
}

interface Place extends Required<CliParts> {
  readonly file: string;
}

/** One call of the command line. Its methods resolve with whether all is well. */
class Session {
  readonly #place: Place;
  readonly #scenario: ScenarioDefinition<unknown, unknown>;
  readonly #options: CliOptions;

  constructor(place: Place, scenario: ScenarioDefinition<unknown, unknown>, options: CliOptions) {
    this.#place = place;
    this.#scenario = scenario;
    this.#options = options;
  }

  /** Plays one seed, or what a file holds. */
  async playOne(): Promise<boolean> {
    const { replay, timeline, twice = false } = this.#options;
    const { output } = this.#place;
    const played = await playScenario(this.#scenario, {
      ...(await this.#oneRun()),
      trace: true,
      twice,
    });
    if (played.finding !== undefined && replay === undefined) return this.#failed(played);
    await this.#writeTrace(played);
    if (timeline === true || played.finding) output.write(`${formatTimeline(played.trace)}\n`);
    if (played.finding) output.write(`\n${formatFailure(played, undefined)}`);
    else output.write(`${played.scenario} passes with seed ${played.seed}\n`);
    return played.finding === undefined;
  }

  /** Plays many seeds, up to the first that fails. */
  async playMany(): Promise<boolean> {
    const { jobs, seeds, from, twice, json } = this.#options;
    const { file, cwd, output, errors } = this.#place;
    const onProgress = (done: number): void => {
      if (errors.isTTY) errors.write(`\r${done} of ${seeds} seeds `);
    };
    const found = await exploreFile(file, { jobs, seeds, from, twice, cwd, onProgress });
    if (errors.isTTY) errors.write("\r");
    output.write(formatExploration(found));
    const perSecond = Math.round((found.seeds * 1_000) / Math.max(1, found.realMs));
    errors.write(`${Math.round(found.realMs)} ms, ${perSecond} seeds a second\n`);
    if (json !== undefined) await this.#write(json, jsonOf(found));
    const [failure] = found.failures;
    return failure === undefined || this.#failed(failure);
  }

  async #oneRun(): Promise<PlayOptions<unknown>> {
    const { replay, seed = 0 } = this.#options;
    if (replay === undefined) return { seed };
    const { cwd } = this.#place;
    const run = parseReplay(await readFile(resolve(cwd, replay), "utf8"));
    if (run.scenario === this.#scenario.name) return run;
    throw new RangeError(`${replay} is a run of ${run.scenario}, not of ${this.#scenario.name}`);
  }

  async #failed(failure: Played<unknown>): Promise<false> {
    const { file, program, output } = this.#place;
    const { finding, seed, scenario } = failure;
    // A run that is not the same twice cannot be replayed.
    const isReplayable = finding?.by !== "determinism";
    let shrunk: Shrunk<unknown> | undefined;
    if (this.#options.shrink && isReplayable) shrunk = await shrink(this.#scenario, failure);
    output.write(`${formatFailure(failure, shrunk)}\n`);
    await this.#writeTrace(shrunk ?? failure);
    if (!isReplayable) {
      output.write(`again: ${program} ${file} --seed ${seed} --twice\n`);
      return false;
    }
    const replay = `${scenario}-${seed}.replay.json`;
    await this.#write(replay, formatReplay(shrunk ?? failure));
    output.write(`again: ${program} ${file} --replay ${replay}\n`);
    return false;
  }

  async #writeTrace({ trace }: Played<unknown>): Promise<void> {
    const { trace: file, mermaid } = this.#options;
    if (file !== undefined) {
      await this.#write(file, trace.map((event) => `${JSON.stringify(event)}\n`).join(""));
    }
    if (mermaid !== undefined) await this.#write(mermaid, formatMermaid(trace));
  }

  async #write(file: string, text: string): Promise<void> {
    await writeFile(resolve(this.#place.cwd, file), text);
  }
}

function jsonOf(found: Exploration<unknown>): string {
  const failures = found.failures.map(({ seed, finding }) => ({ seed, ...finding }));
  return `${JSON.stringify({ version: 1, ...found, failures }, undefined, 2)}\n`;
}
