import {
  DiscardTask,
  TaskQueue,
  TenantDirectory,
  TenantRegistry,
  WorkerPool,
} from "@busbar/coordination";
import { openBus, toText } from "@busbar/core";

// What people do who keep a queue running: ask why, pause, look at what failed, remove a tenant.

await using bus = await openBus();
const known = new TenantRegistry(bus);
const tenants = await TenantDirectory.open(known);
await using queue = new TaskQueue({ bus, queue: "mail", tenants });
// Whoever deletes tenants names what belongs to them.
const registry = new TenantRegistry(bus, { cleaners: [queue] });
await registry.register({ id: "ann", name: "Ann Ltd" });

const addresses = new Set(["bob@example.org"]);
const handlers = {
  mail: ({ payload }: { readonly payload: Uint8Array }) => {
    if (!addresses.has(toText(payload))) throw new DiscardTask("nobody lives there");
  },
};
const pool = new WorkerPool({ bus, queue: "mail", tenants, handlers });
await pool.start();

// Why does it not run? What runs goes on; what waits waits.
await queue.pause("ann");
const task = await queue.submit({ tenant: "ann", type: "mail", payload: "eve@example.org" });
console.log((await queue.explain(task.id)).text);
await queue.resume("ann");
console.log(await task.result());

// What failed for good is kept until somebody decides.
const { tasks } = await queue.dead.list("ann");
console.log(tasks.map(({ reason, payload }) => `${toText(payload)}: ${reason}`));
addresses.add("eve@example.org");
for (const { id } of tasks) {
  const again = await queue.dead.replay(id);
  console.log(await again?.result());
}

// How much a tenant uses, and its end: tasks, results and counts go with it.
const { perDay } = await queue.usage("ann");
console.log(perDay);
await pool.stop();
await registry.delete("ann");
console.log(await registry.get("ann"));
await tenants.close();
/* Prints, on memory and NATS:
queued
its tenant is paused
{
  ok: false,
  error: { kind: 'discarded', message: 'nobody lives there' }
}
[ 'eve@example.org: nobody lives there' ]
{ ok: true, value: null }
{ used: 2, allowed: 1000 }
undefined
*/
