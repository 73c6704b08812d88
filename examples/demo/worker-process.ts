import { once } from "node:events";
import { openBus } from "@busbar/core";
import type { WorkerConfig } from "./crew.ts";
import { runWorker, type WorkerEvent } from "./worker.ts";

// A worker as a process of its own, which may be killed at any time.

const { url, name } = JSON.parse(process.argv[2] ?? "") as WorkerConfig;
// Nobody is left who could end it.
process.on("disconnect", () => process.exit(1));

const tell = (event: WorkerEvent | { readonly type: "ready" }): void => void process.send?.(event);

const bus = await openBus(url);
const worker = await runWorker(bus, name, tell);
tell({ type: "ready" });
await once(process, "message");
await worker.stop();
await bus.close();
// Else the channel to the parent keeps the process alive.
process.removeAllListeners("disconnect");
process.disconnect();
