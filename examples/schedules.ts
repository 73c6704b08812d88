import {
  LeaderElection,
  Schedules,
  TaskQueue,
  TenantDirectory,
  TenantRegistry,
  WorkerPool,
} from "@busbar/coordination";
import { openBus } from "@busbar/core";

// A recurring task. Two processes could submit its ticks; the one that leads does, and each comes once.

await using bus = await openBus();
const registry = new TenantRegistry(bus);
await registry.register({ id: "acme", name: "Acme" });
const tenants = await TenantDirectory.open(registry);
await using queue = new TaskQueue({ bus, queue: "reports", tenants });
const schedules = new Schedules({ bus, queue, tenants });

const startAtMs = Date.now() + 500;
await schedules.put({
  tenant: "acme",
  id: "sales",
  times: { everyMs: 1_000, startAtMs },
  task: { type: "report", payload: "sales" },
  maxTicks: 3,
  catchUp: "all",
});
const nightly = { cron: "30 2 * * MON-FRI", timeZone: "Europe/Berlin" };
await schedules.put({ tenant: "acme", id: "nightly", times: nightly, task: { type: "report" } });

const ending = new AbortController();
const { signal } = ending;
const running = ["one", "two"].map((candidateId) => {
  const leader = new LeaderElection({ bus, name: "ticker", candidateId });
  return new Schedules({ bus, queue, tenants }).run({ signal, leader });
});

const reported = new Promise<void>((resolve) => {
  const pool = new WorkerPool({
    bus,
    queue: "reports",
    tenants,
    handlers: {
      report: ({ headers }) => {
        const tick = (Number(headers["schedule-tick"]) - startAtMs) / 1_000 + 1;
        console.log(`tick ${tick} of ${String(headers["schedule"])}`);
        if (tick === 3) resolve(pool.stop().then(() => undefined));
      },
    },
  });
  void pool.start();
});
await reported;
ending.abort();
await Promise.all(running);

const { schedules: all } = await schedules.list({ tenant: "acme" });
for (const { id, ticks, nextTickAtMs } of all) {
  console.log(
    `${id}: ${ticks} ticks, ${nextTickAtMs === undefined ? "at its end" : "more to come"}`,
  );
}
await tenants.close();
/* Prints, on memory and NATS:
tick 1 of sales
tick 2 of sales
tick 3 of sales
nightly: 0 ticks, more to come
sales: 3 ticks, at its end
*/
