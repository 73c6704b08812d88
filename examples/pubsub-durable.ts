import { openBus, type Subscription, toText } from "@busbar/core";

// A durable subscription outlives its subscribers: who comes back goes on where the last one stopped.
// What nobody can handle ends in the dead letters, and can be sent again from there.

await using bus = await openBus();

async function handle(subscription: Subscription, count: number): Promise<void> {
  let handled = 0;
  for await (const message of subscription) {
    console.log(`  ${toText(message.payload)}, delivery ${message.deliveryCount}`);
    await message.ack({ confirm: true });
    handled += 1;
    if (handled === count) break; // Leaving the loop closes the subscription.
  }
}

for (const number of [1, 2, 3]) await bus.pubsub.publish("orders.placed", `order ${number}`);

console.log("the first subscriber handles one and leaves");
await handle(await bus.pubsub.subscribe("orders.>", { durable: "billing" }), 1);

// A message id makes it safe to publish again when the answer got lost.
const ids = { messageId: "order-4" };
await bus.pubsub.publish("orders.placed", "order 4", ids);
const again = await bus.pubsub.publish("orders.placed", "order 4", ids);
console.log(`published again: duplicate is ${again.duplicate}`);

console.log("the next one gets the rest");
await handle(await bus.pubsub.subscribe("orders.>", { durable: "billing" }), 3);

console.log("a message that always fails");
await bus.pubsub.publish("payments.failed", "card 7");
const picky = { durable: "picky", maxDeliveries: 2, ackWaitMs: 1_000 };
const failing = await bus.pubsub.subscribe("payments.*", picky);
for await (const message of failing) {
  console.log(`  ${toText(message.payload)}, delivery ${message.deliveryCount}: refused`);
  await message.nak({ delayMs: 50 });
  if (message.deliveryCount === picky.maxDeliveries) break;
}
const { entries } = await bus.pubsub.deadLetters.list("picky");
for (const letter of entries) {
  console.log(`  dead: ${toText(letter.payload)}, ${letter.reason}, ${letter.attempts} deliveries`);
  await bus.pubsub.deadLetters.replay("picky", letter.id);
}
console.log("replayed");
await handle(await bus.pubsub.subscribe("payments.*", picky), 1);
/* Prints, on memory and NATS:
the first subscriber handles one and leaves
  order 1, delivery 1
published again: duplicate is true
the next one gets the rest
  order 2, delivery 1
  order 3, delivery 1
  order 4, delivery 1
a message that always fails
  card 7, delivery 1: refused
  card 7, delivery 2: refused
  dead: card 7, max deliveries, 2 deliveries
replayed
  card 7, delivery 1
*/
