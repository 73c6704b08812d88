import { openBus, toText } from "@busbar/core";

// In memory. With BUSBAR_URL=nats://host:4222 the same program runs on NATS.
await using bus = await openBus();

// Publish and subscribe: a durable subscription keeps its place, also while nobody listens.
await bus.pubsub.publish("orders.placed", "order 1");
for await (const message of await bus.pubsub.subscribe("orders.*", { durable: "billing" })) {
  console.log(`billing: ${toText(message.payload)}`);
  await message.ack();
  break;
}

// Request and reply.
await bus.rpc.serve("greet", (request) => `hello, ${toText(request.payload)}`);
const reply = await bus.rpc.request("greet", "Ann");
console.log(toText(reply.payload));

// Keys and values: a write that rests on an old value is refused.
const revision = await bus.kv.put("stock", "apples", "3");
await bus.kv.cas("stock", "apples", "2", revision);
await bus.kv.cas("stock", "apples", "1", revision).catch((error) => console.log(error.code));

// Jobs: one worker has a job at a time; if it dies, the job comes back when the lease is over.
await bus.jobs.enqueue("mail", { payload: "to Ann", maxAttempts: 3 });
const claim = { workerId: "worker-1", leaseMs: 10_000, waitMs: 1_000 };
for (const job of await bus.jobs.claim("mail", claim)) {
  console.log(`${job.queue}: ${toText(job.payload)}, attempt ${job.attempt}`);
  await job.ack();
}
/* Prints, on memory and NATS:
billing: order 1
hello, Ann
CONFLICT
mail: to Ann, attempt 1
*/
