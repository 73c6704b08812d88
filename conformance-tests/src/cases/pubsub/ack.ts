import type { Message } from "@busbar/core";
import { checkCode, checkEqual, take } from "../../assert.ts";
import { type CaseContext, type ConformanceCase, needsVirtualTime } from "../../case.ts";
import {
  checkEachOnce,
  checkNotAfter,
  checkNotBefore,
  checkNothingElse,
  numbered,
  publishAll,
  stopwatch,
  surely,
  takeAndAck,
  takeOne,
  takeText,
  textsOf,
} from "./helpers.ts";

type Verb = "ack" | "nak" | "term";
const VERBS: readonly Verb[] = ["ack", "nak", "term"];

/** Acks, redelivery, and that a delivery is settled once. */
export const ackCases: readonly ConformanceCase[] = [
  {
    id: "PS-ACK-001",
    title: "An unsettled message comes again after its ack wait, not before, and is counted",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("a", { durable: "a", ackWaitMs: 300 });
      const sincePublish = stopwatch(context.clock);
      await bus.pubsub.publish("a", "again");
      const first = await takeText(subscription, "again", "the first delivery");
      checkEqual(first.deliveryCount, 1, "delivery count");
      const sinceFirst = stopwatch(context.clock);
      for (let delivery = 2; delivery <= 4; delivery++) {
        const message = await takeText(subscription, "again", `delivery ${delivery}`);
        checkEqual(message.deliveryCount, delivery, "delivery count");
        checkEqual(message.sequence, first.sequence, "sequence");
        const dueMs = (delivery - 1) * 300;
        checkNotBefore(sincePublish(), dueMs, `delivery ${delivery}`);
        checkNotAfter(context, sinceFirst(), dueMs, `delivery ${delivery}`);
        if (delivery === 4) await message.ack();
      }
      await checkNothingElse(bus, "a", subscription);
    },
  },
  {
    id: "PS-ACK-002",
    title: "An acked message never comes again, confirmed or not, here or in the next subscription",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const options = { durable: "a", ackWaitMs: 250 };
      const subscription = await bus.pubsub.subscribe("a", options);
      await publishAll(bus, "a", numbered(10));
      for (const [index, message] of (await take(subscription, 10)).entries()) {
        await message.ack({ confirm: index % 2 === 0 });
      }
      await clock.sleep(surely(context, 500));
      await checkNothingElse(bus, "a", subscription);
      await subscription.close();
      const next = await (await context.open()).pubsub.subscribe("a", options);
      await checkNothingElse(bus, "a", next);
    },
  },
  {
    id: "PS-ACK-003",
    title: "An ack settles its own message only, not those before it",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("a", { durable: "a", ackWaitMs: 600 });
      await publishAll(bus, "a", numbered(5));
      const messages = await take(subscription, 5);
      await messages[4]?.ack({ confirm: true });
      await messages[2]?.ack({ confirm: true });
      const again = await takeAndAck(subscription, 3);
      checkEachOnce(textsOf(again), ["m0", "m1", "m3"], "what was not acked");
      await checkNothingElse(bus, "a", subscription);
    },
  },
  {
    id: "PS-ACK-004",
    title: "A delivery is settled once: every second ack, nak or term is ALREADY_SETTLED",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("a", { durable: "a" });
      for (const first of VERBS) {
        for (const second of VERBS) {
          const text = `${first}, ${second}`;
          await bus.pubsub.publish("a", text);
          const message = await takeText(subscription, text, "the message");
          await message[first]();
          await checkCode(() => message[second](), "ALREADY_SETTLED", text);
          if (first === "nak") await (await takeText(subscription, text, "again")).ack();
        }
      }
      await checkNothingElse(bus, "a", subscription);
      checkEqual(await bus.pubsub.deadLetters.count("a"), 0, "dead letters");
    },
  },
  {
    id: "PS-ACK-005",
    title: "Of settles that are called at the same time one succeeds, also when confirmed",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("a", { durable: "a" });
      for (const confirm of [false, true]) {
        await bus.pubsub.publish("a", "once");
        const message = await takeText(subscription, "once", "the message");
        const first = message.ack({ confirm });
        await checkCode(() => message.ack({ confirm }), "ALREADY_SETTLED", "a second ack");
        await checkCode(() => message.nak(), "ALREADY_SETTLED", "a nak");
        await checkCode(() => message.term(), "ALREADY_SETTLED", "a term");
        await checkCode(() => message.extend(), "ALREADY_SETTLED", "an extend");
        await first;
      }
      await checkNothingElse(bus, "a", subscription);
    },
  },
  {
    id: "PS-ACK-006",
    title: "A message can be settled after its subscription was closed",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const options = { durable: "a", ackWaitMs: 400 };
      const subscription = await bus.pubsub.subscribe("a", options);
      await publishAll(bus, "a", numbered(3));
      const [acked, naked, termed] = (await take(subscription, 3)) as [Message, Message, Message];
      await subscription.close();
      await acked.ack({ confirm: true });
      await naked.nak();
      await termed.term();
      const next = await bus.pubsub.subscribe("a", options);
      const again = await takeText(next, "m1", "what was naked");
      checkEqual(again.deliveryCount, 2, "delivery count");
      await again.ack();
      await clock.sleep(surely(context, 800));
      await checkNothingElse(bus, "a", next);
    },
  },
  {
    id: "PS-ACK-007",
    title: "A message that is not settled does not hold up the ones behind it",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("a", { durable: "a" });
      await bus.pubsub.publish("a", "held");
      const held = await takeText(subscription, "held", "the one that is held");
      const texts = numbered(100);
      await publishAll(bus, "a", texts);
      for (const text of texts) await (await takeText(subscription, text, "the others")).ack();
      await held.ack({ confirm: true });
      await checkNothingElse(bus, "a", subscription);
    },
  },
  {
    id: "PS-ACK-008",
    title: "Without ackWaitMs a message comes again after 30 s, and not more than 5 times",
    contract: "pubsub",
    level: "L2",
    requires: [needsVirtualTime],
    timeoutMs: 3_600_000,
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("a", { durable: "a" });
      await bus.pubsub.publish("a", "slow");
      await takeOne(subscription);
      for (let delivery = 2; delivery <= 5; delivery++) {
        const elapsed = stopwatch(context.clock);
        const message = await takeText(subscription, "slow", `delivery ${delivery}`);
        checkNotBefore(elapsed(), 30_000, `delivery ${delivery}`);
        checkNotAfter(context, elapsed(), 30_000, `delivery ${delivery}`);
        checkEqual(message.deliveryCount, delivery, "delivery count");
      }
      await context.clock.sleep(surely(context, 30_000));
      checkEqual(await bus.pubsub.deadLetters.count("a"), 1, "dead letters");
      await checkNothingElse(bus, "a", subscription);
    },
  },
  {
    id: "PS-ACK-009",
    title: "An ack wait of an hour is kept",
    contract: "pubsub",
    level: "L2",
    requires: [needsVirtualTime],
    timeoutMs: 36_000_000,
    async run(context) {
      const { bus, clock } = context;
      const hourMs = 3_600_000;
      const subscription = await bus.pubsub.subscribe("a", { durable: "a", ackWaitMs: hourMs });
      await bus.pubsub.publish("a", "patient");
      await takeOne(subscription);
      await clock.sleep(hourMs - 1_000);
      await checkNothingElse(bus, "a", subscription);
      const again = await takeText(subscription, "patient", "after an hour");
      checkEqual(again.deliveryCount, 2, "delivery count");
    },
  },
  {
    id: "PS-ACK-010",
    title: "1,000 messages can be in flight, and each is settled by its own ack",
    contract: "pubsub",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const texts = numbered(1_000);
      await publishAll(bus, "a", texts);
      const options = { durable: "a", maxInFlight: 1_000 };
      const subscription = await bus.pubsub.subscribe("a", options);
      const messages = await take(subscription, texts.length);
      checkEqual(textsOf(messages), texts, "what is in flight");
      await settleInRandomOrder(context, messages);
      const again = await takeAndAck(subscription, 100);
      const naked = texts.filter((_, index) => index % 10 === 9);
      checkEachOnce(textsOf(again), naked, "what was naked");
      await subscription.close();
      const next = await bus.pubsub.subscribe("a", options);
      await checkNothingElse(bus, "a", next);
    },
  },
];

/** Naks every tenth message and acks the others, in a random order. */
async function settleInRandomOrder(
  { random }: CaseContext,
  messages: readonly Message[],
): Promise<void> {
  const order = messages
    .map((message, index) => ({ message, index, key: random.next() }))
    .toSorted((a, b) => a.key - b.key);
  await Promise.all(
    order.map(({ message, index }) => {
      return index % 10 === 9 ? message.nak() : message.ack({ confirm: true });
    }),
  );
}
