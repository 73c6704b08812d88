import { newId, seededRandom } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { next, world } from "./support.ts";

describe("virtual time", () => {
  it("redelivers exactly when the ack wait is over", async () => {
    const { clock, open } = world();
    await using bus = await open();
    const options = { durable: "d", backoffMs: [300, 600, 1_200], maxDeliveries: 5 };
    const subscription = await bus.pubsub.subscribe("s", options);
    await bus.pubsub.publish("s", "x");
    const seen: number[] = [];
    const reading = (async () => {
      for (let count = 1; count <= 5; count++) {
        const message = await next(subscription);
        expect(message.deliveryCount).toBe(count);
        seen.push(clock.monotonic());
      }
    })();
    await clock.autoAdvance(reading);
    expect(seen).toEqual([0, 300, 900, 2_100, 3_300]);
    await clock.advance(1_199);
    expect(await bus.pubsub.deadLetters.count("d")).toBe(0);
    await clock.advance(1);
    expect(await bus.pubsub.deadLetters.list("d")).toMatchObject({
      entries: [{ reason: "max deliveries", attempts: 5, deadAtMs: clock.now() }],
    });
    await clock.runUntilIdle();
    expect(await bus.pubsub.deadLetters.count("d")).toBe(1);
  });

  it("runs an hour of failing jobs in no time", async () => {
    const { clock, open } = world();
    await using bus = await open();
    const worker = (async () => {
      for (;;) {
        const [job] = await bus.jobs.claim("q", { workerId: "w", waitMs: 86_400_000 });
        if (job === undefined) return;
        await clock
          .sleep(60_000)
          .then(() => job.heartbeat())
          .catch(() => undefined);
      }
    })();
    await bus.jobs.enqueue("q", { payload: "x", maxAttempts: 30 });
    await clock.advance(3_600_000);
    expect(await bus.jobs.stats("q")).toMatchObject({ dead: 1, leased: 0, ready: 0 });
    await clock.autoAdvance(worker);
  });

  it("gives the same run for the same seed", async () => {
    const first = await chaos(7);
    expect(first.length).toBeGreaterThan(300);
    expect(await chaos(7)).toEqual(first);
    expect(await chaos(8)).not.toEqual(first);
  });
});

/** Workers, subscribers and lease holders that do this and that; what happened, in order. */
async function chaos(seed: number): Promise<string[]> {
  const { clock, open, server } = world({ seed });
  const bus = await open();
  const random = seededRandom(seed);
  const trace: string[] = [];
  const note = (what: string): void => void trace.push(`${clock.monotonic()} ${what}`);
  const worker = async (name: string): Promise<void> => {
    for (;;) {
      const [job] = await bus.jobs.claim("q", { workerId: name, leaseMs: 50, waitMs: 500 });
      if (job === undefined) return;
      note(`${name} has ${job.id} (${job.attempt}, fence ${job.fence})`);
      await clock.sleep(random.next() * 80);
      const settled = random.next() < 0.5 ? job.ack() : job.nak({ delayMs: random.next() * 40 });
      await settled.then(
        () => note(`${name} settled ${job.id}`),
        (error: Error) => note(`${name}: ${error.message}`),
      );
    }
  };
  const holder = async (name: string): Promise<void> => {
    for (let round = 0; round < 10; round++) {
      const lease = await bus.kv.lease("b", "k", { ttlMs: 60, waitMs: 60_000 });
      note(`${name} holds ${lease.fence} as ${lease.owner}`);
      await clock.sleep(random.next() * 100);
      await lease.release();
    }
  };
  for (let job = 0; job < 60; job++) {
    await bus.jobs.enqueue("q", { payload: newId(random), priority: job % 3, delayMs: job % 7 });
  }
  const running = ["a", "b", "c"].flatMap((name) => [worker(name), holder(name)]);
  await clock.autoAdvance(Promise.all(running));
  const { dead } = await bus.jobs.stats("q");
  note(`${dead} dead`);
  await clock.autoAdvance(bus.close());
  note(JSON.stringify(server.stats()));
  return trace;
}
