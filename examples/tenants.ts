import {
  type Task,
  TaskQueue,
  TenantDirectory,
  TenantRegistry,
  WorkerPool,
} from "@busbar/coordination";
import { openBus, toText } from "@busbar/core";

// Tenants share one pool of workers. Who has few tasks does not stand behind who has many, and nobody
// has more tasks running than its quota.

await using bus = await openBus();
const registry = new TenantRegistry(bus);
await registry.register({ id: "noisy", name: "Noisy Ltd", quotas: { running: 2 } });
await registry.register({ id: "quiet", name: "Quiet & Sons" });
const tenants = await TenantDirectory.open(registry);
const tasks = new TaskQueue({ bus, queue: "mail", tenants });

const mails = (tenant: string, count: number) =>
  Array.from({ length: count }, (_, index) => ({ tenant, type: "mail", payload: `mail ${index}` }));
await tasks.submitMany(mails("noisy", 100));
await tasks.submitMany(mails("quiet", 3));

const sent: string[] = [];
const handlers = {
  mail: ({ tenant, payload }: Task) => void sent.push(`${tenant}: ${toText(payload)}`),
};
const pool = new WorkerPool({ bus, queue: "mail", tenants, handlers, concurrency: 2 });
await pool.start();
await pool.stop({ mode: "drain" });
await tenants.close();

const ofQuiet = sent.slice(0, 20).filter((mail) => mail.startsWith("quiet"));
console.log(`${sent.length} mails are sent; among the first twenty are ${ofQuiet.join(", ")}`);
const { ready, leased, dead } = await tasks.stats("noisy");
console.log(`left of noisy: ${ready} ready, ${leased} leased, ${dead} dead`);
/* Prints, on memory and NATS:
103 mails are sent; among the first twenty are quiet: mail 0, quiet: mail 1, quiet: mail 2
left of noisy: 0 ready, 0 leased, 0 dead
*/
