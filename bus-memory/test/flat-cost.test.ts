import { describe, expect, it } from "vitest";
import { cpuMs, next, world } from "./support.ts";

// What an operation costs must not depend on how much is queued. The limits are far above what is
// measured on a quiet machine (1.1 at most) and far below what a scan would give.
const STEPS = 5_000;
const FEW = 1_000;
const MANY = 200_000;
const MOST_TIMES_DEARER = 4;

async function ratio(cost: (queued: number) => Promise<number>): Promise<number> {
  await cost(FEW);
  const few = Math.min(await cost(FEW), await cost(FEW), await cost(FEW));
  const many = Math.min(await cost(MANY), await cost(MANY));
  return many / few;
}

describe("the cost of an operation", () => {
  it("is flat over queued jobs: enqueue, claim, ack", async () => {
    const measured = await ratio(async (queued) => {
      const bus = await world().open();
      const jobs = Array.from({ length: 1_000 }, () => ({ payload: "x" }));
      for (let index = 0; index < queued; index += 1_000) await bus.jobs.enqueueMany("q", jobs);
      const start = cpuMs();
      for (let step = 0; step < STEPS; step++) {
        await bus.jobs.enqueue("q", { payload: "x" });
        const [job] = await bus.jobs.claim("q", { workerId: "w" });
        if (step % 2 === 0) await job?.ack();
        else await job?.nak({ delayMs: 1_000 });
      }
      const cost = cpuMs() - start;
      await bus.close({ drainMs: 0 });
      return cost;
    });
    expect(measured).toBeLessThan(MOST_TIMES_DEARER);
  });

  it("is flat over stored messages: publish, deliver, ack", async () => {
    const measured = await ratio(async (queued) => {
      const bus = await world().open();
      for (let index = 0; index < queued; index++) await bus.pubsub.publish("s.a", "x");
      const subscription = await bus.pubsub.subscribe("s.*", { durable: "d" });
      const start = cpuMs();
      for (let step = 0; step < STEPS; step++) {
        await bus.pubsub.publish("s.a", "x");
        await (await next(subscription)).ack();
      }
      const cost = cpuMs() - start;
      await bus.close({ drainMs: 0 });
      return cost;
    });
    expect(measured).toBeLessThan(MOST_TIMES_DEARER);
  });

  it("is flat over keys: put, get, delete, a page", async () => {
    const measured = await ratio(async (queued) => {
      const bus = await world().open();
      for (let index = 0; index < queued; index++) await bus.kv.put("b", `k.${index}`, "x");
      const start = cpuMs();
      for (let step = 0; step < STEPS; step++) {
        await bus.kv.put("b", `new.${step}`, "x");
        await bus.kv.get("b", `k.${step % FEW}`);
        await bus.kv.delete("b", `new.${step}`);
        if (step % 100 === 0) await bus.kv.keys("b", { after: `k.${step}`, limit: 10 });
      }
      const cost = cpuMs() - start;
      await bus.close({ drainMs: 0 });
      return cost;
    });
    expect(measured).toBeLessThan(MOST_TIMES_DEARER);
  });
});
