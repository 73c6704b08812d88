import {
  defineTask,
  TaskQueue,
  TenantDirectory,
  TenantRegistry,
  WorkerPool,
} from "@busbar/coordination";
import { openBus } from "@busbar/core";
import { z } from "zod";

// Tenants share a queue and its workers. With BUSBAR_URL=nats://host:4222 they do so on NATS.
await using bus = await openBus();
const registry = new TenantRegistry(bus);
await registry.register({ id: "ann", name: "Ann Ltd", weight: 2, quotas: { running: 2 } });
const tenants = await TenantDirectory.open(registry);
await using queue = new TaskQueue({ bus, queue: "images", tenants });

// A kind of task: what it takes and what it gives. Its handler may run in any process.
const image = z.object({ name: z.string(), width: z.int() });
const resize = defineTask("resize", { input: image, output: z.string() });
const handlers = resize.handler(({ name, width }) => `${name}-${width}.png`);
const pool = new WorkerPool({ bus, queue: "images", tenants, handlers, concurrency: 4 });
await pool.start();

// Whoever has the queue may submit, wait for results, ask and cancel.
const small = { name: "sea", width: 64 };
const task = await resize.submit(queue, { tenant: "ann", input: small, priority: "high" });
console.log(await task.result({ timeoutMs: 10_000 }));
const later = await resize.submit(queue, { tenant: "ann", input: small, delayMs: 3_600_000 });
console.log((await queue.explain(later.id)).text);
console.log(await later.cancel(), await later.status());

await pool.stop({ mode: "drain", deadlineMs: 5_000 });
await tenants.close();
/* Prints, on memory and NATS:
{ ok: true, value: 'sea-64.png' }
queued
it is not to be begun for another ... ms
true cancelled
*/
