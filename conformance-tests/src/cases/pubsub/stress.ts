import { type Bus, type Message, type SubscribeOptions, toText } from "@busbar/core";
import { check, checkEqual } from "../../assert.ts";
import { type CaseContext, type ConformanceCase, needsSoundRedelivery } from "../../case.ts";
import { deadLettersOf } from "./dead-letters.ts";
import {
  checkEachOnce,
  checkNothingElse,
  inParallel,
  numbered,
  publishAll,
  pump,
  takeAndAck,
  textsOf,
} from "./helpers.ts";

/** Many messages, many subscribers, and choices made by the seed. */
export const stressCases: readonly ConformanceCase[] = [
  {
    id: "PS-STRESS-001",
    title: "5,000 messages and 20 subscribers of one durable: each is handled once",
    contract: "pubsub",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const texts = numbered(5_000);
      const handled: string[] = [];
      const stop = await workers(
        context,
        20,
        { durable: "s", maxInFlight: 64 },
        async (message) => {
          handled.push(toText(message.payload));
          checkEqual(message.deliveryCount, 1, "delivery count");
          await message.ack();
        },
      );
      await inParallel(texts, 256, (text) => bus.pubsub.publish("s", text));
      await context.until("all are handled", () => handled.length >= texts.length, 15_000);
      await stop();
      checkEachOnce(handled, texts, "what was handled");
      const next = await bus.pubsub.subscribe("s", { durable: "s" });
      await checkNothingElse(bus, "s", next);
    },
  },
  {
    id: "PS-STRESS-002",
    title: "20 subjects with 100 messages each in parallel stay apart and in order",
    contract: "pubsub",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const subjects = numbered(20, "subject");
      await inParallel(subjects, subjects.length, async (subject) => {
        const subscription = await other.pubsub.subscribe(subject, { durable: subject });
        const texts = numbered(100, `${subject}-`);
        const [messages] = await Promise.all([
          takeAndAck(subscription, texts.length),
          publishAll(bus, subject, texts),
        ]);
        checkEqual(textsOf(messages), texts, `messages of ${subject}`);
        await checkNothingElse(bus, subject, subscription);
      });
    },
  },
  {
    id: "PS-STRESS-003",
    title:
      "With naks at random every message is settled once, and its deliveries are counted one by one",
    contract: "pubsub",
    level: "L3",
    async run(context) {
      const { bus, random } = context;
      const texts = numbered(1_000);
      const deliveries = new Map<string, number[]>();
      const acked: string[] = [];
      const options = { durable: "s", maxDeliveries: 50, maxInFlight: 16 };
      const stop = await workers(context, 4, options, async (message) => {
        const text = toText(message.payload);
        deliveries.set(text, [...(deliveries.get(text) ?? []), message.deliveryCount]);
        const choice = random.next();
        if (choice < 0.2) return message.nak();
        if (choice < 0.3) return message.nak({ delayMs: Math.floor(random.next() * 60) });
        if (choice < 0.4) await message.extend();
        await message.ack();
        acked.push(text);
      });
      await inParallel(texts, 64, (text) => bus.pubsub.publish("s", text));
      await context.until("all are acked", () => acked.length >= texts.length, 15_000);
      await stop();
      checkEachOnce(acked, texts, "acks");
      for (const [text, counts] of deliveries) {
        checkEqual(
          counts,
          counts.map((_, index) => index + 1),
          `delivery counts of ${text}`,
        );
      }
      const next = await bus.pubsub.subscribe("s", { durable: "s", maxDeliveries: 50 });
      await checkNothingElse(bus, "s", next);
      checkEqual(await bus.pubsub.deadLetters.count("s"), 0, "dead letters");
    },
  },
  {
    id: "PS-STRESS-004",
    title: "Over subscriptions that come and go nothing is lost and no confirmed ack comes again",
    contract: "pubsub",
    level: "L3",
    requires: [needsSoundRedelivery],
    async run(context) {
      await consumeInTurns(context, 1_000);
    },
  },
  {
    id: "PS-STRESS-005",
    title: "With every outcome at random, each message ends in exactly one: acked, termed or dead",
    contract: "pubsub",
    level: "L3",
    async run(context) {
      const { bus, random } = context;
      const texts = numbered(300);
      const ends = { acked: [] as string[], termed: [] as string[] };
      const options = { durable: "s", ackWaitMs: 800, maxDeliveries: 3, maxInFlight: 32 };
      let deliveries = 0;
      const stop = await workers(context, 5, options, async (message) => {
        deliveries += 1;
        const choice = random.next();
        if (choice < 0.3) await end(message, "ack", ends.acked);
        else if (choice < 0.4) await end(message, "term", ends.termed);
        else if (choice < 0.8) await message.nak();
        // The rest is left to its ack wait.
      });
      await publishAll(bus, "s", texts);
      await context.until("every message has its end", async () => {
        const dead = await bus.pubsub.deadLetters.count("s");
        return ends.acked.length + ends.termed.length + dead >= texts.length;
      });
      await stop();
      const dead = texts.length - ends.acked.length - ends.termed.length;
      check(dead >= 0, `${-dead} more ends than messages`);
      const letters = await deadLettersOf(context, bus, "s", dead);
      checkEachOnce([...ends.acked, ...ends.termed, ...textsOf(letters)], texts, "ends");
      check(
        letters.every((letter) => letter.attempts === 3),
        "a dead letter had three deliveries",
      );
      check(deliveries <= texts.length * 3, `${deliveries} deliveries of ${texts.length} messages`);
      const next = await bus.pubsub.subscribe("s", options);
      await checkNothingElse(bus, "s", next);
    },
  },
  {
    id: "PS-STRESS-006",
    title: "100 durables and 50 listeners on one subject each have all of it",
    contract: "pubsub",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const durables = await inParallel(numbered(100, "d"), 20, (durable) =>
        other.pubsub.subscribe("s", { durable }),
      );
      const listeners = await inParallel(numbered(50), 20, () => other.pubsub.listen("s"));
      const seen = listeners.map(() => [] as string[]);
      const loops = listeners.map((listener, index) =>
        pump(listener, (message) => {
          seen[index]?.push(toText(message.payload));
        }),
      );
      const texts = numbered(20);
      await publishAll(bus, "s", texts);
      for (const subscription of durables) {
        checkEqual(textsOf(await takeAndAck(subscription, 20)), texts, "a durable");
      }
      await context.until("listeners have all", () => seen.every((list) => list.length >= 20));
      for (const list of seen) checkEqual(list, texts, "a listener");
      await Promise.all(listeners.map((listener) => listener.close()));
      await Promise.all(loops);
    },
  },
  {
    id: "PS-STRESS-007",
    title: "Deliveries that nobody saw do not count, also when subscriptions come and go at once",
    contract: "pubsub",
    level: "L3",
    requires: [
      {
        reason: 'is about capabilities.deliveryCounts "exact"',
        met: ({ capabilities }) => capabilities.deliveryCounts === "exact",
      },
    ],
    async run(context) {
      const messages = await consumeInTurns(context, 500);
      const again = messages.filter((message) => message.deliveryCount !== 1);
      const shown = again.map(({ sequence, deliveryCount }) => `${sequence}: ${deliveryCount}`);
      checkEqual(shown, [], "messages that nobody saw before, with another delivery count than 1");
    },
  },
];

async function end(message: Message, verb: "ack" | "term", ends: string[]): Promise<void> {
  await (verb === "ack" ? message.ack({ confirm: true }) : message.term());
  ends.push(toText(message.payload));
}

/**
 * Consumes messages of one durable through subscriptions that come and go on three buses, one at a
 * time, each of which takes a few and leaves the rest in its buffer. Checks that each comes once.
 */
async function consumeInTurns(context: CaseContext, count: number): Promise<Message[]> {
  const { bus, random } = context;
  const buses = [bus, await context.open(), await context.open()];
  const texts = numbered(count);
  await inParallel(texts, 128, (text) => bus.pubsub.publish("s", text));
  const messages: Message[] = [];
  while (messages.length < count) {
    const from = buses[Math.floor(random.next() * buses.length)] as Bus;
    const maxInFlight = 1 + Math.floor(random.next() * 100);
    const subscription = await from.pubsub.subscribe("s", { durable: "s", maxInFlight });
    const limit = Math.min(messages.length + 1 + Math.floor(random.next() * 80), count);
    for await (const message of subscription) {
      await message.ack({ confirm: true });
      messages.push(message);
      if (messages.length === limit) break;
    }
  }
  checkEachOnce(textsOf(messages), texts, "what was handled");
  const last = await bus.pubsub.subscribe("s", { durable: "s" });
  await checkNothingElse(bus, "s", last);
  return messages;
}

/** Starts subscribers of subject `s` on two buses; gives what closes them and shows their errors. */
async function workers(
  context: CaseContext,
  count: number,
  options: SubscribeOptions,
  handle: (message: Message) => Promise<void>,
): Promise<() => Promise<void>> {
  const buses = [context.bus, await context.open()];
  const subscriptions = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      (buses[index % 2] as Bus).pubsub.subscribe("s", options),
    ),
  );
  const loops = subscriptions.map((subscription) => pump(subscription, handle));
  return async () => {
    await Promise.all(subscriptions.map((subscription) => subscription.close()));
    await Promise.all(loops);
  };
}
