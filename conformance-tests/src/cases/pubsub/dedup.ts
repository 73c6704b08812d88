import { errorCode, toText } from "@busbar/core";
import { check, checkCode, checkEqual } from "../../assert.ts";
import { type ConformanceCase, needsVirtualTime } from "../../case.ts";
import {
  checkNothingElse,
  numbered,
  otherNamespace,
  publishAll,
  stopwatch,
  surely,
  takeAndAck,
  textsOf,
} from "./helpers.ts";

/** Message ids, and publishing on condition. */
export const dedupCases: readonly ConformanceCase[] = [
  {
    id: "PS-DEDUP-001",
    title:
      "A second publish with one message id stores nothing and answers the first one's sequence",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const first = await bus.pubsub.publish("d", "first", { messageId: "id-1" });
      const other = await context.open();
      const second = await other.pubsub.publish("d", "second", { messageId: "id-1" });
      checkEqual(first.duplicate, false, "duplicate of the first");
      checkEqual(second, { sequence: first.sequence, duplicate: true }, "the second ack");
      const third = await bus.pubsub.publish("d", "third", { messageId: "id-2" });
      checkEqual(third.duplicate, false, "duplicate with another id");
      const subscription = await bus.pubsub.subscribe("d", { durable: "d" });
      checkEqual(textsOf(await takeAndAck(subscription, 2)), ["first", "third"], "what is stored");
      await checkNothingElse(bus, "d", subscription);
    },
  },
  {
    id: "PS-DEDUP-002",
    title: "A message id counts over all subjects",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const first = await bus.pubsub.publish("d.a", "first", { messageId: "same" });
      const second = await bus.pubsub.publish("d.b", "second", { messageId: "same" });
      checkEqual(second, { sequence: first.sequence, duplicate: true }, "the second ack");
      const subscription = await bus.pubsub.subscribe("d.*", { durable: "d" });
      checkEqual(textsOf(await takeAndAck(subscription, 1)), ["first"], "what is stored");
      await checkNothingElse(bus, "d.b", subscription);
    },
  },
  {
    id: "PS-DEDUP-003",
    title: "Of 50 concurrent publishes with one message id exactly one is stored",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const acks = await Promise.all(
        numbered(50).map((text, index) =>
          (buses[index % 2] as typeof bus).pubsub.publish("d", text, { messageId: "one" }),
        ),
      );
      checkEqual(acks.filter((ack) => !ack.duplicate).length, 1, "acks that are no duplicate");
      checkEqual(new Set(acks.map((ack) => ack.sequence)).size, 1, "distinct sequences");
      const subscription = await bus.pubsub.subscribe("d", { durable: "d" });
      const [message] = await takeAndAck(subscription, 1);
      checkEqual(message?.sequence, acks[0]?.sequence, "the stored sequence");
      await checkNothingElse(bus, "d", subscription);
    },
  },
  {
    id: "PS-DEDUP-004",
    title: "After the dedup window the same message id is stored again",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const bus = await context.open({ namespace: otherNamespace(context), dedupWindowMs: 500 });
      checkEqual(bus.capabilities.dedupWindowMs, 500, "capabilities.dedupWindowMs");
      const publish = (text: string): ReturnType<typeof bus.pubsub.publish> =>
        bus.pubsub.publish("d", text, { messageId: "again" });
      const elapsed = stopwatch(context.clock);
      const first = await publish("first");
      await context.clock.sleep(300);
      const within = await publish("within");
      // On a machine that stood still for so long the window may be over.
      if (elapsed() < 500) checkEqual(within.duplicate, true, "duplicate within the window");
      // The window may be cleared on a timer of its own: twice its length is enough for any.
      await context.clock.sleep(surely(context, 1_000));
      const second = await publish("second");
      checkEqual(second.duplicate, false, "duplicate after the window");
      check(second.sequence > first.sequence, "the second is stored behind the first");
      const subscription = await bus.pubsub.subscribe("d", { durable: "d" });
      checkEqual(textsOf(await takeAndAck(subscription, 2)), ["first", "second"], "the stored");
      await checkNothingElse(bus, "d", subscription);
    },
  },
  {
    id: "PS-DEDUP-005",
    title: "The dedup window is as long as capabilities.dedupWindowMs says",
    contract: "pubsub",
    level: "L2",
    requires: [needsVirtualTime],
    timeoutMs: 43_200_000,
    async run({ bus, clock, toleranceMs }) {
      const windowMs = bus.capabilities.dedupWindowMs;
      await bus.pubsub.publish("d", "first", { messageId: "w" });
      await clock.sleep(windowMs - 100);
      const within = await bus.pubsub.publish("d", "within", { messageId: "w" });
      checkEqual(within.duplicate, true, "duplicate shortly before the end");
      await clock.sleep(windowMs + toleranceMs);
      const after = await bus.pubsub.publish("d", "after", { messageId: "w" });
      checkEqual(after.duplicate, false, "duplicate after the end");
    },
  },
  {
    id: "PS-DEDUP-006",
    title: "A message id may be any 1 to 256 printable ASCII characters, and case counts",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const printable = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index));
      const ids = [printable.join(""), "x".repeat(256), "a", "A", "0", "a.b", "*", ">", "a:b"];
      for (const messageId of ids) {
        const first = await bus.pubsub.publish("ids", "x", { messageId });
        checkEqual(first.duplicate, false, `first publish with ${messageId.slice(0, 10)}`);
      }
      for (const messageId of ids) {
        const second = await bus.pubsub.publish("ids", "x", { messageId });
        checkEqual(second.duplicate, true, `second publish with ${messageId.slice(0, 10)}`);
      }
    },
  },
  {
    id: "PS-EXPECT-001",
    title: "expectedLastSequence stores if it is right, and 0 stands for an empty subject",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const { pubsub } = bus;
      const expecting = (sequence: number, text: string): ReturnType<typeof bus.pubsub.publish> =>
        pubsub.publish("e", text, { expectedLastSequence: sequence });
      const first = await expecting(0, "first");
      await checkCode(() => expecting(0, "no"), "CONFLICT", "0 on a subject with a message");
      // Another subject moves the stream's sequence, not this subject's.
      const elsewhere = await pubsub.publish("e.other", "elsewhere");
      await checkCode(
        () => expecting(elsewhere.sequence, "no"),
        "CONFLICT",
        "another subject's sequence",
      );
      const second = await expecting(first.sequence, "second");
      check(second.sequence > elsewhere.sequence, "the second is stored last");
      await checkCode(() => expecting(first.sequence, "no"), "CONFLICT", "a stale sequence");
      await checkCode(() => expecting(second.sequence + 1_000, "no"), "CONFLICT", "a future one");
      const subscription = await pubsub.subscribe("e", { durable: "e" });
      checkEqual(textsOf(await takeAndAck(subscription, 2)), ["first", "second"], "the stored");
      await checkNothingElse(bus, "e", subscription);
    },
  },
  {
    id: "PS-EXPECT-002",
    title: "Of 20 concurrent publishes that expect the same sequence exactly one wins",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const [last] = await publishAll(bus, "e", ["before"]);
      const results = await Promise.allSettled(
        numbered(20).map((text, index) =>
          (buses[index % 2] as typeof bus).pubsub.publish("e", text, {
            expectedLastSequence: last as number,
          }),
        ),
      );
      const losers = results.filter((result) => result.status === "rejected");
      checkEqual(losers.length, 19, "losers");
      const codes = new Set(losers.map((loser) => errorCode(loser.reason)));
      checkEqual([...codes], ["CONFLICT"], "codes of the losers");
      const subscription = await bus.pubsub.subscribe("e", { durable: "e" });
      await takeAndAck(subscription, 2);
      await checkNothingElse(bus, "e", subscription);
    },
  },
  {
    id: "PS-EXPECT-003",
    title:
      "Repeating an accepted publish on condition with its message id is a duplicate, no conflict",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const options = { messageId: "step-1", expectedLastSequence: 0 };
      const first = await bus.pubsub.publish("e", "step", options);
      const again = await bus.pubsub.publish("e", "step", options);
      checkEqual(again, { sequence: first.sequence, duplicate: true }, "the repeated publish");
      const refused = { messageId: "step-2", expectedLastSequence: 0 };
      await checkCode(() => bus.pubsub.publish("e", "no", refused), "CONFLICT", "a new id");
      // What was refused was not stored, so its id is not taken.
      const fixed = { messageId: "step-2", expectedLastSequence: first.sequence };
      const second = await bus.pubsub.publish("e", "step two", fixed);
      checkEqual(second.duplicate, false, "duplicate after the refused one");
    },
  },
  {
    id: "PS-EXPECT-004",
    title: "A known message id is a duplicate, whatever the publish expects",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const first = await bus.pubsub.publish("e", "one", { messageId: "id" });
      await bus.pubsub.publish("e", "two");
      const listener = await bus.pubsub.listen(">");
      for (const expectedLastSequence of [0, first.sequence, first.sequence + 1_000]) {
        const options = { messageId: "id", expectedLastSequence };
        for (const subject of ["e", "other"]) {
          checkEqual(
            await bus.pubsub.publish(subject, "again", options),
            { sequence: first.sequence, duplicate: true },
            `a publish on ${subject} that expects ${expectedLastSequence}`,
          );
        }
      }
      await bus.pubsub.notify("end", "end");
      // Who listens may hear what is published again, and nothing but that.
      for await (const { payload, subject } of listener) {
        if (subject === "end") break;
        checkEqual(toText(payload), "again", `what was heard on ${subject}`);
      }
    },
  },
  {
    id: "PS-DEDUP-007",
    title: "A publish that is refused does not use up its message id",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const tooLarge = new Uint8Array(bus.capabilities.maxPayloadBytes + 1);
      const options = { messageId: "once" };
      await checkCode(bus.pubsub.publish("d", tooLarge, options), "PAYLOAD_TOO_LARGE", "too large");
      const late = { messageId: "late", expectedLastSequence: 7 };
      await checkCode(bus.pubsub.publish("d", "late", late), "CONFLICT", "on condition");
      for (const messageId of ["once", "late"]) {
        const { duplicate } = await bus.pubsub.publish("d", messageId, { messageId });
        checkEqual(duplicate, false, `duplicate of the refused ${messageId}`);
      }
      const subscription = await bus.pubsub.subscribe("d", { durable: "d" });
      checkEqual(textsOf(await takeAndAck(subscription, 2)), ["once", "late"], "what is stored");
    },
  },
];
