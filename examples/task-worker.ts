import {
  stopOnSignal,
  TaskQueue,
  TenantDirectory,
  TenantRegistry,
  WorkerPool,
} from "@busbar/coordination";
import { openBus } from "@busbar/core";

// A worker as a program of its own, which ends in good order when it is told to.

const bus = await openBus();
const registry = new TenantRegistry(bus);
const tenants = await TenantDirectory.open(registry);
const pool = new WorkerPool({
  bus,
  queue: "reports",
  tenants,
  handlers: { report: (_task, { clock }) => clock.sleep(50) },
  concurrency: 4,
  onEvent: (event) => {
    // Here somebody submits a task, and an operator stops the program while it runs.
    if (event.type === "started") process.kill(process.pid, "SIGTERM");
  },
});
await pool.start();
const stopped = stopOnSignal(pool, { mode: "finish", deadlineMs: 20_000 });

await registry.register({ id: "ann", name: "Ann Ltd" });
const queue = new TaskQueue({ bus, queue: "reports", tenants });
await queue.submit({ tenant: "ann", type: "report" });

console.log(await stopped);
await queue.close();
await tenants.close();
await bus.close();
/* Prints, on memory and NATS:
{ finished: 1, aborted: 0 }
*/
