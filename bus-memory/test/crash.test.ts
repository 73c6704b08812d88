import { type Bus, toText } from "@busbar/core";
import { beforeEach, describe, expect, it } from "vitest";
import { next, sequences, take, type World, world } from "./support.ts";

const WORKER = { workerId: "w", leaseMs: 10_000 };
const DURABLE = { durable: "d", ackWaitMs: 10_000 };

let clock: World["clock"];
let server: World["server"];
let bus: Bus;

beforeEach(async () => {
  const made = world({ unsyncedMs: 60_000 });
  ({ clock, server } = made);
  bus = await made.open();
});

describe("MemoryServer.crash", () => {
  it("loses nothing unless it is told to", async () => {
    const subscription = await bus.pubsub.subscribe("s", DURABLE);
    await bus.pubsub.publish("s", "1", { messageId: "id" });
    await (await next(subscription)).ack();
    await bus.jobs.enqueue("q", { payload: "1", dedupKey: "k" });
    const [job] = await bus.jobs.claim("q", WORKER);
    await job?.ack();
    await bus.kv.put("b", "k", "v");
    server.crash();
    await clock.advance(20_000);
    expect(server.stats()).toMatchObject({ messages: 1, unsettled: 0, leasedJobs: 0 });
    expect(await bus.jobs.stats("q")).toMatchObject({ ready: 0, leased: 0 });
    expect((await bus.pubsub.publish("s", "1", { messageId: "id" })).duplicate).toBe(true);
    expect((await bus.jobs.enqueue("q", { payload: "1", dedupKey: "k" })).duplicate).toBe(true);
    expect((await bus.kv.get("b", "k"))?.revision).toBe(1);
  });

  it("refuses windows that the server does not remember", () => {
    expect(() => server.crash({ lostSettlesMs: 60_001 })).toThrow(RangeError);
    expect(() => server.crash({ lostWritesMs: 60_001 })).toThrow(/lostWritesMs.*0 to 60000/);
    expect(() => server.crash({ lostWritesMs: -1 })).toThrow(RangeError);
    expect(() => world().server.crash({ lostSettlesMs: 1 })).toThrow(RangeError);
    expect(() => world({ unsyncedMs: 3_600_001 })).toThrow(RangeError);
    world().server.crash();
  });

  it("has all on disk that it came back with", async () => {
    await bus.pubsub.publish("s", "1");
    server.crash();
    server.crash({ lostWritesMs: 60_000 });
    expect(server.stats().messages).toBe(1);
  });
});

describe("settles that a crash has lost", () => {
  it("let messages come again when their ack wait is over, counted", async () => {
    const subscription = await bus.pubsub.subscribe("s", DURABLE);
    for (const text of ["1", "2", "3"]) await bus.pubsub.publish("s", text);
    const [old, acked, termed] = await take(subscription, 3);
    await old?.ack();
    await clock.advance(1_000);
    await acked?.ack();
    await termed?.term();
    server.crash({ lostSettlesMs: 1_000 });
    expect(server.stats().unsettled).toBe(2);
    await expect(acked?.ack()).rejects.toMatchObject({ code: "ALREADY_SETTLED" });
    const again = take(subscription, 2);
    await clock.advance(8_999);
    expect(server.stats().unsettled).toBe(2);
    const beforeMs = clock.monotonic();
    const messages = await clock.autoAdvance(again);
    expect(clock.monotonic() - beforeMs).toBe(1);
    expect(messages.map(({ sequence, deliveryCount }) => [sequence, deliveryCount])).toEqual([
      [2, 2],
      [3, 2],
    ]);
    for (const message of messages) await message.ack();
    expect(server.stats().unsettled).toBe(0);
  });

  it("do not keep a closing subscription waiting, nor take its room", async () => {
    const subscription = await bus.pubsub.subscribe("s", { ...DURABLE, maxInFlight: 1 });
    await bus.pubsub.publish("s", "1");
    await bus.pubsub.publish("s", "2");
    await (await next(subscription)).ack();
    server.crash({ lostSettlesMs: 1_000 });
    const second = await next(subscription);
    expect(second.sequence).toBe(2);
    await second.ack();
    expect(await subscription.close({ drainMs: 5_000 })).toEqual({ abandoned: 0 });
  });

  it("come to nothing if the durable was deleted since, also if it was made anew", async () => {
    const subscription = await bus.pubsub.subscribe("s", DURABLE);
    await bus.pubsub.publish("s", "1");
    await (await next(subscription)).ack();
    await bus.pubsub.deleteDurable("d");
    await bus.pubsub.subscribe("s", { ...DURABLE, from: "new" });
    server.crash({ lostSettlesMs: 1_000 });
    expect(server.stats()).toMatchObject({ unsettled: 0, pendingDeadlines: 0 });
  });

  it("of a last delivery lead to the dead letters", async () => {
    const subscription = await bus.pubsub.subscribe("s", { ...DURABLE, maxDeliveries: 1 });
    await bus.pubsub.publish("s", "1");
    await (await next(subscription)).ack();
    server.crash({ lostSettlesMs: 1_000 });
    await clock.advance(10_000);
    expect(await bus.pubsub.deadLetters.count("d")).toBe(1);
  });

  it("let jobs come again when their lease is over, counted, with a greater fence", async () => {
    await bus.jobs.enqueue("q", { payload: "1" });
    await bus.jobs.enqueue("q", { payload: "2" });
    const [old, job] = await bus.jobs.claim("q", { ...WORKER, max: 2 });
    await old?.ack();
    await clock.advance(1_000);
    await job?.ack();
    server.crash({ lostSettlesMs: 1_000 });
    await expect(job?.ack()).rejects.toMatchObject({ code: "ALREADY_SETTLED" });
    expect(await bus.jobs.stats("q")).toMatchObject({ ready: 0, leased: 1 });
    await clock.advance(8_999);
    expect(await bus.jobs.claim("q", WORKER)).toEqual([]);
    await clock.advance(1);
    const [again] = await bus.jobs.claim("q", WORKER);
    expect(again).toMatchObject({ id: "2", attempt: 2 });
    expect(again?.fence).toBeGreaterThan(job?.fence as number);
    await again?.ack();
    expect(await bus.jobs.stats("q")).toMatchObject({ ready: 0, leased: 0 });
    expect(await bus.close({ drainMs: 5_000 })).toEqual({ abandoned: 0 });
  });

  it("whose lease is long over let the job come at once", async () => {
    await bus.jobs.enqueue("q", { payload: "1" });
    const [job] = await bus.jobs.claim("q", { ...WORKER, leaseMs: 100 });
    await job?.ack();
    await clock.advance(5_000);
    const waiting = bus.jobs.claim("q", { ...WORKER, waitMs: 1_000 });
    server.crash({ lostSettlesMs: 10_000 });
    expect(await waiting).toMatchObject([{ attempt: 2 }]);
  });

  it("come to nothing if the queue was purged or deleted since", async () => {
    for (const queue of ["purged", "deleted"]) {
      await bus.jobs.enqueue(queue, { payload: "1" });
      const [job] = await bus.jobs.claim(queue, WORKER);
      await job?.ack();
    }
    await bus.jobs.purge("purged");
    await bus.jobs.deleteQueue("deleted");
    server.crash({ lostSettlesMs: 1_000 });
    expect(server.stats()).toMatchObject({ leasedJobs: 0, pendingDeadlines: 0 });
  });

  it("leave a dead letter where it is", async () => {
    await bus.jobs.enqueue("q", { payload: "1" });
    const [job] = await bus.jobs.claim("q", WORKER);
    await job?.deadLetter("bad");
    server.crash({ lostSettlesMs: 1_000 });
    expect(await bus.jobs.stats("q")).toMatchObject({ leased: 0, dead: 1 });
  });
});

describe("what goes on over a crash", () => {
  it("gives what was buffered again, in order and uncounted, to whoever has room", async () => {
    const slow = await bus.pubsub.subscribe("s", { ...DURABLE, maxInFlight: 3 });
    for (let index = 0; index < 5; index++) await bus.pubsub.publish("s", "x");
    const first = await next(slow);
    server.crash({ lostSettlesMs: 1_000, lostWritesMs: 0 });
    const [second, third] = await take(slow, 2);
    expect(sequences([first, second!, third!])).toEqual([1, 2, 3]);
    expect(third?.deliveryCount).toBe(1);
    // What is in hands can be settled, and makes room.
    await first.ack();
    expect((await next(slow)).sequence).toBe(4);
  });

  it("gives it in the order of the stream, whoever had it", async () => {
    const one = await bus.pubsub.subscribe("s", { ...DURABLE, maxInFlight: 2 });
    const other = await bus.pubsub.subscribe("s", { ...DURABLE, maxInFlight: 2 });
    for (let index = 0; index < 4; index++) await bus.pubsub.publish("s", "x");
    await other.close();
    server.crash();
    expect(sequences(await take(one, 2))).toEqual([1, 2]);
  });

  it("keeps claims, listeners and servers of requests", async () => {
    const waiting = bus.jobs.claim("q", { ...WORKER, waitMs: 5_000 });
    const listener = await bus.pubsub.listen("s");
    await bus.rpc.serve("r", () => "reply");
    server.crash({ lostWritesMs: 1_000, lostSettlesMs: 1_000 });
    expect(server.stats()).toMatchObject({ waitingClaims: 1, listeners: 1, responders: 1 });
    await bus.jobs.enqueue("q", { payload: "1" });
    expect(await waiting).toHaveLength(1);
    await bus.pubsub.publish("s", "1");
    expect(toText((await next(listener)).payload)).toBe("1");
    expect(toText((await bus.rpc.request("r", "")).payload)).toBe("reply");
  });

  it("lets the time of what is in hands run on", async () => {
    const subscription = await bus.pubsub.subscribe("s", DURABLE);
    await bus.pubsub.publish("s", "1");
    await next(subscription);
    await bus.jobs.enqueue("q", { payload: "1" });
    await bus.jobs.claim("q", WORKER);
    await clock.advance(9_999);
    server.crash({ lostSettlesMs: 1_000, lostWritesMs: 1_000 });
    expect(await bus.jobs.stats("q")).toMatchObject({ leased: 1 });
    expect(await bus.jobs.claim("q", WORKER)).toEqual([]);
    await clock.advance(1);
    expect(await bus.jobs.claim("q", WORKER)).toMatchObject([{ attempt: 2 }]);
    expect((await next(subscription)).deliveryCount).toBe(2);
  });
});
