import {
  ALL_FAULTS,
  defineScenario,
  type ScenarioDefinition,
  type World,
} from "@busbar/bus-memory";
import type { Bus, Clock } from "@busbar/core";

/** The program under test. */
export interface Billing {
  billOrders(bus: Bus): Promise<void>;
  billedCents(bus: Bus): Promise<number>;
}

/** What happens in a run, one after the other. */
type Step =
  | { readonly do: "order"; readonly cents: number }
  | { readonly do: "wait"; readonly ms: number };

interface Shop {
  readonly bus: Bus;
  readonly clock: Clock;
  orders: number;
  cents: number;
}

export function ordersScenario(name: string, billing: Billing): ScenarioDefinition<Step, Shop> {
  return defineScenario<Step, Shop>({
    name,
    faults: ALL_FAULTS,
    reaches: ["an order was placed again"],

    script: (random) =>
      Array.from({ length: 120 }, () =>
        random.next() < 0.8
          ? { do: "order", cents: 1 + Math.floor(random.next() * 100) }
          : { do: "wait", ms: Math.floor(random.next() * 3_000) },
      ),

    setUp: (world: World) => {
      // The process under test. When it throws it is started again, as a supervisor does.
      world.process("billing", async ({ bus, clock, signal }) => {
        while (!signal.aborted) {
          await billing.billOrders(bus).catch(() => clock.sleep(1_000));
        }
      });
      // A process without code: its bus is for the steps.
      const { bus, clock } = world.process("shop");
      return { bus, clock, orders: 0, cents: 0 };
    },

    step: async (world, step, shop) => {
      if (step.do === "wait") return world.sleep(step.ms);
      shop.orders += 1;
      shop.cents += step.cents;
      // With an id, an order that is placed again is still one order.
      const messageId = `order-${shop.orders}`;
      for (;;) {
        try {
          await shop.bus.pubsub.publish("orders.placed", `${step.cents}`, { messageId });
          return;
        } catch {
          world.note("reached: an order was placed again");
          await shop.clock.sleep(500);
        }
      }
    },

    check: async (world, shop) => {
      const billed = await billing.billedCents(world.bus);
      return billed === shop.cents ? [] : [`${billed} cents were billed instead of ${shop.cents}`];
    },
  });
}
