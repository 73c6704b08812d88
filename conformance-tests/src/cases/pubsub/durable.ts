import type { SubscribeOptions } from "@busbar/core";
import { check, checkCode, checkEqual, take } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkEachOnce,
  checkNothingElse,
  numbered,
  publishAll,
  pump,
  takeAndAck,
  takeText,
  textsOf,
} from "./helpers.ts";

/** Positions that outlive their subscriptions. */
export const durableCases: readonly ConformanceCase[] = [
  {
    id: "PS-DUR-001",
    title: "A durable goes on where it stopped, on another bus, with what came in between",
    contract: "pubsub",
    level: "L0",
    async run(context) {
      const { bus } = context;
      const first = await bus.pubsub.subscribe("d", { durable: "position" });
      await publishAll(bus, "d", numbered(4));
      for (const message of await take(first, 2)) await message.ack({ confirm: true });
      await first.close();
      await publishAll(bus, "d", ["m4", "m5"]);
      const other = await context.open();
      const second = await other.pubsub.subscribe("d", { durable: "position" });
      const rest = await takeAndAck(second, 4);
      checkEqual(textsOf(rest), ["m2", "m3", "m4", "m5"], "the rest, in order");
      checkEqual(
        rest.map((message) => message.deliveryCount),
        [1, 1, 1, 1],
        "delivery counts",
      );
      await checkNothingElse(bus, "d", second);
    },
  },
  {
    id: "PS-DUR-002",
    title: 'A durable from "new" keeps what is published while nobody has it open',
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options: SubscribeOptions = { durable: "fresh", from: "new" };
      await publishAll(bus, "d", ["old"]);
      await (await bus.pubsub.subscribe("d", options)).close();
      await publishAll(bus, "d", numbered(3));
      const other = await context.open();
      const subscription = await other.pubsub.subscribe("d", options);
      checkEqual(textsOf(await takeAndAck(subscription, 3)), numbered(3), "what came meanwhile");
      await checkNothingElse(bus, "d", subscription);
    },
  },
  {
    id: "PS-DUR-003",
    title: "Durables are independent: each has every message, whatever the others do with theirs",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const acking = await bus.pubsub.subscribe("d", { durable: "acking" });
      const terming = await bus.pubsub.subscribe("d", { durable: "terming" });
      const naking = await bus.pubsub.subscribe("d", { durable: "naking" });
      await publishAll(bus, "d", numbered(10));
      for (const message of await take(terming, 10)) await message.term();
      for (const message of await take(naking, 10)) await message.nak();
      const again = await takeAndAck(naking, 10);
      checkEachOnce(textsOf(again), numbered(10), "after a nak of each");
      const messages = await takeAndAck(acking, 10);
      checkEqual(textsOf(messages), numbered(10), "the third durable");
      check(
        messages.every((message) => message.deliveryCount === 1),
        "naks of one durable count for another",
      );
      await bus.pubsub.publish("d", "end");
      for (const subscription of [acking, terming, naking]) {
        await (await takeText(subscription, "end", "what comes next")).ack();
      }
    },
  },
  {
    id: "PS-DUR-004",
    title:
      "Subscriptions with one durable share its messages, without duplicates, over several buses",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const options = { durable: "shared", maxInFlight: 5 };
      const here = await bus.pubsub.subscribe("d", options);
      const alsoHere = await bus.pubsub.subscribe("d", options);
      const there = await other.pubsub.subscribe("d", options);
      await publishAll(bus, "d", numbered(15));
      // Nobody can hold more than five of fifteen, so each has exactly five.
      const taken = await Promise.all([take(here, 5), take(alsoHere, 5), take(there, 5)]);
      checkEachOnce(textsOf(taken.flat()), numbered(15), "what the three hold");
      for (const message of taken.flat()) await message.ack({ confirm: true });
      await alsoHere.close();
      await there.close();
      await checkNothingElse(bus, "d", here);
    },
  },
  {
    id: "PS-DUR-005",
    title: "20 subscribers of one durable on two buses handle 500 messages once each",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const seen: string[] = [];
      const workers = [];
      for (let index = 0; index < 20; index++) {
        const from = buses[index % 2] as typeof bus;
        const subscription = await from.pubsub.subscribe("d", { durable: "pool", maxInFlight: 4 });
        const loop = pump(subscription, async (message) => {
          seen.push(...textsOf([message]));
          checkEqual(message.deliveryCount, 1, "delivery count");
          await message.ack();
        });
        workers.push({ subscription, loop });
      }
      await publishAll(bus, "d", numbered(500));
      await context.until("all are handled", () => seen.length >= 500);
      await bus.pubsub.publish("d", "sentinel");
      await context.until("the sentinel is handled", () => seen.includes("sentinel"));
      for (const { subscription, loop } of workers) {
        await subscription.close();
        await loop;
      }
      checkEachOnce(seen, [...numbered(500), "sentinel"], "what was handled");
    },
  },
  {
    id: "PS-DUR-006",
    title: "A durable that exists with other options is a CONFLICT that names each difference",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const existing: SubscribeOptions = {
        durable: "fixed",
        from: "all",
        ackWaitMs: 5_000,
        maxDeliveries: 4,
      };
      const subscription = await bus.pubsub.subscribe("d.a", existing);
      await bus.pubsub.publish("d.a", "kept");
      const other = await context.open();
      const wanted: [option: string, subject: string, options: SubscribeOptions][] = [
        ["subject", "d.*", existing],
        ["from", "d.a", { ...existing, from: "new" }],
        ["from", "d.a", { ...existing, from: { sequence: 2 } }],
        ["ackWaitMs", "d.a", { ...existing, ackWaitMs: 6_000 }],
        ["maxDeliveries", "d.a", { ...existing, maxDeliveries: 5 }],
        ["maxDeliveries", "d.a", { ...existing, maxDeliveries: Number.POSITIVE_INFINITY }],
        ["backoffMs", "d.a", { ...existing, backoffMs: [5_000, 7_000] }],
      ];
      for (const from of [bus, other]) {
        for (const [option, subject, options] of wanted) {
          const error = await checkCode(
            () => from.pubsub.subscribe(subject, options),
            "CONFLICT",
            `another ${option}`,
          );
          const { differences } = error.details;
          check(Array.isArray(differences), "details.differences is an array");
          const named = differences.map((difference) => Reflect.get(difference, "option"));
          check(named.includes(option), `differences name ${named.join()} and not ${option}`);
        }
      }
      const same = await other.pubsub.subscribe("d.a", existing);
      await same.close();
      await (await takeText(subscription, "kept", "the durable as it was")).ack();
      await checkNothingElse(bus, "d.a", subscription);
    },
  },
  {
    id: "PS-DUR-007",
    title:
      "maxInFlight belongs to the subscription: another one on the same durable is no conflict",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const first = await bus.pubsub.subscribe("d", { durable: "flow", maxInFlight: 1 });
      const second = await bus.pubsub.subscribe("d", { durable: "flow", maxInFlight: 3 });
      await publishAll(bus, "d", numbered(4));
      const held = [...(await take(first, 1)), ...(await take(second, 3))];
      checkEachOnce(textsOf(held), numbered(4), "what both hold");
    },
  },
  {
    id: "PS-DUR-008",
    title: "deleteDurable removes the position: a new one begins afresh, with other options too",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      checkEqual(await bus.pubsub.deleteDurable("gone"), false, "what never was");
      const first = await bus.pubsub.subscribe("d", { durable: "gone" });
      await publishAll(bus, "d", numbered(3));
      await takeAndAck(first, 3);
      await first.close();
      const other = await context.open();
      checkEqual(await other.pubsub.deleteDurable("gone"), true, "what is there");
      checkEqual(await bus.pubsub.deleteDurable("gone"), false, "what is gone");
      const options = { durable: "gone", ackWaitMs: 7_000, maxDeliveries: 9 };
      const second = await bus.pubsub.subscribe("d", options);
      const again = await takeAndAck(second, 3);
      checkEqual(textsOf(again), numbered(3), "from the beginning");
      checkEqual(
        again.map((message) => message.deliveryCount),
        [1, 1, 1],
        "delivery counts",
      );
      await checkNothingElse(bus, "d", second);
    },
  },
  {
    id: "PS-DUR-010",
    title: "The subscriptions of a removed durable end with NOT_FOUND, also those that are full",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      for (const remover of [bus, other]) {
        const full = await bus.pubsub.subscribe("d", { durable: "ends", maxInFlight: 2 });
        const idle = await bus.pubsub.subscribe("none", { durable: "ends-too" });
        await publishAll(bus, "d", numbered(2));
        const held = await take(full, 2);
        checkEqual(held.length, 2, "the messages in hand");
        for (const [durable, subscription] of [
          ["ends", full],
          ["ends-too", idle],
        ] as const) {
          checkEqual(await remover.pubsub.deleteDurable(durable), true, "the durable was there");
          const end = subscription[Symbol.asyncIterator]().next();
          await checkCode(end, "NOT_FOUND", `the end of ${durable}`);
        }
      }
    },
  },
  {
    id: "PS-DUR-009",
    title: "20 subscribes that make one durable at the same time all succeed and share it",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const buses = [context.bus, await context.open(), await context.open()];
      const subscriptions = await Promise.all(
        numbered(20).map((_, index) =>
          (buses[index % 3] as typeof context.bus).pubsub.subscribe("d", {
            durable: "race",
            maxInFlight: 1,
          }),
        ),
      );
      await publishAll(context.bus, "d", numbered(20));
      const held = await Promise.all(subscriptions.map((subscription) => take(subscription, 1)));
      checkEachOnce(textsOf(held.flat()), numbered(20), "what the twenty hold");
    },
  },
];
