import { type Bus, openBus, toText, VirtualClock } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { busBackend, MemoryServer } from "../src/index.ts";
import { VERSION } from "../src/version.ts";
import manifest from "../package.json" with { type: "json" };
import { leftovers, next, take, world } from "./support.ts";

async function publishAndRead(from: Bus, to: Bus): Promise<string> {
  const subscription = await to.pubsub.subscribe("s", { durable: "d" });
  await from.pubsub.publish("s", "hello");
  const message = await next(subscription);
  await message.ack();
  await subscription.close();
  return toText(message.payload);
}

describe("MemoryServer", () => {
  it("is shared by the buses that are opened with it", async () => {
    const { open, server } = world();
    await using one = await open();
    await using other = await open();
    expect(await publishAndRead(one, other)).toBe("hello");
    expect(server.stats().buses).toBe(2);
  });

  it("is private without server and name", async () => {
    await using one = await openBus("memory:");
    await using other = await openBus("memory:");
    await one.kv.put("b", "k", "v");
    expect(await other.kv.get("b", "k")).toBeUndefined();
  });

  it("is shared by name until the last bus of the name is closed", async () => {
    const one = await openBus("memory://shared");
    const other = await openBus("memory://shared");
    await one.kv.put("b", "k", "v");
    await one.close();
    await one.close();
    expect(toText((await other.kv.get("b", "k"))?.value ?? new Uint8Array())).toBe("v");
    await other.close();
    await using anew = await openBus("memory://shared");
    expect(await anew.kv.get("b", "k")).toBeUndefined();
  });

  it("keeps what it has when its last bus is closed, without a timer", async () => {
    const { clock, open, server } = world();
    const bus = await open();
    await bus.jobs.enqueue("q", { payload: "later", delayMs: 1_000 });
    await bus.close();
    expect(server.stats().pendingDeadlines).toBe(1);
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(5_000);
    await using again = await open();
    const [job] = await again.jobs.claim("q", { workerId: "w" });
    expect(job && toText(job.payload)).toBe("later");
    await job?.ack();
  });

  it("keeps namespaces apart", async () => {
    const { open, server } = world();
    await using one = await open({ namespace: "one" });
    await using other = await open({ namespace: "other" });
    const heard = await other.pubsub.listen(">");
    await other.rpc.serve("r", () => "never");
    await other.pubsub.subscribe(">", { durable: "d" });
    await one.pubsub.publish("s", "x", { messageId: "id" });
    await one.kv.put("b", "k", "v");
    await one.jobs.enqueue("q", { payload: "x", dedupKey: "k" });
    await one.kv.lease("b", "l", { ttlMs: 1_000 });
    await expect(one.rpc.request("r", "")).rejects.toMatchObject({ code: "NO_RESPONDERS" });
    expect(await other.kv.get("b", "k")).toBeUndefined();
    expect(await other.jobs.claim("q", { workerId: "w" })).toEqual([]);
    expect((await other.jobs.enqueue("q", { payload: "x", dedupKey: "k" })).duplicate).toBe(false);
    const { duplicate } = await other.pubsub.publish("s", "other", { messageId: "id" });
    expect(duplicate).toBe(false);
    expect(toText((await next(heard)).payload)).toBe("other");
    expect(await other.pubsub.deleteDurable("d")).toBe(true);
    await other.kv.lease("b", "l", { ttlMs: 1_000 });
    expect(server.stats().namespaces).toBe(2);
  });

  it("forgets namespaces that were removed, once nobody uses them, and no others", async () => {
    const { open, server } = world();
    await using bus = await open();
    for (let round = 1; round <= 3; round++) {
      const [view, twin] = [await bus.forNamespace("a"), await bus.forNamespace("a")];
      await using kept = await bus.forNamespace("b");
      for (const one of [view, kept]) {
        await one.pubsub.publish("s", "x");
        await one.kv.put("b", "k", "v");
        await one.jobs.enqueue("q", { payload: "x" });
        await (await one.kv.lease("b", "l", { ttlMs: 1_000 })).release();
      }
      await view.removeNamespace();
      await view.close();
      expect(server.stats().namespaces).toBe(3);
      await twin.kv.put("b", "k", "again");
      await twin.removeNamespace();
      await twin.close();
      expect(server.stats().namespaces).toBe(2);
    }
    const { fence } = await (await bus.forNamespace("b")).kv.lease("b", "l", { ttlMs: 1_000 });
    expect(fence).toBe(4);
  });

  it("refuses a namespace with another dedup window", async () => {
    const { open } = world();
    await using bus = await open({ dedupWindowMs: 1_000 });
    expect(bus.capabilities.dedupWindowMs).toBe(1_000);
    await expect(open({ dedupWindowMs: 2_000 })).rejects.toMatchObject({
      code: "CONFLICT",
      details: { differences: [{ option: "dedupWindowMs", existing: 1_000, wanted: 2_000 }] },
    });
  });

  it("is not confused with other objects, nor given together with a name", async () => {
    const wrong = openBus({ backend: "memory", server: {} });
    await expect(wrong).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    const both = openBus({ backend: "memory", server: new MemoryServer(), name: "x" });
    await expect(both).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    expect(() => new MemoryServer({ seed: -1 })).toThrow(RangeError);
    expect(busBackend.name).toBe("memory");
  });

  it("keeps only as much of a stream as it is told", async () => {
    const { clock, open, server } = world({
      streamLimits: { maxMessages: 3, maxBytes: 25, maxAgeMs: 1_000 },
    });
    await using bus = await open();
    for (const text of ["1", "2", "3", "4"]) await bus.pubsub.publish(`s.${text}`, text);
    expect(server.stats().messages).toBe(3);
    const subscription = await bus.pubsub.subscribe(">", { durable: "d" });
    const messages = await take(subscription, 3);
    expect(messages.map(({ subject }) => subject)).toEqual(["s.2", "s.3", "s.4"]);
    await bus.pubsub.publish("s.1", "x".repeat(24), { expectedLastSequence: 0 });
    expect(server.stats().messages).toBe(2);
    await clock.advance(1_000);
    expect(server.stats().messages).toBe(0);
    const ack = await bus.pubsub.publish("s.1", "y", { expectedLastSequence: 0 });
    expect(ack.sequence).toBe(6);
    await bus.close({ drainMs: 0 });
  });

  it("judges what a program holds by the program's clock, and the rest by its own", async () => {
    const { clock, open } = world();
    const slow = new VirtualClock();
    await using bus = await open({ clock: slow });
    await bus.jobs.enqueue("q", { payload: "x" });
    const [job] = await bus.jobs.claim("q", { workerId: "w", leaseMs: 1_000 });
    // The program stands still; the server does not.
    await clock.advance(1_000);
    expect(await bus.jobs.stats("q")).toMatchObject({ ready: 0, leased: 1 });
    await expect(job?.ack()).rejects.toMatchObject({ code: "LEASE_LOST" });
    // The other way round: the server's time is not over, but the program's is.
    const [again] = await bus.jobs.claim("q", { workerId: "w", leaseMs: 1_000 });
    const { lost } = again?.lease ?? {};
    await slow.advance(1_000);
    expect(lost?.aborted).toBe(true);
    await expect(again?.ack()).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await bus.jobs.stats("q")).toMatchObject({ leased: 1 });
    await bus.close({ drainMs: 0 });
    expect(slow.pendingTimers).toBe(0);
  });

  it("says what it is", async () => {
    const { open } = world();
    await using bus = await open();
    expect(VERSION).toBe(manifest.version);
    expect(bus.capabilities).toMatchObject({
      backend: "memory",
      server: `bus-memory ${VERSION}`,
      timerGranularityMs: 1,
    });
    await using real = await openBus("memory:");
    expect(real.capabilities.timerGranularityMs).toBe(15);
  });

  it("has nothing left of buses that were closed in the middle of everything", async () => {
    const { clock, open, server } = world();
    const bus = await open();
    const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
    for (let index = 0; index < 10; index++) await bus.pubsub.publish("s", "x");
    await next(subscription);
    await bus.pubsub.subscribe("s");
    await bus.pubsub.listen("s");
    await bus.kv.watch("b");
    await bus.rpc.serve("r", () => new Promise(() => undefined));
    const request = bus.rpc.request("r", "").catch((error: unknown) => error);
    await bus.jobs.enqueue("q", { payload: "x" });
    const [job] = await bus.jobs.claim("q", { workerId: "w" });
    const lost = job?.lease.lost;
    const claim = bus.jobs
      .claim("q", { workerId: "w", waitMs: 1e6 })
      .catch((error: unknown) => error);
    await bus.kv.lease("b", "k", { ttlMs: 1_000 });
    const wait = bus.kv
      .lease("b", "k", { ttlMs: 1_000, waitMs: 1e6 })
      .catch((error: unknown) => error);

    // A message, a request with its handler, and a job are in hands.
    const closing = bus.close({ drainMs: 100 });
    expect(await clock.autoAdvance(closing)).toEqual({ abandoned: 4 });
    for (const pending of [request, claim, wait]) {
      expect(await pending).toMatchObject({ code: "CLOSED" });
    }
    expect(lost?.aborted).toBe(true);
    await expect(job?.ack()).rejects.toMatchObject({ code: "CLOSED" });
    // The delivery and the lease come to their end by the server's time.
    expect(leftovers(server)).toEqual({ unsettled: 10, leasedJobs: 1, pendingDeadlines: 2 });
    expect(clock.pendingTimers).toBe(0);
  });
});
