import { toText } from "@busbar/core";
import { ALL_FAULTS, defineScenario, type ProcessContext, type World } from "../../../src/index.ts";
import { insist } from "./insist.ts";

type Step = { readonly do: "enqueue" } | { readonly do: "wait"; readonly ms: number };

/** Planted: who holds the lock goes on when it is lost, and writes over the next holder. */
export const ignoredLoss = defineScenario({
  name: "ignored-loss",
  faults: ALL_FAULTS,
  script: (random): Step[] =>
    Array.from({ length: 120 }, () =>
      random.next() < 0.5
        ? { do: "enqueue" }
        : { do: "wait", ms: Math.ceil(random.next() * 2_000) },
    ),
  setUp: (world: World) => {
    const state = { tickets: 0, problems: [] as string[] };
    const main = (context: ProcessContext): Promise<void> => hold(context, state.problems);
    for (const name of ["clerk-1", "clerk-2"]) world.process(name, main);
    return { ...state, boss: world.process("boss") };
  },
  step: async (world, step, state) => {
    if (step.do === "wait") return world.sleep(step.ms);
    const dedupKey = `ticket-${++state.tickets}`;
    const { bus, clock } = state.boss;
    await insist(clock, () =>
      bus.jobs.enqueue("tickets", { payload: "x", dedupKey, maxAttempts: 100 }),
    );
  },
  check: (_world, { problems }) => problems,
});

async function hold(
  { name, bus, clock, signal }: ProcessContext,
  problems: string[],
): Promise<void> {
  while (!signal.aborted) {
    const jobs = await insist(clock, () =>
      bus.jobs.claim("tickets", { workerId: name, leaseMs: 20_000, waitMs: 2_000 }),
    );
    for (const job of jobs) {
      const lease = await insist(clock, () =>
        bus.kv.lease("locks", "ledger", { ttlMs: 1_000, waitMs: 3_000, owner: name }),
      );
      await clock.sleep(200);
      const entry = await insist(clock, () => bus.kv.get("ledger", "fence"));
      const last = entry === undefined ? 0 : Number(toText(entry.value));
      if (lease.fence < last) problems.push(`fence ${lease.fence} wrote after fence ${last}`);
      await insist(clock, () => bus.kv.put("ledger", "fence", `${lease.fence}`));
      await lease.release().catch(() => undefined);
      await job.ack().catch(() => undefined);
    }
  }
}
