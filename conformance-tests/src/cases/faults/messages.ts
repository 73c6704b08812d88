import { type Subscription, toText } from "@busbar/core";
import { check, checkEqual, iteratorOf, take } from "../../assert.ts";
import {
  type CaseContext,
  type ConformanceCase,
  needsServerFaults,
  type Requirement,
} from "../../case.ts";
import { nextOf, outcomeOf, storedTexts, takeOne } from "../shared.ts";
import {
  BACK_MS,
  checkAway,
  persist,
  restart,
  restartDuring,
  SURVIVES,
  untilBack,
} from "./helpers.ts";

const keepsSettles: Requirement = {
  reason: 'needs capabilities.settleDurability.pubsub "kept"',
  met: ({ capabilities }) => capabilities.settleDurability.pubsub === "kept",
};

const mayForgetSettles: Requirement = {
  reason: 'is about capabilities.settleDurability.pubsub "window"',
  met: ({ capabilities }) => capabilities.settleDurability.pubsub === "window",
};

const TIMEOUT_MS = 2_000;

/** Messages over a kill of the server. */
export const messageFaultCases: readonly ConformanceCase[] = [
  {
    id: "FAULT-PUBLISH-001",
    title:
      "every publish that was acknowledged is there after a kill, once; the others failed clearly",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus } = context;
      const { acknowledged, unclear } = await restartDuring(context, (text) =>
        bus.pubsub.publish("s", text, { timeoutMs: TIMEOUT_MS }),
      );
      const stored = await storedTexts(bus, "s", "s");
      const lost = acknowledged.filter((text) => stored.get(text) !== 1);
      checkEqual(lost, [], "acknowledged messages that are not there once");
      for (const text of unclear) check((stored.get(text) ?? 0) <= 1, `${text} is there twice`);
    },
  },
  {
    id: "FAULT-PUBLISH-002",
    title: "publishes with a message id are retried over a restart, and each is there once",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus } = context;
      const { acknowledged, unclear } = await restartDuring(context, (text) =>
        bus.pubsub.publish("s", text, { messageId: text, timeoutMs: 2 * BACK_MS }),
      );
      checkEqual(unclear, [], "publishes that failed although they could be retried");
      const stored = await storedTexts(bus, "s", "s");
      const wrong = acknowledged.filter((text) => stored.get(text) !== 1);
      checkEqual(wrong, [], "messages that are not there once");
    },
  },
  {
    id: "FAULT-PUBLISH-003",
    title: "sequences go on growing after a restart, and an expected one is still compared",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 60_000,
    async run(context) {
      const { bus } = context;
      const before = await bus.pubsub.publish("s", "before");
      await restart(context);
      const after = await persist(context, "publish", () =>
        bus.pubsub.publish("s", "after", { messageId: "after" }),
      );
      check(after.sequence > before.sequence, `${after.sequence} after ${before.sequence}`);
      const stale = await outcomeOf(context.clock, () =>
        bus.pubsub.publish("s", "stale", { expectedLastSequence: before.sequence }),
      );
      check(!stale.ok, "a publish with a stale expected sequence resolved");
      await bus.pubsub.publish("s", "next", { expectedLastSequence: after.sequence });
    },
  },
  {
    id: "FAULT-SUBSCRIBE-001",
    title: "a durable subscription resumes by itself: nothing is lost, new messages flow",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus } = context;
      const publisher = await context.open();
      const subscription = await bus.pubsub.subscribe("s", { durable: "d", maxInFlight: 8 });
      const seen = collect(context, subscription);
      const { acknowledged } = await restartDuring(context, (text) =>
        publisher.pubsub.publish("s", text, { timeoutMs: TIMEOUT_MS }),
      );
      await context.until(
        "every acknowledged message has arrived",
        () => acknowledged.every((text) => seen.has(text)),
        BACK_MS,
      );
      await publisher.pubsub.publish("s", "new");
      await context.until("a new message arrives", () => seen.has("new"), BACK_MS);
    },
  },
  {
    id: "FAULT-SUBSCRIBE-002",
    title: "an ephemeral subscription resumes by itself, with no gap",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus } = context;
      const publisher = await context.open();
      const subscription = await bus.pubsub.subscribe("s");
      const seen = collect(context, subscription);
      const { acknowledged } = await restartDuring(context, (text) =>
        publisher.pubsub.publish("s", text, { timeoutMs: TIMEOUT_MS }),
      );
      await context.until(
        "every acknowledged message has arrived",
        () => acknowledged.every((text) => seen.has(text)),
        BACK_MS,
      );
    },
  },
  {
    id: "FAULT-SUBSCRIBE-003",
    title: "a listener hears again after a restart",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults],
    timeoutMs: 60_000,
    async run(context) {
      const { bus } = context;
      const listener = await bus.pubsub.listen("s");
      await bus.pubsub.notify("s", "before");
      checkEqual(toText((await nextOf(listener, "the listener")).payload), "before", "before");
      await restart(context);
      const next = nextOf(listener, "the listener");
      // At most once: what is sent before the listener is back may be gone.
      let heard = false;
      void next.then(() => (heard = true)).catch(() => undefined);
      await context.until(
        "the listener hears again",
        async () => {
          await outcomeOf(context.clock, () => bus.pubsub.notify("s", "after"));
          await context.clock.sleep(20);
          return heard;
        },
        BACK_MS,
      );
      checkEqual(toText((await next).payload), "after", "what it hears");
    },
  },
  {
    id: "FAULT-SUBSCRIBE-004",
    title: "a message in the hands of the program over a restart is settled, or comes again",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus } = context;
      const options = { durable: "d", ackWaitMs: 2_000 };
      const subscription = await bus.pubsub.subscribe("s", options);
      await bus.pubsub.publish("s", "held");
      const [held] = await take(subscription, 1);
      await restart(context);
      await untilBack(context, bus);
      const settling = await outcomeOf(context.clock, async () => held?.ack({ confirm: true }));
      if (!settling.ok) checkAway(settling.error, "the confirmed ack");
      // Past the ack wait it would have come again if the ack had not counted.
      await context.clock.sleep(options.ackWaitMs + context.toleranceMs);
      await bus.pubsub.publish("s", "sentinel");
      const texts: string[] = [];
      while (texts.at(-1) !== "sentinel") {
        texts.push(toText((await takeOne(subscription)).payload));
      }
      if (settling.ok) checkEqual(texts, ["sentinel"], "what comes after a confirmed ack");
      else check(texts.length <= 2, `came more than once: ${texts.join()}`);
    },
  },
  {
    id: "FAULT-SETTLE-001",
    title: "a message whose confirmed ack is kept does not come again after a kill",
    contract: "faults",
    level: "L4",
    requires: [...SURVIVES, keepsSettles],
    timeoutMs: 90_000,
    async run(context) {
      const redelivered = await settleAndKill(context);
      checkEqual(redelivered, [], "messages that came again");
    },
  },
  {
    id: "FAULT-SETTLE-002",
    title: "where acks may be forgotten, messages come again at most, and can be settled then",
    contract: "faults",
    level: "L4",
    requires: [...SURVIVES, mayForgetSettles],
    timeoutMs: 90_000,
    async run(context) {
      const redelivered = await settleAndKill(context);
      checkEqual(new Set(redelivered).size, redelivered.length, "messages that came again twice");
    },
  },
  {
    id: "FAULT-SETTLE-003",
    title: "messages that were never settled come again after a kill, all of them",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus } = context;
      const options = { durable: "d", ackWaitMs: 2_000, maxInFlight: 10 };
      const subscription = await bus.pubsub.subscribe("s", options);
      for (let index = 0; index < 20; index++) await bus.pubsub.publish("s", `m${index}`);
      await take(subscription, 10);
      await restart(context);
      const seen = collect(context, subscription);
      await context.until("all messages have come again", () => seen.size === 20, BACK_MS);
    },
  },
  {
    id: "FAULT-DEDUP-001",
    title: "message ids survive a kill as far as declared",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults],
    timeoutMs: 60_000,
    async run(context) {
      const { bus } = context;
      const declared = bus.capabilities.dedupDurability.pubsub;
      const subscription = await bus.pubsub.subscribe("settled", { durable: "d" });
      const stored = await bus.pubsub.publish("stored", "v", { messageId: "stored" });
      await bus.pubsub.publish("settled", "v", { messageId: "settled" });
      const [message] = await take(subscription, 1);
      await message?.ack({ confirm: true });
      await restart(context);
      const again = await persist(context, "publish", () =>
        bus.pubsub.publish("stored", "v", { messageId: "stored" }),
      );
      const settled = await bus.pubsub.publish("settled", "v", { messageId: "settled" });
      if (declared === "none") return;
      checkEqual(again, { ...stored, duplicate: true }, "the answer to the same id");
      if (declared === "kept") check(settled.duplicate, "the id of a settled message is forgotten");
    },
  },
];

/** Settles messages with confirmation, kills at once; gives what comes again. */
async function settleAndKill(context: CaseContext): Promise<string[]> {
  const { bus } = context;
  const options = { durable: "d", ackWaitMs: 2_000, maxInFlight: 50 };
  const subscription = await bus.pubsub.subscribe("s", options);
  for (let index = 0; index < 50; index++) await bus.pubsub.publish("s", `m${index}`);
  const messages = await take(subscription, 50);
  await Promise.all(messages.map((message) => message.ack({ confirm: true })));
  await restart(context);
  await untilBack(context, bus);
  // Past the ack wait whatever was forgotten has come again; the sentinel comes behind it.
  await context.clock.sleep(options.ackWaitMs + context.toleranceMs);
  await persist(context, "publish", () => bus.pubsub.publish("s", "end", { messageId: "end" }));
  const texts: string[] = [];
  for (;;) {
    const text = toText((await takeOne(subscription)).payload);
    if (text === "end") return texts;
    texts.push(text);
  }
}

/** Reads and acks in the background; gives what was seen so far. */
function collect(context: CaseContext, subscription: Subscription): ReadonlySet<string> {
  const seen = new Set<string>();
  const iterator = iteratorOf(subscription);
  void (async () => {
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) return;
      seen.add(toText(value.payload));
      // While the server is away an ack may fail; the message comes again then.
      await outcomeOf(context.clock, () => value.ack());
    }
  })();
  return seen;
}
