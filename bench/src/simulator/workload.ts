import { defineScenario, type ScenarioDefinition } from "@busbar/bus-memory";
import type { Bus } from "@busbar/core";

/** Batches of a run, and how many operations of each contract a batch has under way at once. */
const BATCHES = 60;
const IN_FLIGHT = 64;

type Workload = ScenarioDefinition<number, Bus>;

/** What a workload is run with. */
export type Conditions = Pick<Workload, "name" | "faults" | "checkers">;

/** Messages that a durable acknowledges, jobs that a worker claims in batches, values that are watched. */
export function workload(conditions: Conditions): Workload {
  return defineScenario<number, Bus>({
    ...conditions,
    script: () => Array.from({ length: BATCHES }, () => IN_FLIGHT),
    setUp: (world) => {
      world.process("reader", ({ bus }) => readMessages(bus));
      world.process("worker", ({ bus }) => workOnJobs(bus));
      world.process("watcher", ({ bus }) => watchValues(bus));
      return world.process("writer").bus;
    },
    step: async (_world, size, bus) => {
      const once = async (index: number): Promise<void> => {
        const key = `k${index}`;
        await Promise.all([
          bus.pubsub.publish("s", "payload"),
          bus.jobs.enqueue("q", { payload: "payload" }),
          bus.kv.put("b", key, "value").then(() => bus.kv.get("b", key)),
        ]);
      };
      await Promise.all(Array.from({ length: size }, (_, index) => once(index)));
    },
  });
}

async function readMessages(bus: Bus): Promise<void> {
  const options = { durable: "reader", maxInFlight: IN_FLIGHT };
  for await (const message of await bus.pubsub.subscribe("s", options)) await message.ack();
}

async function workOnJobs(bus: Bus): Promise<void> {
  for (;;) {
    const jobs = await bus.jobs.claim("q", { workerId: "w", max: 32, waitMs: 60_000 });
    await Promise.all(jobs.map((job) => job.ack()));
  }
}

async function watchValues(bus: Bus): Promise<void> {
  for await (const _event of await bus.kv.watch("b"));
}
