import { writeFile } from "node:fs/promises";
import { styleText } from "node:util";
import { startNatsServer } from "@busbar/scripts";
import { Command } from "commander";
import { isKept } from "./promises.ts";
import { runDemo } from "./run.ts";

interface Options {
  readonly bus: string;
  readonly json?: string;
}

const options = new Command("demo")
  .description(
    "Tenants share workers: a noisy one, quiet ones, a suspended one; a worker is killed.",
  )
  .option("--bus <url>", "memory:, nats://host:port, or nats: for a server of its own", "memory:")
  .option("--json <file>", "writes what was found as JSON")
  .allowExcessArguments(false)
  .parse()
  .opts<Options>();

process.exitCode = await main().catch((error: unknown) => {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  return 1;
});

/** Resolves with the exit code. */
async function main(): Promise<number> {
  await using server = options.bus === "nats:" ? await startNatsServer() : undefined;
  const { promises, seconds, ...where } = await runDemo(server?.url ?? options.bus);
  const off = promises.filter((promised) => !isKept(promised));
  console.log(`On ${where.server}, in ${seconds.toFixed(1)} s.`);
  console.log(
    off.length === 0
      ? styleText("green", "Nothing lost, nobody starved, every limit held.")
      : styleText("red", `Off: ${off.map(({ what }) => what).join("; ")}`),
  );
  if (options.json !== undefined) {
    const found = { ...where, seconds, promises };
    await writeFile(options.json, `${JSON.stringify(found, undefined, 2)}\n`);
  }
  return off.length === 0 ? 0 : 1;
}
