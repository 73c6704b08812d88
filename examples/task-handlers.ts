import {
  DiscardTask,
  RetryTask,
  type Task,
  type TaskContext,
  TaskQueue,
  TenantDirectory,
  TenantRegistry,
  WorkerPool,
} from "@busbar/coordination";
import { openBus, toText } from "@busbar/core";

// What a handler can do besides returning a result: report, ask for another attempt, give up.

await using bus = await openBus();
const registry = new TenantRegistry(bus);
await registry.register({ id: "ann", name: "Ann Ltd" });
const tenants = await TenantDirectory.open(registry);
await using queue = new TaskQueue({ bus, queue: "exports", tenants });

/** It may run twice: what it does elsewhere must be the same the second time. */
async function exportTable(task: Task, context: TaskContext) {
  const table = toText(task.payload);
  // For good: it goes to the dead letters.
  if (table === "") throw new DiscardTask("no table is named");
  // Again, after this time. Anything else that is thrown is tried again after a pause that grows.
  if (task.attempt === 1) throw new RetryTask(100, "the database is busy");
  for (const part of [1, 2]) {
    // Aborts with a timeout, a cancel, a lost lease, or the end of the pool.
    await context.clock.sleep(10, { signal: context.signal });
    context.progress({ part });
    context.log(`part ${part} of ${table} is written`);
  }
  return { rows: 2_000 };
}

const handlers = { export: exportTable };
const pool = new WorkerPool({ bus, queue: "exports", tenants, handlers });
await pool.start();

const good = await queue.submit({ tenant: "ann", type: "export", payload: "orders" });
console.log(await good.result());
const record = await good.record();
console.log(
  record?.attempts.map(({ error }) => error?.message ?? "done"),
  record?.logs,
);

const bad = await queue.submit({ tenant: "ann", type: "export" });
console.log(await bad.result());

await pool.stop();
await tenants.close();
/* Prints, on memory and NATS:
{ ok: true, value: { rows: 2000 } }
[ 'the database is busy', 'done' ] [ 'part 1 of orders is written', 'part 2 of orders is written' ]
{
  ok: false,
  error: { kind: 'discarded', message: 'no table is named' }
}
*/
