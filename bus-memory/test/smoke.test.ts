import { openBus, toText, VirtualClock } from "@busbar/core";
import { expect, it } from "vitest";
import { MemoryServer } from "../src/index.ts";

it("carries a message, a request, a value and a job", async () => {
  const clock = new VirtualClock();
  const server = new MemoryServer({ clock, seed: 1 });
  const bus = await openBus({ backend: "memory", server });

  const subscription = await bus.pubsub.subscribe("a.*", { durable: "d" });
  await bus.pubsub.publish("a.b", "hello", { headers: { x: "1" } });
  for await (const message of subscription) {
    expect(toText(message.payload)).toBe("hello");
    expect(message.headers).toEqual({ x: "1" });
    await message.ack();
    break;
  }

  await bus.rpc.serve("sum", ({ payload }) => `${toText(payload)}!`);
  expect(toText((await bus.rpc.request("sum", "1")).payload)).toBe("1!");

  const revision = await bus.kv.create("b", "k", "v");
  expect(await bus.kv.cas("b", "k", "w", revision)).toBeGreaterThan(revision);
  const lease = await bus.kv.lease("b", "k", { ttlMs: 1_000 });
  expect(lease.fence).toBe(1);
  await expect(bus.kv.lease("b", "k", { ttlMs: 1_000 })).rejects.toMatchObject({
    code: "LEASE_HELD",
  });

  await bus.jobs.enqueue("q", { payload: "job" });
  const [job] = await bus.jobs.claim("q", { workerId: "w" });
  await job?.ack();
  expect(await bus.jobs.stats("q")).toEqual({
    ready: 0,
    delayed: 0,
    leased: 0,
    dead: 0,
    paused: false,
  });

  expect(await bus.close()).toEqual({ abandoned: 0 });
  expect(server.stats()).toMatchObject({
    buses: 0,
    pendingDeadlines: 0,
    timers: 0,
    leases: 0,
    subscriptions: 0,
  });
  expect(clock.pendingTimers).toBe(0);
});
