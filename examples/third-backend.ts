import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBus, toText } from "@busbar/core";

// A backend that is not built in is opened by the name of its package. This one keeps everything in
// one SQLite file (examples/sqlite-bus); docs/write-a-backend.md shows how to write your own.

const folder = await mkdtemp(join(tmpdir(), "busbar-"));
const config = {
  backend: "@busbar-examples/sqlite-bus",
  file: join(folder, "bus.sqlite"),
} as const;

const first = await openBus(config);
const { backend, persistent, crossProcess } = first.capabilities;
console.log(
  `${backend}: survives the process: ${persistent}, shared by processes: ${crossProcess}`,
);
await first.pubsub.publish("orders.placed", "order 1");
await first.jobs.enqueue("mail", { payload: "to Ann", dedupKey: "order-1" });
await first.kv.put("stock", "apples", "3");
await first.close();

// Later, or in another process.
const second = await openBus(config);
for await (const message of await second.pubsub.subscribe("orders.*", { durable: "billing" })) {
  console.log(`billing: ${toText(message.payload)}`);
  await message.ack();
  break;
}
const again = await second.jobs.enqueue("mail", { payload: "to Ann", dedupKey: "order-1" });
console.log(`a second mail for the order: ${again.duplicate ? "no, it is there" : "yes"}`);
for (const job of await second.jobs.claim("mail", { workerId: "worker-1" })) {
  console.log(`${job.queue}: ${toText(job.payload)}, attempt ${job.attempt}`);
  await job.ack();
}
const apples = await second.kv.get("stock", "apples");
console.log(`apples: ${apples && toText(apples.value)}`);
await second.close();
await rm(folder, { recursive: true });
/* Prints, on memory:
sqlite: survives the process: true, shared by processes: true
billing: order 1
a second mail for the order: no, it is there
mail: to Ann, attempt 1
apples: 3
*/
