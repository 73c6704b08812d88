import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { startNatsServer } from "@busbar/scripts";
import { Command, InvalidArgumentError } from "commander";
import { formatReport } from "./report.ts";
import { runIndexing } from "./run.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

interface Options {
  readonly input: string;
  readonly bus: string;
  readonly workers: number;
  readonly json?: string;
}

const options = new Command("file-index")
  .description("Indexes every text file under a folder, with workers that die on the way.")
  .option("--input <dir>", "the folder; by default this project", PROJECT)
  .option("--bus <url>", "memory:, nats://host:port, or nats: for a server of its own", "memory:")
  .option("--workers <n>", "how many workers", workerCount, 4)
  .option("--json <file>", "writes the findings as JSON")
  .allowExcessArguments(false)
  .parse()
  .opts<Options>();

process.exitCode = await main().catch((error: unknown) => {
  console.error(`file-index: ${error instanceof Error ? error.message : String(error)}`);
  return 1;
});

/** Resolves with the exit code. */
async function main(): Promise<number> {
  await using server = options.bus === "nats:" ? await startNatsServer() : undefined;
  const report = await runIndexing({
    root: resolve(options.input),
    url: server?.url ?? options.bus,
    workers: options.workers,
  });
  console.log(formatReport(report));
  if (options.json !== undefined) {
    await writeFile(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  }
  return report.problems.length === 0 ? 0 : 1;
}

function workerCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 2 && count <= 64) return count;
  throw new InvalidArgumentError("must be from 2 to 64: one of them dies.");
}
