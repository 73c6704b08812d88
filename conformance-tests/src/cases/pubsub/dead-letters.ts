import type { Bus, DeadLetter, Message, SubscribeOptions, Subscription } from "@busbar/core";
import { toText } from "@busbar/core";
import { check, checkEqual, checkRange, take } from "../../assert.ts";
import type { CaseContext, ConformanceCase } from "../../case.ts";
import {
  checkEachOnce,
  checkNothingElse,
  numbered,
  publishAll,
  pump,
  sameBytes,
  sortedHeaders,
  surely,
  takeOne,
  takeText,
  textsOf,
} from "./helpers.ts";

/** How messages get into the dead letters. */
export const deadLetterCases: readonly ConformanceCase[] = [
  {
    id: "PS-DLQ-001",
    title: "A message that is naked on its last delivery becomes one dead letter, with all of it",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const options = { durable: "d", maxDeliveries: 3 };
      const subscription = await bus.pubsub.subscribe("dead.*", options);
      const headers = { trace: "t1", many: ["a", "b"] };
      const beforeMs = clock.now();
      await bus.pubsub.publish("dead.letter", "poison", { headers });
      let message: Message | undefined;
      for (let delivery = 1; delivery <= 3; delivery++) {
        message = await takeText(subscription, "poison", `delivery ${delivery}`);
        checkEqual(message.deliveryCount, delivery, "delivery count");
        await message.nak();
      }
      const [letter] = await deadLettersOf(context, bus, "d", 1);
      checkLetter(letter, {
        owner: "d",
        subject: "dead.letter",
        reason: "max deliveries",
        attempts: 3,
        publishedAtMs: message?.publishedAtMs,
      });
      checkEqual(sortedHeaders(letter?.headers ?? {}), sortedHeaders(headers), "headers");
      checkEqual(toText(letter?.payload as Uint8Array), "poison", "payload");
      checkRange(
        letter?.deadAtMs as number,
        beforeMs - 60_000,
        clock.now() + 60_000,
        "deadAtMs, by a clock that may be another machine's",
      );
      check((letter?.id.length ?? 0) > 0, "it has an id");
      await checkNothingElse(bus, "dead.end", subscription);
    },
  },
  {
    id: "PS-DLQ-002",
    title:
      "A message whose last ack wait passes becomes one dead letter, and is not delivered again",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const options = { durable: "d", ackWaitMs: 200, maxDeliveries: 2 };
      const subscription = await bus.pubsub.subscribe("d", options);
      await bus.pubsub.publish("d", "poison");
      await takeText(subscription, "poison", "the first delivery");
      await takeText(subscription, "poison", "the second delivery");
      const [letter] = await deadLettersOf(context, bus, "d", 1);
      checkEqual(letter?.reason, "max deliveries", "reason");
      checkEqual(letter?.attempts, 2, "attempts");
      await clock.sleep(surely(context, 400));
      await checkNothingElse(bus, "d", subscription);
      checkEqual(await bus.pubsub.deadLetters.count("d"), 1, "dead letters");
    },
  },
  {
    id: "PS-DLQ-003",
    title: "If everybody left before the last ack wait was over, the message is dead all the same",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const consumer = await context.open();
      const options = { durable: "d", ackWaitMs: 200, maxDeliveries: 1 };
      const subscription = await consumer.pubsub.subscribe("d", options);
      await bus.pubsub.publish("d", "poison");
      await takeText(subscription, "poison", "the only delivery");
      await consumer.close({ drainMs: 0 });
      await context.clock.sleep(surely(context, 200));
      // Who comes back finds it given up: at the latest now, and without seeing it again.
      const next = await bus.pubsub.subscribe("d", options);
      const [letter] = await deadLettersOf(context, bus, "d", 1);
      checkEqual(toText(letter?.payload as Uint8Array), "poison", "payload");
      checkEqual(letter?.attempts, 1, "attempts");
      await checkNothingElse(bus, "d", next);
    },
  },
  {
    id: "PS-DLQ-004",
    title: "Dead letters are stored records: a bus that was opened later reads them",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("d", { durable: "d", maxDeliveries: 1 });
      await publishAll(bus, "d", numbered(3));
      for (const message of await take(subscription, 3)) await message.nak();
      await deadLettersOf(context, bus, "d", 3);
      await subscription.close();
      const reader = await context.open();
      const { entries, next } = await reader.pubsub.deadLetters.list("d");
      checkEqual(textsOf(entries), numbered(3), "the dead letters, oldest first");
      checkEqual(next, undefined, "next");
      for (const entry of entries) {
        checkLetter(await reader.pubsub.deadLetters.get("d", entry.id), { ...entry });
      }
    },
  },
  {
    id: "PS-DLQ-005",
    title: "maxDeliveries 1 gives one delivery, by nak and by ack wait",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options = { durable: "d", ackWaitMs: 200, maxDeliveries: 1 };
      const subscription = await bus.pubsub.subscribe("d", options);
      await publishAll(bus, "d", ["naked", "left", "acked"]);
      const [naked, , acked] = await take(subscription, 3);
      await naked?.nak({ delayMs: 50 });
      await acked?.ack({ confirm: true });
      const letters = await deadLettersOf(context, bus, "d", 2);
      checkEachOnce(textsOf(letters), ["naked", "left"], "dead letters");
      await checkNothingElse(bus, "d", subscription);
    },
  },
  {
    id: "PS-DLQ-006",
    title: "maxDeliveries Infinity never gives up",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const maxDeliveries = Number.POSITIVE_INFINITY;
      const subscription = await bus.pubsub.subscribe("d", { durable: "d", maxDeliveries });
      await bus.pubsub.publish("d", "again");
      for (let delivery = 1; delivery <= 50; delivery++) {
        const message = await takeText(subscription, "again", `delivery ${delivery}`);
        checkEqual(message.deliveryCount, delivery, "delivery count");
        if (delivery < 50) await message.nak();
        else await message.ack({ confirm: true });
      }
      checkEqual(await bus.pubsub.deadLetters.count("d"), 0, "dead letters");
      await checkNothingElse(bus, "d", subscription);
    },
  },
  {
    id: "PS-DLQ-007",
    title: "What one durable gives up, another has and keeps, and its dead letters stay empty",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const failing = await bus.pubsub.subscribe("d", { durable: "failing", maxDeliveries: 2 });
      const working = await bus.pubsub.subscribe("d", { durable: "working", maxDeliveries: 2 });
      await bus.pubsub.publish("d", "message");
      await (await takeOne(failing)).nak();
      await (await takeOne(failing)).nak();
      await deadLettersOf(context, bus, "failing", 1);
      const message = await takeText(working, "message", "the other durable");
      checkEqual(message.deliveryCount, 1, "delivery count");
      await message.nak();
      await (await takeText(working, "message", "its second delivery")).ack({ confirm: true });
      checkEqual(await bus.pubsub.deadLetters.count("working"), 0, "its dead letters");
      await checkNothingElse(bus, "d", working);
    },
  },
  {
    id: "PS-DLQ-008",
    title: "Subscribers that share a durable and fail make exactly one dead letter of each message",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const options = { durable: "d", maxDeliveries: 3, maxInFlight: 4 };
      const deliveries: string[] = [];
      const workers: { subscription: Subscription; loop: Promise<void> }[] = [];
      for (let index = 0; index < 6; index++) {
        const from = buses[index % 2] as Bus;
        const subscription = await from.pubsub.subscribe("d", options);
        const loop = pump(subscription, async (message) => {
          deliveries.push(`${toText(message.payload)} ${message.deliveryCount}`);
          await message.nak();
        });
        workers.push({ subscription, loop });
      }
      const texts = numbered(30);
      await publishAll(bus, "d", texts);
      const letters = await deadLettersOf(context, bus, "d", 30);
      checkEachOnce(textsOf(letters), texts, "dead letters");
      const expected = texts.flatMap((text) => [`${text} 1`, `${text} 2`, `${text} 3`]);
      checkEachOnce(deliveries, expected, "deliveries");
      for (const { subscription, loop } of workers) {
        await subscription.close();
        await loop;
      }
      const last = await bus.pubsub.subscribe("d", options);
      await checkNothingElse(bus, "d", last);
      checkEqual(await bus.pubsub.deadLetters.count("d"), 30, "dead letters at the end");
    },
  },
  {
    id: "PS-DLQ-009",
    title: "A poison message in the middle takes nothing else with it",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options = { durable: "d", ackWaitMs: 250, maxDeliveries: 2 };
      const subscription = await bus.pubsub.subscribe("d", options);
      await publishAll(bus, "d", numbered(9));
      for (const message of await take(subscription, 9)) {
        if (toText(message.payload) !== "m4") await message.ack({ confirm: true });
      }
      await takeText(subscription, "m4", "the poison again");
      const letters = await deadLettersOf(context, bus, "d", 1);
      checkEqual(textsOf(letters), ["m4"], "dead letters");
      await checkNothingElse(bus, "d", subscription);
    },
  },
  {
    id: "PS-DLQ-010",
    title: "deleteDurable removes the dead letters too",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options: SubscribeOptions = { durable: "d", maxDeliveries: 1, from: "new" };
      const subscription = await bus.pubsub.subscribe("d", options);
      await bus.pubsub.publish("d", "poison");
      await (await takeOne(subscription)).nak();
      await deadLettersOf(context, bus, "d", 1);
      await subscription.close();
      checkEqual(await bus.pubsub.deleteDurable("d"), true, "deleteDurable");
      const fresh = await bus.pubsub.subscribe("d", options);
      checkEqual(await bus.pubsub.deadLetters.count("d"), 0, "dead letters");
      const { entries } = await bus.pubsub.deadLetters.list("d");
      checkEqual(entries.length, 0, "the list");
      await checkNothingElse(bus, "d", fresh);
      await bus.pubsub.publish("d", "new poison");
      await (await takeOne(fresh)).nak();
      const letters = await deadLettersOf(context, bus, "d", 1);
      checkEqual(textsOf(letters), ["new poison"], "dead letters of the new one");
    },
  },
  {
    id: "PS-DLQ-011",
    title: "A dead letter keeps empty and binary payloads and odd headers as they were",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("d", { durable: "d", maxDeliveries: 1 });
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      const headers = { empty: "", unicode: "naïve 日本語 🚌", many: ["", "b"], "x-y": "z" };
      await bus.pubsub.publish("d", bytes, { headers });
      await bus.pubsub.publish("d", "");
      for (const message of await takeAndNak(subscription, 2)) {
        checkEqual(message.deliveryCount, 1, "delivery count");
      }
      const [binary, empty] = await deadLettersOf(context, bus, "d", 2);
      check(sameBytes(binary?.payload ?? new Uint8Array(0), bytes), "the binary payload");
      checkEqual(sortedHeaders(binary?.headers ?? {}), sortedHeaders(headers), "the headers");
      checkEqual(empty?.payload.length, 0, "bytes of the empty payload");
      checkEqual(empty?.headers, {}, "headers of the empty one");
    },
  },
  {
    id: "PS-DLQ-012",
    title: "A dead letter tells when its message was published, and when it was given up",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const subscription = await bus.pubsub.subscribe("d", { durable: "d", maxDeliveries: 1 });
      await publishAll(bus, "d", ["a", "b"]);
      for (const text of ["a", "b"]) {
        const message = await takeText(subscription, text, "the message");
        await clock.sleep(300);
        await message.nak();
        await deadLettersOf(context, bus, "d", text === "a" ? 1 : 2);
      }
      const letters = await deadLettersOf(context, bus, "d", 2);
      for (const [index, { deadAtMs, publishedAtMs }] of letters.entries()) {
        const lifeMs = deadAtMs - publishedAtMs;
        // The times are rounded, and the server's clock may run differently.
        check(lifeMs >= 300 * (index + 1) - 50, `letter ${index} is dead after ${lifeMs} ms`);
      }
    },
  },
];

/** Waits until the durable has this many dead letters, and lists them: no fewer, no more. */
export async function deadLettersOf(
  context: CaseContext,
  bus: Bus,
  durable: string,
  count: number,
): Promise<readonly DeadLetter[]> {
  await context.until(`${count} dead letters of ${durable}`, async () => {
    return (await bus.pubsub.deadLetters.count(durable)) >= count;
  });
  const { entries } = await bus.pubsub.deadLetters.list(durable, { limit: 1_000 });
  checkEqual(entries.length, count, `dead letters of ${durable}`);
  return entries;
}

/** Takes messages and naks each. */
export async function takeAndNak(subscription: Subscription, count: number): Promise<Message[]> {
  const messages = await take(subscription, count);
  for (const message of messages) await message.nak();
  return messages;
}

function checkLetter(letter: DeadLetter | undefined, expected: Record<string, unknown>): void {
  for (const [field, value] of Object.entries(expected)) {
    checkEqual(letter && Reflect.get(letter, field), value, field);
  }
}
