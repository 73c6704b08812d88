import { type Bus, toText } from "@busbar/core";

/** Counts the money of every order. */
export async function billOrders(bus: Bus): Promise<void> {
  const orders = await bus.pubsub.subscribe("orders.placed", { durable: "billing" });
  for await (const order of orders) {
    const entry = await bus.kv.get("billing", "total");
    const total = entry === undefined ? 0 : Number(toText(entry.value));
    const cents = Number(toText(order.payload));
    await bus.kv.cas("billing", "total", `${total + cents}`, entry?.revision ?? 0);
    await order.ack();
  }
}

/** The money of all orders so far, in cents. */
export async function billedCents(bus: Bus): Promise<number> {
  const entry = await bus.kv.get("billing", "total");
  return entry === undefined ? 0 : Number(toText(entry.value));
}
