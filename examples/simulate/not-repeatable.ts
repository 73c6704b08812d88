import { defineScenario } from "@busbar/bus-memory";

// Wrong on purpose: this outlives a run, so the next run of the same seed finds the rate in it.
const cache = new Map<string, string>();

export const scenario = defineScenario({
  name: "not-repeatable",
  faults: { delayMs: [1, 10] },
  script: () => ["order", "order"],
  setUp: (world) => world.process("shop").bus,
  step: async (_world, _step, bus) => {
    if (!cache.has("EUR")) {
      await bus.kv.get("rates", "EUR");
      cache.set("EUR", "1.1");
    }
    await bus.pubsub.publish("orders.placed", "1");
  },
});
