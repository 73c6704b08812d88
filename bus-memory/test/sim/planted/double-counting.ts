import { type KvStore, toText } from "@busbar/core";
import { ALL_FAULTS, defineScenario, type ProcessContext, type World } from "../../../src/index.ts";
import { insist } from "./insist.ts";

type Step =
  | { readonly do: "order"; readonly cents: number }
  | { readonly do: "wait"; readonly ms: number };

/** Planted: a message whose ack is lost is counted twice. */
export const doubleCounting = defineScenario({
  name: "double-counting",
  faults: ALL_FAULTS,
  script: (random): Step[] =>
    Array.from({ length: 120 }, () =>
      random.next() < 0.8
        ? { do: "order", cents: Math.ceil(random.next() * 100) }
        : { do: "wait", ms: Math.ceil(random.next() * 3_000) },
    ),
  setUp: (world: World) => {
    world.process("billing", bill);
    return { shop: world.process("shop"), sum: 0, orders: 0 };
  },
  step: async (world, step, state) => {
    if (step.do === "wait") return world.sleep(step.ms);
    const messageId = `order-${++state.orders}`;
    const { bus, clock } = state.shop;
    await insist(clock, () => bus.pubsub.publish("orders", `${step.cents}`, { messageId }));
    state.sum += step.cents;
  },
  check: async (world, { sum }) => {
    const entry = await world.bus.kv.get("billing", "total");
    const total = entry === undefined ? 0 : Number(toText(entry.value));
    return total === sum ? [] : [`total ${total} instead of ${sum}`];
  },
});

async function bill({ bus, clock }: ProcessContext): Promise<void> {
  const messages = await insist(clock, () =>
    bus.pubsub.subscribe("orders", {
      durable: "billing",
      ackWaitMs: 5_000,
      maxDeliveries: Infinity,
    }),
  );
  for await (const message of messages) {
    await insist(clock, () => add(bus.kv, Number(toText(message.payload))));
    await message.ack().catch(() => undefined);
  }
}

async function add(kv: KvStore, cents: number): Promise<void> {
  const entry = await kv.get("billing", "total");
  const total = (entry === undefined ? 0 : Number(toText(entry.value))) + cents;
  await kv.cas("billing", "total", `${total}`, entry?.revision ?? 0);
}
