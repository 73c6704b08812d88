import { writeSync, openSync } from "node:fs";
import { openBus, systemRandom } from "@busbar/core";
import { type Task, TenantDirectory, TenantRegistry, WorkerPool } from "../../src/index.ts";
import type { WorkerConfig } from "./crew.ts";
import type { WorkerLine } from "./history.ts";

// A worker process of the kill test: runs tasks, and writes down when each begins and ends. It says that
// it is ready, and ends when it is told to or its parent is gone.

const { url, namespace, leaseMs, file } = JSON.parse(process.argv[2] ?? "") as WorkerConfig;
const lines = openSync(file, "a");

function tell(type: WorkerLine["type"], { id, tenant, fence, attempt }: Task): void {
  const atMs = Number(process.hrtime.bigint()) / 1e6;
  const line: WorkerLine = { type, id, tenant, fence, attempt, atMs };
  writeSync(lines, `${JSON.stringify(line)}\n`);
}

const bus = await openBus({ backend: "nats", servers: url, namespace });
const tenants = await TenantDirectory.open(new TenantRegistry(bus));
const pool = new WorkerPool({
  bus,
  queue: "q",
  tenants,
  concurrency: 8,
  leaseMs,
  handlers: {
    work: async (task, { signal, clock }) => {
      const onAbort = (): void => tell("aborted", task);
      tell("begin", task);
      signal.addEventListener("abort", onAbort);
      await clock.sleep(50 + systemRandom.next() * 200, { signal });
      signal.removeEventListener("abort", onAbort);
      tell("end", task);
      return task.id;
    },
  },
});
process.on("disconnect", () => process.exit());
async function end(): Promise<void> {
  await pool.stop();
  await tenants.close();
  await bus.close();
  process.disconnect();
}

process.once("message", () => void end());
await pool.start();
process.send?.("ready");
