import type { Bus, Message, Subscription } from "@busbar/core";
import { check, checkCode, checkEqual, take } from "../../assert.ts";
import type { CaseContext, ConformanceCase } from "../../case.ts";
import {
  checkEachOnce,
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

const ACK_WAIT_MS = 500;

/** Settles that come too late: the message is already with somebody else. */
export const staleCases: readonly ConformanceCase[] = [
  {
    id: "PS-STALE-001",
    title:
      "After redelivery to another subscription every settle of the old delivery is LEASE_LOST",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const { old, other } = await redeliver(context, numbered(5));
      const [acked, confirmed, naked, termed, extended] = old as [
        Message,
        Message,
        Message,
        Message,
        Message,
      ];
      await checkCode(() => acked.ack(), "LEASE_LOST", "ack");
      await checkCode(() => confirmed.ack({ confirm: true }), "LEASE_LOST", "confirmed ack");
      await checkCode(() => naked.nak(), "LEASE_LOST", "nak");
      await checkCode(() => termed.term(), "LEASE_LOST", "term");
      await checkCode(() => extended.extend(), "LEASE_LOST", "extend");
      // None of it had an effect: all five come again when the newer deliveries' wait is over.
      const third = await takeAndAck(other, 5);
      checkEachOnce(textsOf(third), numbered(5), "the third deliveries");
      check(
        third.every((message) => message.deliveryCount === 3),
        "each is the third delivery",
      );
      await checkNothingElse(bus, "s", other);
    },
  },
  {
    id: "PS-STALE-002",
    title: "A stale nak does not bring the message back while somebody else works on it",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const { old, newer, other } = await redeliver(context, ["work"]);
      const elapsed = stopwatch(context.clock);
      await checkCode(() => (old[0] as Message).nak(), "LEASE_LOST", "nak");
      await bus.pubsub.publish("s", "sentinel");
      await (await takeText(other, "sentinel", "what comes next")).ack();
      check(elapsed() < ACK_WAIT_MS, "the newer delivery is still within its ack wait");
      await (newer[0] as Message).ack({ confirm: true });
      await context.clock.sleep(surely(context, ACK_WAIT_MS));
      await checkNothingElse(bus, "s", other);
    },
  },
  {
    id: "PS-STALE-003",
    title:
      "A stale settle takes nothing from the newer delivery: it can be settled once, its own way",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const { old, newer, other } = await redeliver(context, numbered(3));
      for (const message of old) {
        await checkCode(() => message.ack({ confirm: true }), "LEASE_LOST", "the stale ack");
      }
      const [acked, naked, termed] = newer as [Message, Message, Message];
      await acked.ack({ confirm: true });
      await naked.nak();
      await termed.term();
      const third = await takeText(other, "m1", "what the newer delivery naked");
      checkEqual(third.deliveryCount, 3, "delivery count");
      await third.ack();
      await context.clock.sleep(surely(context, ACK_WAIT_MS));
      await checkNothingElse(bus, "s", other);
      checkEqual(await bus.pubsub.deadLetters.count("s"), 0, "dead letters");
    },
  },
  {
    id: "PS-STALE-004",
    title: "A delivery that came again to the same subscription is stale there too",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const subscription = await bus.pubsub.subscribe("s", { durable: "s", ackWaitMs: 300 });
      await bus.pubsub.publish("s", "again");
      const first = await takeOne(subscription);
      const second = await takeText(subscription, "again", "the redelivery");
      checkEqual(second.deliveryCount, 2, "delivery count");
      await clock.sleep(30);
      await checkCode(() => first.ack({ confirm: true }), "LEASE_LOST", "the stale ack");
      const third = await takeText(subscription, "again", "the stale ack settled nothing");
      checkEqual(third.deliveryCount, 3, "delivery count");
      await third.ack({ confirm: true });
      await checkNothingElse(bus, "s", subscription);
    },
  },
  {
    id: "PS-STALE-005",
    title: "A stale extend does not lengthen the newer delivery's wait",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { old, other, elapsed } = await redeliver(context, ["work"]);
      await context.clock.sleep(ACK_WAIT_MS / 2);
      await checkCode(() => (old[0] as Message).extend(), "LEASE_LOST", "extend");
      const third = await takeText(other, "work", "the third delivery");
      checkNotBefore(elapsed(), 2 * ACK_WAIT_MS, "the third delivery");
      check(
        elapsed() < 2.5 * ACK_WAIT_MS,
        `the third delivery came after ${elapsed()} ms: the newer one was extended`,
      );
      await third.ack();
    },
  },
];

interface Redelivered {
  /** The deliveries whose wait is over. */
  readonly old: readonly Message[];
  /** The same messages, delivered again to `other`. */
  readonly newer: readonly Message[];
  readonly other: Subscription;
  /** Since the first delivery. */
  readonly elapsed: () => number;
}

/** Lets the ack wait of messages pass, so that another bus has them. */
async function redeliver(context: CaseContext, texts: readonly string[]): Promise<Redelivered> {
  const { bus, clock } = context;
  const options = { durable: "s", ackWaitMs: ACK_WAIT_MS, maxDeliveries: 10 };
  const first: Subscription = await bus.pubsub.subscribe("s", options);
  await publishAll(bus, "s", texts);
  const old = await take(first, texts.length);
  const elapsed = stopwatch(clock);
  // Closed, so that the redelivery goes to the other one; what was handed out stays valid.
  await first.close();
  const otherBus: Bus = await context.open();
  const other = await otherBus.pubsub.subscribe("s", options);
  const newer = await take(other, texts.length);
  checkEachOnce(textsOf(newer), texts, "the redeliveries");
  for (const message of newer) checkEqual(message.deliveryCount, 2, "delivery count");
  // The old holder sees the end of its wait by its own clock.
  await clock.sleep(30);
  return { old, newer, other, elapsed };
}
