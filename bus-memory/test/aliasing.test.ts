import { toBytes, toText } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { next, world } from "./support.ts";

/** What a receiver may do with bytes that it owns: write on them, and give their buffer away. */
function spoil(bytes: Uint8Array): string {
  const text = toText(bytes);
  expect(bytes.buffer.byteLength).toBe(bytes.byteLength);
  bytes.fill(0);
  structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] });
  return text;
}

describe("payloads", () => {
  it("of messages belong to the publisher, the stream and each receiver apart", async () => {
    const { open } = world();
    await using bus = await open();
    const heard = await bus.pubsub.listen("s");
    const alsoHeard = await bus.pubsub.listen("s");
    const one = await bus.pubsub.subscribe("s", { durable: "one", maxDeliveries: 2 });
    const other = await bus.pubsub.subscribe("s");
    const bytes = toBytes("hello");
    await bus.pubsub.publish("s", bytes);
    bytes.fill(0);
    expect(spoil((await next(heard)).payload)).toBe("hello");
    expect(spoil((await next(alsoHeard)).payload)).toBe("hello");
    const first = await next(one);
    expect(spoil(first.payload)).toBe("hello");
    expect(first.payload).toBe(first.payload);
    await first.nak();
    const second = await next(one);
    expect(spoil(second.payload)).toBe("hello");
    await second.nak();
    const message = await next(other);
    expect(spoil(message.payload)).toBe("hello");
    await message.ack();
    for (let round = 0; round < 2; round++) {
      const page = await bus.pubsub.deadLetters.list("one");
      expect(page.entries.map(({ payload }) => spoil(payload))).toEqual(["hello"]);
    }
  });

  it("of jobs belong to the enqueuer, the queue and each worker apart", async () => {
    const { open } = world();
    await using bus = await open();
    const bytes = toBytes("hello");
    await bus.jobs.enqueueMany("q", [{ payload: bytes }, { payload: bytes }]);
    bytes.fill(0);
    for (let attempt = 1; attempt <= 3; attempt++) {
      const jobs = await bus.jobs.claim("q", { workerId: "w", max: 2 });
      expect(jobs.map(({ payload }) => spoil(payload))).toEqual(["hello", "hello"]);
      for (const job of jobs) await job.nak();
    }
  });

  it("of values belong to the writer, the bucket and each reader apart", async () => {
    const { open } = world();
    await using bus = await open();
    const watch = await bus.kv.watch("b");
    await next(watch);
    const bytes = toBytes("hello");
    await bus.kv.put("b", "k", bytes);
    bytes.fill(0);
    for (let round = 0; round < 2; round++) {
      const entry = await bus.kv.get("b", "k");
      expect(entry && spoil(entry.value)).toBe("hello");
    }
    const [past] = await bus.kv.history("b", "k");
    const event = await next(watch);
    for (const put of [past, event]) expect(put?.type === "put" && spoil(put.value)).toBe("hello");
  });

  it("of requests and replies belong to each side apart", async () => {
    const { open } = world();
    await using bus = await open();
    const kept = toBytes("reply");
    for (const group of ["one", "two"]) {
      await bus.rpc.serve("r", ({ payload }) => (spoil(payload) === "hello" ? kept : "bad"), {
        group,
      });
    }
    const bytes = toBytes("hello");
    const replies: string[] = [];
    const stream = bus.rpc.requestMany("r", bytes, { maxReplies: 2 });
    for await (const { payload } of stream) replies.push(spoil(payload));
    expect(replies).toEqual(["reply", "reply"]);
    expect(toText(kept)).toBe("reply");
    expect(toText(bytes)).toBe("hello");
  });
});
