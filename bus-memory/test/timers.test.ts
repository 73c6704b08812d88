import { settle } from "@busbar/core/adapter";
import { describe, expect, it } from "vitest";
import { leftovers, next, world } from "./support.ts";

describe("timers", () => {
  it("are one for ten thousand deliveries, leases, waits and requests", async () => {
    const { clock, open, server } = world();
    const bus = await open();
    const subscription = await bus.pubsub.subscribe("s", { durable: "d", maxInFlight: 10_000 });
    await bus.rpc.serve("r", () => new Promise(() => undefined), { concurrency: 100_000 });
    const messages = subscription[Symbol.asyncIterator]();
    const waiting: Promise<unknown>[] = [];
    for (let index = 0; index < 2_500; index++) {
      await bus.pubsub.publish("s", "x");
      await messages.next();
      await bus.jobs.enqueue("q", { payload: "x" });
      const [job] = await bus.jobs.claim("q", { workerId: "w" });
      void job?.lease.lost;
      waiting.push(bus.jobs.claim("empty", { workerId: "w", waitMs: 60_000 }));
      waiting.push(bus.rpc.request("r", "").catch(() => undefined));
    }
    expect(server.stats().pendingDeadlines).toBe(12_500);
    expect(server.stats().timers).toBe(1);
    expect(clock.pendingTimers).toBe(1);
    await clock.autoAdvance(Promise.all(waiting));
    await clock.autoAdvance(bus.close({ drainMs: 0 }));
    expect(clock.pendingTimers).toBe(0);
  });

  it("are gone when everything is settled, with the bus still open", async () => {
    const { clock, open, server } = world();
    await using bus = await open();
    const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
    for (let index = 0; index < 1_000; index++) {
      await bus.pubsub.publish("s", "x");
      await (await next(subscription)).ack();
      await bus.jobs.enqueue("q", { payload: "x" });
      const [job] = await bus.jobs.claim("q", { workerId: "w" });
      await job?.ack();
    }
    await settle();
    expect(server.stats()).toMatchObject({ pendingDeadlines: 0, timers: 0, unsettled: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  it("leave nothing behind after ten thousand timeouts of each kind", async () => {
    const { clock, open, server } = world();
    const bus = await open();
    const ended: Promise<unknown>[] = [];
    const handlers: (() => void)[] = [];
    const handler = (): Promise<void> => new Promise((resolve) => handlers.push(resolve));
    await bus.rpc.serve("r", handler, { concurrency: 100_000 });
    const abort = new AbortController();
    for (let index = 0; index < 10_000; index++) {
      ended.push(bus.rpc.request("r", "", { timeoutMs: 100 }).catch(() => undefined));
      ended.push(bus.jobs.claim("q", { workerId: "w", waitMs: 100 }));
      const { signal } = abort;
      ended.push(
        bus.jobs.claim("q", { workerId: "w", waitMs: 1e6, signal }).catch(() => undefined),
      );
    }
    expect(server.stats()).toMatchObject({ pendingRequests: 10_000, waitingClaims: 20_000 });
    await clock.advance(100);
    abort.abort();
    await Promise.all(ended);
    expect(server.stats()).toMatchObject({ pendingRequests: 0, waitingClaims: 0 });
    expect(server.stats().pendingDeadlines).toBe(0);
    // Late replies are dropped.
    for (const answer of handlers) answer();
    await settle();
    await bus.close();
    expect(leftovers(server)).toEqual({});
  });

  it("do not move the time of an idle bus", async () => {
    const { clock, open } = world();
    await using bus = await open();
    const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
    const waiting = next(subscription);
    await bus.kv.watch("b");
    await bus.pubsub.listen("s");
    expect(await clock.runUntilIdle()).toBe(true);
    expect(clock.monotonic()).toBe(0);
    await bus.pubsub.publish("s", "x");
    await (await waiting).ack();
  });
});
