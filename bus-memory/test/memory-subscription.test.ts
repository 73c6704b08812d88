import type { Message } from "@busbar/core";
import { settle } from "@busbar/core/adapter";
import { describe, expect, it } from "vitest";
import { next, sequences, take, world } from "./support.ts";

describe("MemorySubscription", () => {
  it("gives what it only buffered back at once, in order and uncounted", async () => {
    const { open } = world();
    await using bus = await open();
    for (let index = 0; index < 100; index++) await bus.pubsub.publish("s", "x");
    const first = await bus.pubsub.subscribe("s", { durable: "d", maxInFlight: 50 });
    const inHand = await take(first, 2);
    expect(await first.close()).toEqual({ abandoned: 2 });
    const second = await bus.pubsub.subscribe("s", { durable: "d", maxInFlight: 100 });
    const messages = await take(second, 98);
    expect(sequences(messages)).toEqual([...Array(98).keys()].map((index) => index + 3));
    expect(messages.every(({ deliveryCount }) => deliveryCount === 1)).toBe(true);
    for (const message of [...inHand, ...messages]) await message.ack();
  });

  it("shares in turn among those that have room", async () => {
    const { open } = world();
    await using bus = await open();
    const members = await Promise.all(
      [8, 8, 2].map((maxInFlight) => bus.pubsub.subscribe("s", { durable: "d", maxInFlight })),
    );
    for (let index = 0; index < 12; index++) await bus.pubsub.publish("s", "x");
    const shares: number[][] = [];
    for (const [index, member] of members.entries()) {
      shares.push(sequences(await take(member, index === 2 ? 2 : 5)));
    }
    expect(shares).toEqual([
      [1, 4, 7, 9, 11],
      [2, 5, 8, 10, 12],
      [3, 6],
    ]);
    await bus.close({ drainMs: 0 });
  });

  it("loses what it lets lie in its buffer for longer than the ack wait to others", async () => {
    const { clock, open } = world();
    await using bus = await open();
    const options = { durable: "d", ackWaitMs: 1_000, maxInFlight: 4 };
    const idle = await bus.pubsub.subscribe("s", options);
    for (let index = 0; index < 6; index++) await bus.pubsub.publish("s", "x");
    // Alone it keeps them, and no timer runs for it.
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(5_000);
    const busy = await bus.pubsub.subscribe("s", options);
    const seen: Message[] = [];
    const reading = (async () => {
      for await (const message of busy) {
        seen.push(message);
        await message.ack();
        if (seen.length === 6) break;
      }
    })();
    await clock.autoAdvance(reading);
    expect(seen.every(({ deliveryCount }) => deliveryCount === 1)).toBe(true);
    expect(sequences(seen).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6]);
    await idle.close();
  });

  it("delivers what was refused ahead of what was never delivered", async () => {
    const { open } = world();
    await using bus = await open();
    for (let index = 0; index < 3; index++) await bus.pubsub.publish("s", "x");
    const subscription = await bus.pubsub.subscribe("s", { durable: "d", maxInFlight: 1 });
    await (await next(subscription)).nak();
    const again = await next(subscription);
    expect([again.sequence, again.deliveryCount]).toEqual([1, 2]);
    await again.ack();
    expect((await next(subscription)).sequence).toBe(2);
    await bus.close({ drainMs: 0 });
  });

  it("fails when its durable is deleted, and what is in hands comes to nothing", async () => {
    const { clock, open, server } = world();
    await using bus = await open();
    const subscription = await bus.pubsub.subscribe("s", { durable: "d", maxDeliveries: 1 });
    for (let index = 0; index < 3; index++) await bus.pubsub.publish("s", "x");
    const message = await next(subscription);
    await message.nak();
    expect(await bus.pubsub.deadLetters.count("d")).toBe(1);
    const inHand = await next(subscription);
    expect(await bus.pubsub.deleteDurable("d")).toBe(true);
    expect(await bus.pubsub.deadLetters.count("d")).toBe(0);
    await expect(next(subscription)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(inHand.extend()).rejects.toMatchObject({ code: "NOT_FOUND" });
    await inHand.ack();
    await expect(inHand.ack()).rejects.toMatchObject({ code: "ALREADY_SETTLED" });
    await settle();
    expect(server.stats()).toMatchObject({ subscriptions: 0, unsettled: 0, pendingDeadlines: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  it("finds its subject in a stream of others without looking at each", async () => {
    const { open } = world();
    await using bus = await open();
    for (let index = 0; index < 3_000; index++) await bus.pubsub.publish(`s.${index % 3}`, "x");
    const literal = await bus.pubsub.subscribe("s.1", { durable: "one", maxInFlight: 1_000 });
    const wild = await bus.pubsub.subscribe("*.1", { durable: "two", maxInFlight: 1_000 });
    const wanted = [...Array(1_000).keys()].map((index) => index * 3 + 2);
    expect(sequences(await take(literal, 1_000))).toEqual(wanted);
    expect(sequences(await take(wild, 1_000))).toEqual(wanted);
    await bus.close({ drainMs: 0 });
  });

  it("brings a dead letter back to its durable only, with all deliveries to go", async () => {
    const { open } = world();
    await using bus = await open();
    const one = await bus.pubsub.subscribe("s", { durable: "one", maxDeliveries: 2 });
    const other = await bus.pubsub.subscribe("s", { durable: "other" });
    await bus.pubsub.publish("s", "x");
    await (await next(other)).ack();
    for (let round = 0; round < 2; round++) {
      for (const count of [1, 2]) {
        const message = await next(one);
        expect(message.deliveryCount).toBe(count);
        await message.nak();
      }
      expect(await bus.pubsub.deadLetters.count("one")).toBe(1);
      expect(await bus.pubsub.deadLetters.replay("one", "1")).toBe(true);
      expect(await bus.pubsub.deadLetters.replay("one", "1")).toBe(false);
    }
    await (await next(one)).ack();
    await bus.pubsub.publish("s", "sentinel");
    const sentinel = await next(other);
    expect(sentinel.sequence).toBe(2);
    await bus.close({ drainMs: 0 });
  });
});
