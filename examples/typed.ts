import {
  defineBucket,
  defineJob,
  defineMethod,
  defineTopic,
  isBusError,
  openBus,
  typedBus,
} from "@busbar/core";
import { z } from "zod";

// Types end to end: a definition has a name and a schema (zod, or any Standard Schema). What does
// not fit is refused at the edge: before it is sent, and before the program sees it.

const order = z.object({
  id: z.string(),
  cents: z.int().positive(),
  rush: z.boolean().default(false),
});
const orderPlaced = defineTopic({ subject: "orders.placed", schema: order });
const packing = defineJob({ queue: "packing", schema: z.object({ orderId: z.string() }) });
const orders = defineBucket({ bucket: "orders", schema: order });
const total = defineMethod({
  subject: "orders.total",
  request: z.object({ ids: z.array(z.string()) }),
  reply: z.object({ cents: z.int() }),
});

await using bus = await openBus();
const typed = typedBus(bus);
const placed = typed.topic(orderPlaced);
const shelf = typed.bucket(orders);
const queue = typed.job(packing);

await placed.publish({ id: "o-1", cents: 1_250 });

// Where the compiler is outwitted, the schema is not.
await placed.publish({ id: "o-2", cents: -1 }).catch((error: unknown) => {
  if (isBusError(error)) console.log(error.code, JSON.stringify(error.details["issues"]));
});

// A message from somebody without the schema never reaches the loop.
await bus.pubsub.publish("orders.placed", '{"id":3}');
await placed.publish({ id: "o-3", cents: 300, rush: true });
const subscription = await placed.subscribe({
  durable: "warehouse",
  onInvalid: (error) => console.log(`refused: ${error.message}`),
});
for await (const message of subscription) {
  const { id, cents, rush } = message.value;
  console.log(`${id}: ${cents} cents, rush: ${rush}`);
  await shelf.put(id, message.value);
  await queue.enqueue({ orderId: id }, { priority: rush ? 9 : 0 });
  await message.ack();
  if (id === "o-3") break;
}

for (const job of await queue.claim({ workerId: "packer", max: 10, waitMs: 1_000 })) {
  console.log(`pack ${job.value.orderId}`);
  await job.ack();
}

const totals = typed.method(total);
await totals.serve(async ({ ids }) => {
  const entries = await Promise.all(ids.map((id) => shelf.get(id)));
  return { cents: entries.reduce((sum, entry) => sum + (entry?.value.cents ?? 0), 0) };
});
console.log(`total: ${(await totals.request({ ids: ["o-1", "o-3"] })).cents} cents`);
/* Prints, on memory and NATS:
INVALID_ARGUMENT [{"path":"cents","problem":"..."}]
o-1: 1250 cents, rush: false
refused: message 2 on orders.placed is not allowed: id: ...; cents: ...
o-3: 300 cents, rush: true
pack o-3
pack o-1
total: 1550 cents
*/
