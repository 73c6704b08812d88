import { describe, expect, it } from "vitest";
import { ALL_FAULTS, simulate, type World } from "../../src/index.ts";

const HOUR_MS = 3_600_000;

/** Three workers with leases, heartbeats, retries and delays, for an hour and more. */
async function busyHour(world: World): Promise<number> {
  let done = 0;
  for (const name of ["w1", "w2", "w3"]) {
    world.process(name, async ({ bus, clock, random, signal }) => {
      while (!signal.aborted) {
        const claim = { workerId: name, leaseMs: 30_000, waitMs: 60_000 };
        for (const job of await bus.jobs.claim("q", claim).catch(() => [])) {
          await clock.sleep(random.next() * 20_000);
          await job.heartbeat().catch(() => undefined);
          await clock.sleep(random.next() * 20_000);
          const isTried = random.next() < 0.2 ? job.nak({ delayMs: 60_000 }) : job.ack();
          await isTried.then(() => (done += 1)).catch(() => undefined);
        }
      }
    });
  }
  const { bus } = world.process("producer");
  for (let minute = 0; minute < 60; minute += 1) {
    const job = { payload: `${minute}`, maxAttempts: 20, delayMs: (minute % 3) * 30_000 };
    await bus.jobs.enqueue("q", job).catch(() => undefined);
    await world.sleep(60_000);
  }
  return done;
}

describe("virtual time", () => {
  it("passes by the hour: leases, retries and delays of three workers", async () => {
    const report = await simulate({ seed: 1, drain: (world) => world.isAtRest() }, busyHour);
    expect(report.virtualMs).toBeGreaterThanOrEqual(HOUR_MS);
    expect(report.value).toBeGreaterThanOrEqual(60);
    const faulty = await simulate({ seed: 1, faults: ALL_FAULTS }, busyHour);
    expect(faulty.virtualMs).toBeGreaterThanOrEqual(HOUR_MS);
    expect(Object.keys(faulty.faults).length).toBeGreaterThan(5);
  });

  it("jumps to what is due while a result is awaited, exactly", async () => {
    const { virtualMs } = await simulate({ seed: 1 }, async (world) => {
      const { bus } = world;
      await bus.jobs.enqueue("q", { payload: "x", delayMs: HOUR_MS });
      const [job] = await bus.jobs.claim("q", { workerId: "w", waitMs: 2 * HOUR_MS });
      expect(world.clock.monotonic()).toBe(HOUR_MS);
      await job?.nak({ delayMs: 1_500 });
      await bus.jobs.claim("q", { workerId: "w", waitMs: 60_000 });
    });
    expect(virtualMs).toBe(HOUR_MS + 1_500);
  });

  it("passes in steps of any size: sleep, advance, until, and the clock itself", async () => {
    await simulate({ seed: 1 }, async (world) => {
      const { clock } = world;
      const fired: number[] = [];
      for (const atMs of [10, 20, 5_000]) clock.setTimer(() => fired.push(atMs), atMs);
      await world.sleep(10);
      expect([clock.monotonic(), fired]).toEqual([10, [10]]);
      await world.advance(15);
      expect([clock.monotonic(), fired]).toEqual([25, [10, 20]]);
      await clock.advance(5);
      expect(clock.monotonic()).toBe(30);
      await clock.runUntilIdle({ maxMs: 10_000 });
      expect(fired).toEqual([10, 20, 5_000]);
      const startMs = clock.monotonic();
      await world.until("a second has passed", () => clock.monotonic() >= startMs + 1_000);
      expect(clock.monotonic()).toBe(startMs + 1_000);
      const never = world.until("pigs fly", () => false, { withinMs: 500, everyMs: 100 });
      await expect(never).rejects.toThrow("not within 500 ms: pigs fly");
      expect(clock.monotonic()).toBe(startMs + 1_500);
    });
  });

  it("is the server's time too, whole milliseconds on the wall", async () => {
    await simulate({ seed: 1 }, async (world) => {
      const startMs = world.clock.now();
      await world.sleep(12.5);
      await world.bus.pubsub.publish("s", "x");
      const subscription = await world.bus.pubsub.subscribe("s", { from: "all" });
      const { value } = await subscription[Symbol.asyncIterator]().next();
      expect(value?.publishedAtMs).toBe(startMs + 12);
    });
  });

  it("may not pass for longer than the scenario is allowed", async () => {
    const endless = simulate({ seed: 1, maxMs: HOUR_MS }, async (world) => {
      for (;;) await world.sleep(1_000);
    });
    await expect(endless).rejects.toMatchObject({
      by: "scenario",
      message: expect.stringContaining(`still pending at +${HOUR_MS} ms`) as string,
    });
  });
});

describe("a deadlock", () => {
  it("fails, and lists who waits for what", async () => {
    const stuck = simulate({ seed: 1, graceMs: 10 }, async (world) => {
      await world.bus.jobs.enqueue("left", { payload: "x" });
      world.process("idle", () => undefined);
      world.process("reader", async ({ bus }) => {
        const subscription = await bus.pubsub.subscribe("orders.>", { durable: "billing" });
        for await (const _ of subscription) await new Promise(() => undefined);
      });
      const { bus } = world.process("producer");
      await bus.pubsub.publish("orders.placed", "x");
      const never = await bus.pubsub.subscribe("never");
      await never[Symbol.asyncIterator]().next();
    });
    const error = await stuck.catch((failure: unknown) => failure);
    expect(error).toMatchObject({ by: "deadlock" });
    const lines = String(error).split("\n");
    expect(lines[0]).toMatch(/seed 1: deadlock: the promise is pending and no timer is set$/);
    expect(lines).toContain("  queue left: 1 ready, 0 delayed, 0 leased");
    expect(lines).toContain("  durable billing on orders.>: 1 not settled");
    expect(lines).toContain("  producer (running) waits for message producer/1 since +0.0 ms");
    expect(lines).toContain("  idle (running) waits for nothing of the bus");
  });

  it("is seen although faults would go on for ever", async () => {
    const stuck = simulate({ seed: 1, faults: ALL_FAULTS, graceMs: 10 }, async (world) => {
      world.process("p", () => undefined);
      await new Promise(() => undefined);
    });
    await expect(stuck).rejects.toMatchObject({ by: "deadlock" });
  });

  it("is seen although a process that was killed meant to sleep on", async () => {
    const stuck = simulate({ seed: 1, graceMs: 10 }, async (world) => {
      const process = world.process("p", ({ clock }) => clock.sleep(3_600_000));
      await world.sleep(10);
      process.kill();
      await new Promise(() => undefined);
    });
    const error = await stuck.catch((failure: unknown) => failure);
    expect(error).toMatchObject({ by: "deadlock" });
    expect(String(error)).toMatch(/p \(killed\) waits for nothing of the bus$/);
  });

  it("names the calls that wait, and since when", async () => {
    const stuck = simulate({ seed: 1, graceMs: 10 }, async (world) => {
      const process = world.process("boss");
      await world.sleep(70);
      process.pause();
      await process.bus.kv.put("b", "k", "v");
    });
    await expect(stuck).rejects.toThrow("boss (paused) waits for kv.put b/k since +70.0 ms");
  });

  it("names the streams that give nothing", async () => {
    const stuck = simulate({ seed: 1, graceMs: 10 }, async (world) => {
      const { bus } = world.process("p");
      const listener = await bus.pubsub.listen("news.>");
      const watch = (await bus.kv.watch("rates"))[Symbol.asyncIterator]();
      const subscription = await bus.pubsub.subscribe("s", { durable: "billing" });
      expect((await watch.next()).value?.type).toBe("initialDone");
      await world.sleep(5);
      const streams = [listener, subscription].map((one) => one[Symbol.asyncIterator]());
      await Promise.race([watch, ...streams].map((stream) => stream.next()));
    });
    const waits = ["kv.event rates", "message billing", "live news.>"];
    const since = waits.map((wait) => `${wait} since +5.0 ms`).join(", ");
    await expect(stuck).rejects.toThrow(`p (running) waits for ${since}`);
  });

  it("is none while real I/O is under way", async () => {
    const { value } = await simulate({ seed: 1 }, async () => {
      const { posix } = await import("node:path");
      return posix.join("a", "b");
    });
    expect(value).toBe("a/b");
  });
});
