import { toText } from "@busbar/core";
import { check, checkEqual, checkRange, take } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkEachOnce,
  checkNotAfter,
  checkNotBefore,
  checkNothingElse,
  numbered,
  publishAll,
  pump,
  stopwatch,
  takeAndAck,
  takeOne,
  takeText,
  textsOf,
  track,
} from "./helpers.ts";

/** How much a subscription holds, and what becomes of it on close. */
export const flowCases: readonly ConformanceCase[] = [
  {
    id: "PS-FLOW-001",
    title: "A subscription never holds more than maxInFlight, and a settle frees a place",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const witness = await bus.pubsub.subscribe("f", { durable: "witness" });
      const subscription = await bus.pubsub.subscribe("f", { durable: "f", maxInFlight: 2 });
      await publishAll(bus, "f", numbered(8));
      const held = await take(subscription, 2);
      for (const verb of ["ack", "nak", "term"] as const) {
        const next = track(takeOne(subscription));
        // The other durable has been served, so this one would have been.
        await bus.pubsub.publish("f", `witness of ${verb}`);
        for (let text = ""; text !== `witness of ${verb}`; ) {
          const message = await takeOne(witness);
          text = toText(message.payload);
          await message.ack();
        }
        check(next.pending, `a third message before the ${verb}`);
        await held.shift()?.[verb]();
        held.push(await next.promise);
      }
    },
  },
  {
    id: "PS-FLOW-012",
    title: "A place that one settle freed is filled, though nothing else is settled",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("s", { durable: "d", maxInFlight: 4 });
      await bus.pubsub.publish("s", "first");
      await takeAndAck(subscription, 1);
      await publishAll(bus, "s", numbered(4));
      checkEqual(textsOf(await take(subscription, 4)), numbered(4), "what it may hold");
    },
  },
  {
    id: "PS-FLOW-002",
    title:
      "A delivery whose ack wait is over frees its place: maxInFlight 1 does not block for ever",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const options = { durable: "f", maxInFlight: 1, ackWaitMs: 500 };
      const subscription = await bus.pubsub.subscribe("f", options);
      await publishAll(bus, "f", numbered(2));
      await takeText(subscription, "m0", "the first delivery");
      const counts = new Map<string, number>();
      for (const message of await takeAndAck(subscription, 2)) {
        counts.set(toText(message.payload), message.deliveryCount);
      }
      checkEqual(counts.get("m0"), 2, "delivery count of what was not settled");
      checkEqual(counts.get("m1"), 1, "delivery count of the one behind it");
      await checkNothingElse(bus, "f", subscription);
    },
  },
  {
    id: "PS-FLOW-003",
    title: "A message that is naked with a delay holds no place while it waits",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("f", { durable: "f", maxInFlight: 2 });
      await publishAll(bus, "f", numbered(6));
      const elapsed = stopwatch(context.clock);
      for (const message of await take(subscription, 2)) await message.nak({ delayMs: 1_000 });
      const others = await takeAndAck(subscription, 4);
      check(elapsed() < 1_000, `the others came after ${elapsed()} ms`);
      checkEqual(textsOf(others), ["m2", "m3", "m4", "m5"], "the others");
      checkEachOnce(textsOf(await takeAndAck(subscription, 2)), ["m0", "m1"], "the delayed ones");
      checkNotBefore(elapsed(), 1_000, "the delayed ones");
      await checkNothingElse(bus, "f", subscription);
    },
  },
  {
    id: "PS-FLOW-004",
    title: "close gives back at once what was buffered, and it does not count as a delivery",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options = { durable: "f", ackWaitMs: 30_000, maxInFlight: 10 };
      const first = await bus.pubsub.subscribe("f", options);
      await publishAll(bus, "f", numbered(10));
      const held = await takeText(first, "m0", "the one in hand");
      const second = await (await context.open()).pubsub.subscribe("f", options);
      const report = await first.close();
      checkEqual(report.abandoned, 1, "abandoned: what is in hand and not settled");
      const elapsed = stopwatch(context.clock);
      const rest = await takeAndAck(second, 9);
      checkRange(elapsed(), 0, 5_000, "until the rest came");
      checkEachOnce(textsOf(rest), numbered(10).slice(1), "the rest");
      checkEqual(
        rest.map((message) => message.deliveryCount),
        Array.from({ length: 9 }, () => 1),
        "delivery counts",
      );
      await held.ack({ confirm: true });
      await checkNothingElse(bus, "f", second);
    },
  },
  {
    id: "PS-FLOW-005",
    title: "Closing the bus gives back what was buffered too, and it burns no delivery",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options = { durable: "f", ackWaitMs: 30_000, maxInFlight: 10, maxDeliveries: 1 };
      await publishAll(bus, "f", numbered(6));
      // Three that come and go use up the deliveries, if giving back did.
      const handled: string[] = [];
      for (let round = 0; round < 3; round++) {
        const passing = await context.open();
        const subscription = await passing.pubsub.subscribe("f", options);
        const message = await takeOne(subscription);
        await message.ack({ confirm: true });
        handled.push(toText(message.payload));
        await passing.close();
      }
      const last = await bus.pubsub.subscribe("f", options);
      const elapsed = stopwatch(context.clock);
      const rest = await takeAndAck(last, 3);
      checkRange(elapsed(), 0, 5_000, "until the rest came");
      checkEachOnce([...handled, ...textsOf(rest)], numbered(6), "what was handled");
      check(
        rest.every((message) => message.deliveryCount === 1),
        "each is a first delivery",
      );
      checkEqual(await bus.pubsub.deadLetters.count("f"), 0, "dead letters");
      await checkNothingElse(bus, "f", last);
    },
  },
  {
    id: "PS-FLOW-006",
    title: "What waits in the buffer of a slow loop keeps its deliveries, and is not dead-lettered",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const options = { durable: "f", ackWaitMs: 1_000, maxInFlight: 10, maxDeliveries: 2 };
      const subscription = await bus.pubsub.subscribe("f", options);
      const texts = numbered(6);
      await publishAll(bus, "f", texts);
      const seen: string[] = [];
      for await (const message of subscription) {
        checkEqual(message.deliveryCount, 1, `delivery count of ${toText(message.payload)}`);
        // Within its own ack wait, but the last one waits longer than one in the buffer.
        await clock.sleep(350);
        await message.ack({ confirm: true });
        seen.push(toText(message.payload));
        if (seen.length === texts.length) break;
      }
      checkEachOnce(seen, texts, "what the slow loop handled");
      checkEqual(await bus.pubsub.deadLetters.count("f"), 0, "dead letters");
      const next = await bus.pubsub.subscribe("f", options);
      await checkNothingElse(bus, "f", next);
    },
  },
  {
    id: "PS-FLOW-007",
    title: "close({ drainMs }) waits for what is in hand, and no longer than until it is settled",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const subscription = await bus.pubsub.subscribe("f", { durable: "f" });
      await publishAll(bus, "f", numbered(2));
      const messages = await take(subscription, 2);
      const elapsed = stopwatch(clock);
      const closing = track(subscription.close({ drainMs: 10_000 }));
      await clock.sleep(100);
      await messages[0]?.ack();
      await clock.sleep(100);
      check(closing.pending, "close is over while a message is in hand");
      await messages[1]?.ack();
      checkEqual((await closing.promise).abandoned, 0, "abandoned");
      checkNotAfter(context, elapsed(), 200, "close");
    },
  },
  {
    id: "PS-FLOW-008",
    title: "close({ drainMs }) ends in time and reports what was not settled",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const subscription = await bus.pubsub.subscribe("f", { durable: "f", maxInFlight: 5 });
      await publishAll(bus, "f", numbered(5));
      const [settled] = await take(subscription, 3);
      await settled?.ack({ confirm: true });
      const elapsed = stopwatch(clock);
      const report = await subscription.close({ drainMs: 200 });
      checkEqual(report.abandoned, 2, "abandoned: in hand, not settled, not only buffered");
      checkNotBefore(elapsed(), 200, "close");
      checkNotAfter(context, elapsed(), 200, "close");
    },
  },
  {
    id: "PS-FLOW-009",
    title: "10 subscriptions of one durable that close at the same time lose and double nothing",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const options = { durable: "f", maxInFlight: 5 };
      const subscriptions = await Promise.all(
        numbered(10).map((_, index) =>
          (buses[index % 2] as typeof bus).pubsub.subscribe("f", options),
        ),
      );
      await publishAll(bus, "f", numbered(60));
      const handled: string[] = [];
      for (const subscription of subscriptions) {
        const message = await takeOne(subscription);
        handled.push(toText(message.payload));
        await message.ack({ confirm: true });
      }
      await Promise.all(subscriptions.map((subscription) => subscription.close()));
      const next = await bus.pubsub.subscribe("f", options);
      const rest = await takeAndAck(next, 50);
      checkEachOnce([...handled, ...textsOf(rest)], numbered(60), "what was handled");
      check(
        rest.every((message) => message.deliveryCount === 1),
        "giving back counted as a delivery",
      );
      await checkNothingElse(bus, "f", next);
    },
  },
  {
    id: "PS-FLOW-010",
    title: "A fast subscription of a durable is not held up by a slow one",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options = { durable: "f", maxInFlight: 2 };
      const slow = await bus.pubsub.subscribe("f", options);
      await publishAll(bus, "f", numbered(40));
      const held = await take(slow, 2);
      const fast = await (await context.open()).pubsub.subscribe("f", options);
      const seen: string[] = [];
      const loop = pump(fast, async (message) => {
        seen.push(toText(message.payload));
        await message.ack({ confirm: true });
      });
      await context.until("the fast one has all others", () => seen.length >= 38);
      await fast.close();
      await loop;
      for (const message of held) await message.ack({ confirm: true });
      checkEachOnce([...textsOf(held), ...seen], numbered(40), "what both had");
      await checkNothingElse(bus, "f", slow);
    },
  },
  {
    id: "PS-FLOW-011",
    title: "What a subscription that takes nothing any more has buffered goes to others",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options = { durable: "f", ackWaitMs: 400, maxInFlight: 10, maxDeliveries: 1 };
      const stuck = await bus.pubsub.subscribe("f", options);
      await publishAll(bus, "f", numbered(6));
      await (await takeOne(stuck)).ack({ confirm: true });
      // It goes on existing, and settled what it took: nobody can say that it is gone.
      const other = await (await context.open()).pubsub.subscribe("f", options);
      const rest = await takeAndAck(other, 5);
      checkEachOnce(textsOf(rest), numbered(6).slice(1), "what the stuck one had buffered");
      check(
        rest.every((message) => message.deliveryCount === 1),
        "what nobody saw counted as a delivery",
      );
      checkEqual(await bus.pubsub.deadLetters.count("f"), 0, "dead letters");
      await stuck.close();
      await checkNothingElse(bus, "f", other);
    },
  },
];
