import { checkCode, checkEqual, checkOptionRefused } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkNotAfter,
  checkNotBefore,
  checkNothingElse,
  numbered,
  publishAll,
  stopwatch,
  surely,
  takeOne,
  takeText,
  textsOf,
} from "./helpers.ts";

/** Naks, backoff, term and extend. */
export const nakCases: readonly ConformanceCase[] = [
  {
    id: "PS-NAK-001",
    title: "A nak brings the message back at once, long before its ack wait, and counts",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("n", { durable: "n" });
      await bus.pubsub.publish("n", "again");
      const elapsed = stopwatch(context.clock);
      for (let delivery = 1; delivery <= 4; delivery++) {
        const message = await takeText(subscription, "again", `delivery ${delivery}`);
        checkEqual(message.deliveryCount, delivery, "delivery count");
        if (delivery < 4) await message.nak();
        else await message.ack();
      }
      checkNotAfter(context, elapsed(), 0, "three naks");
      await checkNothingElse(bus, "n", subscription);
    },
  },
  {
    id: "PS-NAK-002",
    title: "A naked message is not put behind what is published later",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      // One at a time: nothing is buffered that could come first.
      const subscription = await bus.pubsub.subscribe("n", { durable: "n", maxInFlight: 1 });
      await publishAll(bus, "n", numbered(3));
      const first = await takeText(subscription, "m0", "the first");
      await first.nak();
      await bus.pubsub.publish("n", "later");
      const seen: string[] = [];
      while (!seen.includes("later")) {
        const message = await takeOne(subscription);
        seen.push(...textsOf([message]));
        await message.ack();
      }
      checkEqual(seen.toSorted(), ["later", "m0", "m1", "m2"], "what came");
      await checkNothingElse(bus, "n", subscription);
    },
  },
  {
    id: "PS-NAK-003",
    title: "nak({ delayMs }) brings the message back after the delay, not before",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("n", { durable: "n" });
      await bus.pubsub.publish("n", "again");
      let message = await takeText(subscription, "again", "the first delivery");
      for (const delayMs of [250, 40, 0]) {
        const elapsed = stopwatch(context.clock);
        await message.nak({ delayMs });
        message = await takeText(subscription, "again", `after a nak of ${delayMs} ms`);
        checkNotBefore(elapsed(), delayMs, `a nak of ${delayMs} ms`);
        checkNotAfter(context, elapsed(), delayMs, `a nak of ${delayMs} ms`);
      }
      checkEqual(message.deliveryCount, 4, "delivery count");
      await message.ack();
      await checkNothingElse(bus, "n", subscription);
    },
  },
  {
    id: "PS-NAK-004",
    title: "A nak delay that is longer than the ack wait is kept, and others pass meanwhile",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("n", { durable: "n", ackWaitMs: 200 });
      await bus.pubsub.publish("n", "delayed");
      const message = await takeText(subscription, "delayed", "the first delivery");
      const elapsed = stopwatch(context.clock);
      await message.nak({ delayMs: 700 });
      await bus.pubsub.publish("n", "meanwhile");
      await (await takeText(subscription, "meanwhile", "the other message")).ack();
      const again = await takeText(subscription, "delayed", "the redelivery");
      checkNotBefore(elapsed(), 700, "the redelivery");
      checkNotAfter(context, elapsed(), 700, "the redelivery");
      checkEqual(again.deliveryCount, 2, "delivery count");
      await again.ack();
      await checkNothingElse(bus, "n", subscription);
    },
  },
  {
    id: "PS-NAK-005",
    title: "Delayed messages come back in the order of their delays",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("n", { durable: "n" });
      const delays = [600, 200, 400];
      await publishAll(bus, "n", delays.map(String));
      const elapsed = stopwatch(context.clock);
      for (const delayMs of delays) {
        await (await takeText(subscription, `${delayMs}`, "the first delivery")).nak({ delayMs });
      }
      for (const delayMs of delays.toSorted((a, b) => a - b)) {
        const message = await takeText(subscription, `${delayMs}`, "the redelivery");
        checkNotBefore(elapsed(), delayMs, `a nak of ${delayMs} ms`);
        await message.ack();
      }
      await checkNothingElse(bus, "n", subscription);
    },
  },
  {
    id: "PS-NAK-006",
    title: "A wrong delay or reason is refused, and the message can still be settled",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("n", { durable: "n" });
      await bus.pubsub.publish("n", "x");
      const message = await takeOne(subscription);
      for (const delayMs of [-1, Number.NaN]) {
        await checkOptionRefused(() => message.nak({ delayMs }), "delayMs");
      }
      for (const reason of ["x".repeat(257), "two\nlines"]) {
        await checkCode(() => message.term({ reason }), "INVALID_ARGUMENT", "a wrong reason");
      }
      await message.ack({ confirm: true });
      await checkNothingElse(bus, "n", subscription);
    },
  },
  {
    id: "PS-BACKOFF-001",
    title: "backoffMs gives each delivery its own ack wait, and its last entry repeats",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("b", { durable: "b", backoffMs: [100, 300] });
      const sincePublish = stopwatch(context.clock);
      await bus.pubsub.publish("b", "again");
      await takeText(subscription, "again", "the first delivery");
      const sinceFirst = stopwatch(context.clock);
      for (const [index, dueMs] of [100, 400, 700].entries()) {
        const message = await takeText(subscription, "again", `delivery ${index + 2}`);
        checkEqual(message.deliveryCount, index + 2, "delivery count");
        checkNotBefore(sincePublish(), dueMs, `delivery ${index + 2}`);
        checkNotAfter(context, sinceFirst(), dueMs, `delivery ${index + 2}`);
        if (dueMs === 700) await message.ack();
      }
      await checkNothingElse(bus, "b", subscription);
    },
  },
  {
    id: "PS-BACKOFF-002",
    title: "A nak does not wait for the backoff; its own delay counts",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options = { durable: "b", backoffMs: [20_000, 30_000] };
      const subscription = await bus.pubsub.subscribe("b", options);
      await bus.pubsub.publish("b", "again");
      let message = await takeOne(subscription);
      for (const delayMs of [0, 200, 0]) {
        const elapsed = stopwatch(context.clock);
        await message.nak({ delayMs });
        message = await takeText(subscription, "again", "the redelivery");
        checkNotBefore(elapsed(), delayMs, `a nak of ${delayMs} ms`);
        checkNotAfter(context, elapsed(), delayMs, `a nak of ${delayMs} ms`);
      }
      await message.ack();
      await checkNothingElse(bus, "b", subscription);
    },
  },
  {
    id: "PS-BACKOFF-003",
    title: "backoffMs may have more entries than there are deliveries, and replaces ackWaitMs",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("b", {
        durable: "b",
        ackWaitMs: 60_000,
        backoffMs: [100, 200, 400, 800],
        maxDeliveries: 2,
      });
      const elapsed = stopwatch(context.clock);
      await bus.pubsub.publish("b", "dies");
      await takeOne(subscription);
      await takeText(subscription, "dies", "the last delivery");
      await context.until("the dead letter", async () => {
        return (await bus.pubsub.deadLetters.count("b")) === 1;
      });
      checkNotBefore(elapsed(), 300, "the dead letter");
      await checkNothingElse(bus, "b", subscription);
    },
  },
  {
    id: "PS-BACKOFF-004",
    title: "nak() without options brings the message back at once, whatever the backoff says",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options = { durable: "b", backoffMs: [20_000, 30_000] };
      const subscription = await bus.pubsub.subscribe("b", options);
      await bus.pubsub.publish("b", "again");
      let message = await takeOne(subscription);
      for (const _round of [1, 2, 3]) {
        const elapsed = stopwatch(context.clock);
        await message.nak();
        message = await takeText(subscription, "again", "the redelivery");
        checkNotAfter(context, elapsed(), 0, "the redelivery");
      }
      await message.ack();
      await checkNothingElse(bus, "b", subscription);
    },
  },
  {
    id: "PS-BACKOFF-005",
    title: "What was given back unseen has the ack wait of its own delivery, not of the next one",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      for (const [durable, backoffMs] of [
        ["falls", [900, 100, 100]],
        ["rises", [300, 20_000, 20_000]],
      ] as const) {
        const options = { durable, backoffMs };
        await (await bus.pubsub.subscribe(durable, options)).close();
        await publishAll(bus, durable, ["seen", "unseen"]);
        const first = await bus.pubsub.subscribe(durable, options);
        await (await takeText(first, "seen", "the first message")).ack({ confirm: true });
        await first.close();
        const second = await bus.pubsub.subscribe(durable, options);
        const before = stopwatch(clock);
        const message = await takeText(second, "unseen", "the second message");
        const after = stopwatch(clock);
        checkEqual(message.deliveryCount, 1, `delivery count of ${durable}`);
        const again = await takeText(second, "unseen", "the redelivery");
        checkNotBefore(before(), backoffMs[0], `the redelivery of ${durable}`);
        checkNotAfter(context, after(), backoffMs[0], `the redelivery of ${durable}`);
        checkEqual(again.deliveryCount, 2, `second delivery count of ${durable}`);
        await again.ack({ confirm: true });
        await second.close();
      }
    },
  },
  {
    id: "PS-TERM-001",
    title:
      "A termed message never comes again, with a reason or without, and leaves no dead letter",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const options = { durable: "t", ackWaitMs: 250, maxDeliveries: 3 };
      const subscription = await bus.pubsub.subscribe("t", options);
      await publishAll(bus, "t", numbered(5));
      const reasons = [undefined, "not for us", "", "r".repeat(256), "naïve 日本語 🚌"];
      for (const reason of reasons) {
        const message = await takeOne(subscription);
        await (reason === undefined ? message.term() : message.term({ reason }));
      }
      await clock.sleep(surely(context, 1_000));
      await checkNothingElse(bus, "t", subscription);
      await subscription.close();
      const next = await (await context.open()).pubsub.subscribe("t", options);
      await checkNothingElse(bus, "t", next);
      checkEqual(await bus.pubsub.deadLetters.count("t"), 0, "dead letters");
    },
  },
  {
    id: "PS-EXTEND-001",
    title: "extend starts the ack wait again: a message is kept for as long as it is extended",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const subscription = await bus.pubsub.subscribe("x", { durable: "x", ackWaitMs: 500 });
      await bus.pubsub.publish("x", "long");
      const message = await takeText(subscription, "long", "the first delivery");
      let elapsed = stopwatch(clock);
      for (let round = 0; round < 8; round++) {
        await clock.sleep(200);
        elapsed = stopwatch(clock);
        await message.extend();
      }
      // More than three ack waits have passed. Had it come again, it would be the next one.
      await checkNothingElse(bus, "x", subscription);
      const again = await takeText(subscription, "long", "when nobody extends it any more");
      checkNotBefore(elapsed(), 500, "the redelivery after the last extend");
      checkNotAfter(context, elapsed(), 500, "the redelivery after the last extend");
      checkEqual(again.deliveryCount, 2, "delivery count");
      await again.ack();
    },
  },
  {
    id: "PS-EXTEND-002",
    title: "An extended message can be acked, naked and termed; then extend is ALREADY_SETTLED",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const subscription = await bus.pubsub.subscribe("x", { durable: "x", ackWaitMs: 400 });
      for (const verb of ["ack", "nak", "term"] as const) {
        await bus.pubsub.publish("x", verb);
        const message = await takeText(subscription, verb, "the message");
        await clock.sleep(100);
        await message.extend();
        await message[verb]();
        await checkCode(() => message.extend(), "ALREADY_SETTLED", `extend after ${verb}`);
        if (verb === "nak") await (await takeText(subscription, verb, "again")).ack();
      }
      await clock.sleep(surely(context, 800));
      await checkNothingElse(bus, "x", subscription);
    },
  },
];
