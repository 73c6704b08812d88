import { type Bus, toText } from "@busbar/core";

/** The money, and the orders in it: both change in one write, or neither does. */
interface Bill {
  readonly total: number;
  readonly orders: readonly number[];
}

const NO_BILL: Bill = { total: 0, orders: [] };

/** Counts the money of every order, once. */
export async function billOrders(bus: Bus): Promise<void> {
  const orders = await bus.pubsub.subscribe("orders.placed", { durable: "billing" });
  for await (const order of orders) {
    const entry = await bus.kv.get("billing", "bill");
    const bill = entry === undefined ? NO_BILL : (JSON.parse(toText(entry.value)) as Bill);
    if (!bill.orders.includes(order.sequence)) {
      const total = bill.total + Number(toText(order.payload));
      const next: Bill = { total, orders: [...bill.orders, order.sequence] };
      await bus.kv.cas("billing", "bill", JSON.stringify(next), entry?.revision ?? 0);
    }
    await order.ack();
  }
}

/** The money of all orders so far, in cents. */
export async function billedCents(bus: Bus): Promise<number> {
  const entry = await bus.kv.get("billing", "bill");
  return entry === undefined ? 0 : (JSON.parse(toText(entry.value)) as Bill).total;
}
