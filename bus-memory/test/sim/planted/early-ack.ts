import { ALL_FAULTS, defineScenario, type ProcessContext, type World } from "../../../src/index.ts";
import { toText } from "@busbar/core";
import { insist } from "./insist.ts";

type Step =
  | { readonly do: "enqueue"; readonly n: number }
  | { readonly do: "wait"; readonly ms: number };

/** Planted: the job is acked before its work is done, so a crash in between loses it. */
export const earlyAck = defineScenario({
  name: "early-ack",
  faults: ALL_FAULTS,
  script: (random): Step[] =>
    Array.from({ length: 120 }, (_, index) =>
      index % 2 === 0
        ? { do: "enqueue", n: index }
        : { do: "wait", ms: Math.ceil(random.next() * 2_000) },
    ),
  setUp: (world: World) => {
    for (const name of ["worker-1", "worker-2"]) world.process(name, work);
    return { boss: world.process("boss"), enqueued: new Set<number>() };
  },
  step: async (world, step, { boss, enqueued }) => {
    if (step.do === "wait") return world.sleep(step.ms);
    const job = { payload: `${step.n}`, dedupKey: `job-${step.n}`, maxAttempts: 100 };
    await insist(boss.clock, () => boss.bus.jobs.enqueue("work", job));
    enqueued.add(step.n);
  },
  check: async (world, { enqueued }) => {
    // The queue is empty as soon as the jobs are acked: their work may take a moment more.
    await world.sleep(60_000);
    const { keys } = await world.bus.kv.keys("done");
    return [...enqueued]
      .filter((n) => !keys.includes(`job-${n}`))
      .map((n) => `job ${n} was never done`);
  },
});

async function work({ name, bus, clock, signal }: ProcessContext): Promise<void> {
  while (!signal.aborted) {
    const jobs = await insist(clock, () =>
      bus.jobs.claim("work", { workerId: name, leaseMs: 5_000, waitMs: 2_000 }),
    );
    for (const job of jobs) {
      const key = `job-${toText(job.payload)}`;
      await job.ack().catch(() => undefined);
      await clock.sleep(100);
      await insist(clock, () => bus.kv.put("done", key, "yes"));
    }
  }
}
