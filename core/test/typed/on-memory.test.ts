import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import {
  type Bus,
  type ClaimedJob,
  defineBucket,
  defineJob,
  defineMethod,
  defineTopic,
  type Message,
  openBus,
  typedBus,
  VirtualClock,
} from "../../src/index.ts";
import { pointSchema, slowPointSchema, zodOrder } from "./schemas.ts";

// The whole way over a real bus: what the unit tests of this folder say about each piece.

async function onMemory(work: (bus: Bus, clock: VirtualClock) => Promise<void>): Promise<void> {
  const clock = new VirtualClock();
  const bus = await openBus({ backend: "memory", clock });
  await clock.autoAdvance(work(bus, clock));
  await clock.autoAdvance(bus.close());
  expect(clock.pendingTimers).toBe(0);
}

describe("typed layer on the memory bus", () => {
  it("publishes and subscribes; a bad message is termed once and never comes again", () =>
    onMemory(async (bus, clock) => {
      const orders = typedBus(bus).topic(defineTopic({ subject: "orders", schema: zodOrder }));
      const onInvalid = vi.fn<(error: Error, message: Message) => void>();
      await orders.publish({ id: "a", cents: 1 }, { messageId: "m" });
      expect(await orders.publish({ id: "a", cents: 1 }, { messageId: "m" })).toMatchObject({
        duplicate: true,
      });
      await bus.pubsub.publish("orders", "not an order");
      await orders.publish({ id: "b", cents: 2, tags: ["x"] });
      const subscription = await orders.subscribe({ durable: "d", ackWaitMs: 100, onInvalid });
      const seen: unknown[] = [];
      for await (const message of subscription) {
        seen.push([message.value.id, message.value.tags, message.deliveryCount]);
        // The first one is naked once.
        if (message.value.id === "a" && message.deliveryCount === 1) await message.nak();
        else await message.ack();
        if (seen.length === 3) break;
      }
      // A redelivery may come before or after what is next.
      expect(seen).toHaveLength(3);
      expect(seen).toEqual(
        expect.arrayContaining([
          ["a", [], 1],
          ["a", [], 2],
          ["b", ["x"], 1],
        ]),
      );
      const again = await orders.subscribe({ durable: "d", ackWaitMs: 100, onInvalid });
      await clock.sleep(10_000);
      expect(onInvalid).toHaveBeenCalledTimes(1);
      expect([subscription.invalid, again.invalid]).toEqual([1, 0]);
      expect(await bus.pubsub.deadLetters.count("d")).toBe(0);
      await again.close();
    }));

  it("listens", () =>
    onMemory(async (bus) => {
      const points = typedBus(bus).topic(defineTopic({ subject: "p.*", schema: slowPointSchema }));
      await using listener = await points.listen({ subject: "p.eu" });
      await points.notify({ x: 9, y: 9 }, { subject: "p.us" });
      await bus.pubsub.notify("p.eu", "?");
      await points.notify({ x: "1", y: 2 }, { subject: "p.eu", headers: { h: "v" } });
      for await (const message of listener) {
        expect(message.value).toEqual({ x: 1, y: 2 });
        expect(message.headers["h"]).toBe("v");
        break;
      }
      expect(listener.invalid).toBe(1);
    }));

  it("enqueues and claims; a bad job is in the dead letters with its reason", () =>
    onMemory(async (bus, clock) => {
      const points = typedBus(bus).job(defineJob({ queue: "points", schema: pointSchema }));
      const onInvalid = vi.fn<(error: Error, job: ClaimedJob) => void>();
      const waiting = points.claim({ workerId: "w", waitMs: 60_000, onInvalid });
      await clock.sleep(1_000);
      await bus.jobs.enqueue("points", { payload: '{"x":1}' });
      await clock.sleep(1_000);
      await points.enqueueMany([{ value: { x: 1, y: 1 } }, { value: { x: 2, y: 1 }, priority: 5 }]);
      const [first] = await waiting;
      const [second] = await points.claim({ workerId: "w", leaseMs: 100 });
      // The first came while somebody was waiting for it.
      expect(new Set([first?.value.x, second?.value.x])).toEqual(new Set([1, 2]));
      await second?.heartbeat();
      await second?.ack({ confirm: true });
      await first?.nak({ delayMs: 5_000 });
      await expect(first?.ack()).rejects.toMatchObject({ code: "ALREADY_SETTLED" });
      expect(onInvalid).toHaveBeenCalledTimes(1);
      const { entries } = await bus.jobs.deadLetters.list("points");
      expect(entries).toEqual([
        expect.objectContaining({ reason: "invalid payload: y: must be a number", attempts: 1 }),
      ]);
    }));

  it("requests and serves, with errors told apart", () =>
    onMemory(async (bus) => {
      const method = typedBus(bus).method(
        defineMethod({
          subject: "norm",
          request: pointSchema,
          reply: z.object({ norm: z.number() }),
        }),
      );
      await expect(method.request({ x: 3, y: 4 })).rejects.toMatchObject({ code: "NO_RESPONDERS" });
      const server = await method.serve(({ x, y }) => ({ norm: Math.hypot(x, y) }));
      expect(await method.request({ x: "3", y: 4 }, { timeoutMs: 100 })).toEqual({ norm: 5 });
      await expect(bus.rpc.request("norm", "{}")).rejects.toMatchObject({
        code: "REMOTE",
        details: { code: "INVALID_ARGUMENT" },
      });
      await server.close();
      await bus.rpc.serve("norm", () => "{}");
      await expect(method.request({ x: 3, y: 4 })).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        message: expect.stringContaining("the reply of norm"),
      });
    }));

  it("writes, reads and watches", () =>
    onMemory(async (bus) => {
      const bucket = typedBus(bus).bucket(
        defineBucket({ bucket: "dates", schema: z.object({ at: z.coerce.date<Date | string>() }) }),
      );
      const revision = await bucket.create("a", { at: "2020-01-01" });
      const entry = await bucket.get("a");
      expect(entry).toMatchObject({ revision, value: { at: new Date("2020-01-01") } });
      await expect(bucket.cas("a", { at: new Date(5) }, revision + 1)).rejects.toMatchObject({
        code: "CONFLICT",
      });
      await bucket.cas("a", { at: new Date(5) }, revision);
      await bus.kv.put("dates", "b", "?");
      await expect(bucket.get("b")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
      expect((await bucket.keys()).keys).toEqual(["a", "b"]);
      await using watch = await bucket.watch({ onInvalid: () => undefined });
      await bucket.delete("a");
      const seen: unknown[] = [];
      for await (const event of watch) {
        seen.push(event.type === "put" ? event.value.at.getTime() : event.type);
        if (event.type === "delete") break;
      }
      expect(seen).toEqual([5, "initialDone", "delete"]);
    }));
});
