import { openBus } from "@busbar/core";
import type { WorkerCommand, WorkerConfig } from "./crew.ts";
import { runWorker, type WorkerEvent } from "./worker.ts";

// A worker as a process of its own. The program that started it hears of its work, and may end it.

const config = JSON.parse(process.argv[2] ?? "") as WorkerConfig;
const stop = new AbortController();
const hang = new AbortController();

process.on("message", (command: WorkerCommand) => {
  if (command.type === "hang") hang.abort();
  else stop.abort();
});
// Nobody is left who could end it.
process.on("disconnect", () => process.exit(1));

const tell = (event: WorkerEvent | { readonly type: "ready" }): void => void process.send?.(event);

await using bus = await openBus(config.url);
tell({ type: "ready" });
await runWorker(bus, { ...config, signal: stop.signal, hang: hang.signal, onEvent: tell });
// Else the channel to the parent keeps the process alive.
process.removeAllListeners("disconnect");
process.disconnect();
