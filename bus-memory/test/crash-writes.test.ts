import { type Bus, toText } from "@busbar/core";
import { beforeEach, describe, expect, it } from "vitest";
import type { MemoryServerOptions } from "../src/index.ts";
import { next, sequences, take, type World, world } from "./support.ts";

const WORKER = { workerId: "w", leaseMs: 10_000 };
const DURABLE = { durable: "d", ackWaitMs: 10_000 };

/** A server on virtual time that remembers the last minute, and a bus on it. */
async function start(options: MemoryServerOptions = {}): Promise<World & { bus: Bus }> {
  const made = world({ unsyncedMs: 60_000, ...options });
  return { ...made, bus: await made.open() };
}

let clock: World["clock"];
let server: World["server"];
let bus: Bus;

beforeEach(async () => {
  ({ clock, server, bus } = await start());
});

async function texts(count: number): Promise<string[]> {
  await using subscription = await bus.pubsub.subscribe(">", { from: "all" });
  return (await take(subscription, count)).map(({ payload }) => toText(payload));
}

describe("writes that a crash has lost", () => {
  it("are the youngest messages, whose sequences are given again", async () => {
    await bus.pubsub.publish("s", "kept", { messageId: "kept" });
    await clock.advance(1_000);
    await bus.pubsub.publish("s", "lost", { messageId: "lost", headers: { a: "b" } });
    await bus.pubsub.publish("other", "lost too");
    server.crash({ lostWritesMs: 1_000 });
    expect(server.stats()).toMatchObject({ messages: 1, messageIds: 1 });
    expect(await bus.pubsub.publish("s", "kept", { messageId: "kept" })).toEqual({
      sequence: 1,
      duplicate: true,
    });
    const ack = await bus.pubsub.publish("s", "new", {
      messageId: "lost",
      expectedLastSequence: 1,
    });
    expect(ack).toEqual({ sequence: 2, duplicate: false });
    await bus.pubsub.publish("other", "newer", { expectedLastSequence: 0 });
    expect(await texts(3)).toEqual(["kept", "new", "newer"]);
    await using subscription = await bus.pubsub.subscribe("s", { from: { sequence: 2 } });
    expect((await next(subscription)).headers).toEqual({});
  });

  it("are gone wherever they were: buffered, held, delayed, dead, not yet delivered", async () => {
    const options = { ...DURABLE, maxInFlight: 5, maxDeliveries: 2 };
    const subscription = await bus.pubsub.subscribe("s", options);
    await bus.pubsub.publish("s", "kept");
    await clock.advance(1_000);
    for (let index = 0; index < 10; index++) await bus.pubsub.publish("s", "lost");
    const [, held, delayed, dead] = await take(subscription, 4);
    await delayed?.nak({ delayMs: 5_000 });
    await dead?.nak();
    const last = await take(subscription, 3);
    expect(last.map(({ deliveryCount }) => deliveryCount)).toEqual([1, 1, 2]);
    await last[2]?.nak();
    expect(await bus.pubsub.deadLetters.count("d")).toBe(1);
    server.crash({ lostWritesMs: 1_000 });
    expect(server.stats()).toMatchObject({ messages: 1, unsettled: 1, pendingDeadlines: 1 });
    expect(await bus.pubsub.deadLetters.count("d")).toBe(0);
    // Nothing comes of a settle, and none hits the next message with the same sequence.
    await bus.pubsub.publish("s", "new");
    await held?.ack();
    const message = await next(subscription);
    expect([message.sequence, message.deliveryCount]).toEqual([2, 1]);
    expect(toText(message.payload)).toBe("new");
  });

  it("take dead letters with them, but not older ones", async () => {
    const subscription = await bus.pubsub.subscribe("s", { ...DURABLE, maxDeliveries: 1 });
    await bus.pubsub.publish("s", "kept");
    await clock.advance(1_000);
    await bus.pubsub.publish("s", "lost");
    for (const message of await take(subscription, 2)) await message.nak();
    expect(await bus.pubsub.deadLetters.count("d")).toBe(2);
    server.crash({ lostWritesMs: 1_000 });
    const { entries } = await bus.pubsub.deadLetters.list("d");
    expect(entries.map(({ id }) => id)).toEqual(["1"]);
  });

  it("reach consumers that were behind, that were caught up, and that start later", async () => {
    const behind = await bus.pubsub.subscribe("s", { durable: "behind", maxInFlight: 1 });
    const wild = await bus.pubsub.subscribe("*", { durable: "wild" });
    const later = await bus.pubsub.subscribe("s", { from: { sequence: 4 } });
    for (const text of ["a", "b", "c"]) await bus.pubsub.publish("s", text);
    server.crash({ lostWritesMs: 1_000 });
    for (const text of ["1", "2", "3", "4"]) await bus.pubsub.publish("s", text);
    for (const sequence of [1, 2, 3, 4]) {
      const message = await next(behind);
      expect([message.sequence, toText(message.payload)]).toEqual([sequence, String(sequence)]);
      await message.ack();
    }
    expect(sequences(await take(wild, 4))).toEqual([1, 2, 3, 4]);
    expect((await next(later)).sequence).toBe(4);
  });

  it("are counted out of the limits of the stream", async () => {
    ({ bus, server } = await start({ streamLimits: { maxMessages: 3, maxBytes: 10 } }));
    for (let index = 0; index < 300; index++) await bus.pubsub.publish("s", "lost");
    expect(server.stats().messages).toBe(2);
    server.crash({ lostWritesMs: 1_000 });
    expect(server.stats().messages).toBe(0);
    for (let index = 1; index <= 600; index++) {
      expect((await bus.pubsub.publish("s", `${index}`)).sequence).toBe(index);
    }
    expect(await texts(3)).toEqual(["598", "599", "600"]);
  });

  it("are the youngest jobs: who holds one has lost its lease", async () => {
    await bus.jobs.enqueue("q", { payload: "kept", dedupKey: "kept" });
    await clock.advance(1_000);
    await bus.jobs.enqueue("q", { payload: "lost", dedupKey: "lost", headers: { a: "b" } });
    await bus.jobs.enqueue("q", { payload: "delayed", delayMs: 5_000 });
    await bus.jobs.enqueue("q", { payload: "ready", priority: 9 });
    await bus.jobs.enqueue("q", { payload: "ready", headers: { a: "b" } });
    const claims = await bus.jobs.claim("q", { ...WORKER, max: 3 });
    expect(claims.map(({ id }) => id)).toEqual(["4", "1", "2"]);
    server.crash({ lostWritesMs: 1_000 });
    expect(await bus.jobs.stats("q")).toMatchObject({ ready: 0, delayed: 0, leased: 1 });
    await expect(claims[2]?.ack()).rejects.toMatchObject({ code: "LEASE_LOST" });
    await expect(claims[2]?.heartbeat()).rejects.toMatchObject({ code: "LEASE_LOST" });
    await claims[1]?.ack();
    const again = await bus.jobs.enqueue("q", { payload: "new", dedupKey: "kept" });
    expect(again).toEqual({ id: "1", duplicate: true });
    const anew = await bus.jobs.enqueue("q", { payload: "new", dedupKey: "lost" });
    expect(anew).toEqual({ id: "2", duplicate: false });
    const [job] = await bus.jobs.claim("q", WORKER);
    expect(job).toMatchObject({ id: "2", headers: {}, attempt: 1 });
    expect(job?.fence).toBeGreaterThan(3);
    await job?.ack();
    expect(await bus.close({ drainMs: 5_000 })).toEqual({ abandoned: 0 });
  });

  it("take a job with them that came back, was left, or is dead", async () => {
    for (const queue of ["left", "dead", "worn-out"]) {
      await bus.jobs.enqueue(queue, { payload: "lost", maxAttempts: 2 });
      const [job] = await bus.jobs.claim(queue, { ...WORKER, leaseMs: 100 });
      if (queue === "dead") await job?.deadLetter("bad");
      if (queue === "worn-out") await job?.nak();
    }
    const [last] = await bus.jobs.claim("worn-out", WORKER);
    await last?.nak();
    expect(await bus.jobs.stats("worn-out")).toMatchObject({ dead: 1 });
    await clock.advance(500);
    expect(await bus.jobs.stats("left")).toMatchObject({ ready: 0, leased: 1 });
    server.crash({ lostWritesMs: 1_000 });
    const nothing = { ready: 0, delayed: 0, leased: 0, dead: 0 };
    expect(await bus.jobs.stats("left")).toMatchObject(nothing);
    expect(await bus.jobs.stats("dead")).toMatchObject(nothing);
    expect(await bus.jobs.stats("worn-out")).toMatchObject(nothing);
    expect(server.stats().pendingDeadlines).toBe(0);
  });

  it("are forgotten with what followed: enqueued, claimed, settled", async () => {
    await bus.jobs.enqueue("q", { payload: "lost" });
    const [job] = await bus.jobs.claim("q", WORKER);
    await job?.ack();
    server.crash({ lostWritesMs: 1_000, lostSettlesMs: 1_000 });
    await clock.advance(20_000);
    expect(await bus.jobs.stats("q")).toMatchObject({ ready: 0, leased: 0, dead: 0 });
  });

  it("are dead letters that a worker made: its lease runs on, then the job comes again", async () => {
    await bus.jobs.enqueue("q", { payload: "1" });
    await clock.advance(1_000);
    const [job] = await bus.jobs.claim("q", WORKER);
    await job?.deadLetter("bad");
    server.crash({ lostWritesMs: 1_000 });
    expect(await bus.jobs.stats("q")).toMatchObject({ leased: 1, dead: 0 });
    await clock.advance(10_000);
    expect(await bus.jobs.claim("q", WORKER)).toMatchObject([{ id: "1", attempt: 2 }]);
  });

  it("leave a dead letter alone if the queue was purged since", async () => {
    await bus.jobs.enqueue("q", { payload: "1" });
    await clock.advance(1_000);
    const [job] = await bus.jobs.claim("q", WORKER);
    await job?.deadLetter("bad");
    await bus.jobs.purge("q");
    server.crash({ lostWritesMs: 1_000 });
    expect(await bus.jobs.stats("q")).toMatchObject({ ready: 0, leased: 0, dead: 1 });
  });

  it("leave what was replayed between them before what is enqueued later", async () => {
    await bus.jobs.enqueue("q", { payload: "old" });
    const [job] = await bus.jobs.claim("q", WORKER);
    await job?.deadLetter("bad");
    await clock.advance(1_000);
    await bus.jobs.enqueue("q", { payload: "lost" });
    await bus.jobs.deadLetters.replay("q", "1");
    await bus.jobs.enqueue("q", { payload: "lost" });
    server.crash({ lostWritesMs: 1_000 });
    await bus.jobs.enqueue("q", { payload: "new" });
    const claims = await bus.jobs.claim("q", { ...WORKER, max: 3 });
    expect(claims.map(({ payload }) => toText(payload))).toEqual(["old", "new"]);
  });

  it("leave a dead letter alone that was replayed since", async () => {
    await bus.jobs.enqueue("q", { payload: "1" });
    await clock.advance(1_000);
    const [job] = await bus.jobs.claim("q", WORKER);
    await job?.deadLetter("bad");
    await bus.jobs.deadLetters.replay("q", "1");
    server.crash({ lostWritesMs: 1_000 });
    expect(await bus.jobs.stats("q")).toMatchObject({ ready: 1, leased: 0, dead: 0 });
  });

  it("come to nothing if the queue was deleted since", async () => {
    await bus.jobs.enqueue("q", { payload: "1", dedupKey: "k" });
    await bus.jobs.deleteQueue("q");
    await bus.jobs.enqueue("q", { payload: "2", dedupKey: "k" });
    await clock.advance(1_000);
    server.crash({ lostWritesMs: 1_000 });
    expect(await bus.jobs.stats("q")).toMatchObject({ ready: 1 });
    expect((await bus.jobs.enqueue("q", { payload: "2", dedupKey: "k" })).duplicate).toBe(true);
  });
});

describe("writes to buckets that a crash has lost", () => {
  it("bring back what they had replaced or removed", async () => {
    await bus.kv.ensureBucket("b", { history: 2, maxBytes: 40 });
    for (const value of ["1", "2"]) await bus.kv.put("b", "k", value);
    await bus.kv.put("b", "removed", "3");
    await clock.advance(1_000);
    for (const value of ["four", "five"]) await bus.kv.put("b", "k", value);
    await bus.kv.delete("b", "removed");
    await bus.kv.create("b", "created", "7");
    server.crash({ lostWritesMs: 1_000 });
    const history = await bus.kv.history("b", "k");
    expect(history.map(({ revision }) => revision)).toEqual([1, 2]);
    expect((await bus.kv.keys("b")).keys).toEqual(["k", "removed"]);
    expect(await bus.kv.get("b", "created")).toBeUndefined();
    // Revisions are given again, and bytes are counted as before.
    expect(await bus.kv.cas("b", "k", "123456789", 2)).toBe(4);
    const full = bus.kv.put("b", "other", "1234567890123456");
    await expect(full).rejects.toMatchObject({ code: "LIMIT_EXCEEDED", details: { bytes: 20 } });
    const watch = await bus.kv.watch("b");
    const events = await take(watch, 3);
    expect(events.map((event) => ("revision" in event ? event.revision : 0))).toEqual([3, 4, 0]);
  });

  it("leave the order of what is kept as it was", async () => {
    for (const key of ["a", "b", "a"]) await bus.kv.put("b", key, "kept");
    await clock.advance(1_000);
    await bus.kv.put("b", "c", "lost");
    server.crash({ lostWritesMs: 1_000 });
    const events = await take(await bus.kv.watch("b"), 3);
    expect(events.map((event) => "revision" in event && event.revision)).toEqual([2, 3, false]);
  });

  it("had a time to live: what they replaced comes back with its own", async () => {
    await bus.kv.put("b", "for-ever", "1");
    await bus.kv.put("b", "short", "1", { ttlMs: 2_000 });
    await bus.kv.put("b", "shorter", "1", { ttlMs: 1_100 });
    await clock.advance(1_000);
    for (const key of ["for-ever", "short", "shorter"]) {
      await bus.kv.put("b", key, "2", { ttlMs: 200 });
    }
    await clock.advance(200);
    expect((await bus.kv.keys("b")).keys).toEqual([]);
    server.crash({ lostWritesMs: 1_000 });
    expect((await bus.kv.keys("b")).keys).toEqual(["for-ever", "short"]);
    await clock.advance(800);
    expect((await bus.kv.keys("b")).keys).toEqual(["for-ever"]);
    expect(server.stats().pendingDeadlines).toBe(0);
  });

  it("come to nothing if the bucket was deleted since", async () => {
    await bus.kv.put("b", "k", "1", { ttlMs: 1_000 });
    await bus.kv.put("b", "k", "2");
    await bus.kv.deleteBucket("b");
    server.crash({ lostWritesMs: 1_000 });
    expect(await bus.kv.get("b", "k")).toBeUndefined();
    expect(server.stats().pendingDeadlines).toBe(0);
  });

  it("give watches no event; what is written after them does, also to one that is behind", async () => {
    const behind = await bus.kv.watch("b");
    const quick = await bus.kv.watch("b");
    expect(await next(quick)).toEqual({ type: "initialDone" });
    for (let index = 0; index < 5_000; index++) await bus.kv.put("b", "k", "lost");
    await take(quick, 100);
    server.crash({ lostWritesMs: 1_000 });
    for (let index = 1; index <= 10; index++) await bus.kv.put("b", `k${index}`, "new");
    const seen = await take(behind, 1 + 4_096 + 10);
    expect(seen.slice(-10).map((event) => "key" in event && event.key)).toEqual(
      Array.from({ length: 10 }, (_, index) => `k${index + 1}`),
    );
  });

  it("are none of the leases", async () => {
    const lease = await bus.kv.lease("b", "l", { ttlMs: 30_000 });
    server.crash({ lostWritesMs: 1_000, lostSettlesMs: 1_000 });
    expect(server.stats().leases).toBe(1);
    await lease.release();
    const { fence } = await bus.kv.lease("b", "l", { ttlMs: 30_000 });
    expect(fence).toBeGreaterThan(lease.fence);
  });
});
