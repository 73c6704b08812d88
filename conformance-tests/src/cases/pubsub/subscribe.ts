import { toText } from "@busbar/core";
import { check, checkEqual, iteratorOf } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkEnded,
  checkNothingElse,
  numbered,
  publishAll,
  pump,
  takeAndAck,
  takeFrom,
  takeOne,
  takeText,
  textsOf,
  track,
} from "./helpers.ts";

/** Where subscriptions begin, and how they end. */
export const subscribeCases: readonly ConformanceCase[] = [
  {
    id: "PS-SUB-001",
    title: 'A new durable begins with all that is stored, unless told "new"',
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      await publishAll(bus, "s", ["old0", "old1"]);
      const byDefault = await bus.pubsub.subscribe("s", { durable: "default" });
      const all = await bus.pubsub.subscribe("s", { durable: "all", from: "all" });
      const fresh = await bus.pubsub.subscribe("s", { durable: "new", from: "new" });
      await publishAll(bus, "s", ["new0", "new1"]);
      const everything = ["old0", "old1", "new0", "new1"];
      checkEqual(textsOf(await takeAndAck(byDefault, 4)), everything, "by default");
      checkEqual(textsOf(await takeAndAck(all, 4)), everything, "from all");
      checkEqual(textsOf(await takeAndAck(fresh, 2)), ["new0", "new1"], "from new");
      await bus.pubsub.publish("s", "end");
      for (const subscription of [byDefault, all, fresh]) {
        await (await takeText(subscription, "end", "what comes next")).ack();
      }
    },
  },
  {
    id: "PS-SUB-002",
    title: "from { sequence } begins with that sequence, included",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const sequences = await publishAll(bus, "s", numbered(5));
      await publishAll(bus, "elsewhere", ["x"]);
      const durable = await bus.pubsub.subscribe("s", {
        durable: "third",
        from: { sequence: sequences[2] as number },
      });
      const ephemeral = await bus.pubsub.subscribe("s", {
        from: { sequence: sequences[3] as number },
      });
      checkEqual(textsOf(await takeAndAck(durable, 3)), ["m2", "m3", "m4"], "a durable");
      checkEqual(textsOf(await takeAndAck(ephemeral, 2)), ["m3", "m4"], "an ephemeral one");
      await ephemeral.close();
      await checkNothingElse(bus, "s", durable);
    },
  },
  {
    id: "PS-SUB-013",
    title: "from { sequence } beyond the end begins with that sequence when it comes",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const { sequence } = await bus.pubsub.publish("s", "before");
      const from = { sequence: sequence + 3 };
      const subscriptions = [
        await bus.pubsub.subscribe("s", { durable: "d", from }),
        await bus.pubsub.subscribe("s", { from }),
      ];
      const wanted: string[] = [];
      for (let index = 0; wanted.length < 2; index++) {
        const published = await bus.pubsub.publish("s", `m${index}`);
        if (published.sequence >= from.sequence) wanted.push(`m${index}`);
      }
      for (const subscription of subscriptions) {
        checkEqual(textsOf(await takeAndAck(subscription, 2)), wanted, "the first two");
      }
    },
  },
  {
    id: "PS-SUB-003",
    title: "from { timeMs } begins with the first message that was stored at that time or later",
    contract: "pubsub",
    level: "L1",
    async run({ bus, clock }) {
      const observer = await bus.pubsub.subscribe("s", { durable: "observer" });
      const times: number[] = [];
      for (const text of numbered(4)) {
        await bus.pubsub.publish("s", text);
        const message = await takeOne(observer);
        await message.ack();
        times.push(message.publishedAtMs);
        await clock.sleep(40);
      }
      const at = await bus.pubsub.subscribe("s", { from: { timeMs: times[2] as number } });
      const between = await bus.pubsub.subscribe("s", {
        from: { timeMs: (times[1] as number) + 20 },
      });
      const before = await bus.pubsub.subscribe("s", { durable: "epoch", from: { timeMs: 0 } });
      checkEqual(textsOf(await takeAndAck(at, 2)), ["m2", "m3"], "from the time of m2");
      checkEqual(textsOf(await takeAndAck(between, 2)), ["m2", "m3"], "from between m1 and m2");
      checkEqual(textsOf(await takeAndAck(before, 4)), numbered(4), "from the epoch");
    },
  },
  {
    id: "PS-SUB-004",
    title: "An ephemeral subscription begins with what is new, and each has all of it",
    contract: "pubsub",
    level: "L0",
    async run(context) {
      const { bus } = context;
      await publishAll(bus, "s", ["old"]);
      const other = await context.open();
      const subscriptions = [
        await bus.pubsub.subscribe("s"),
        await bus.pubsub.subscribe("s"),
        await other.pubsub.subscribe("s"),
        await bus.pubsub.subscribe("s", { from: "new" }),
      ];
      await publishAll(bus, "s", numbered(3));
      for (const subscription of subscriptions) {
        const messages = await takeAndAck(subscription, 3);
        checkEqual(textsOf(messages), numbered(3), "what is new");
        checkEqual(
          messages.map((message) => message.deliveryCount),
          [1, 1, 1],
          "delivery counts",
        );
      }
    },
  },
  {
    id: "PS-SUB-005",
    title: "An ephemeral subscription may begin with all, and its position ends with it",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      await publishAll(bus, "s", numbered(3));
      const first = await bus.pubsub.subscribe("s", { from: "all" });
      checkEqual(textsOf(await takeAndAck(first, 3)), numbered(3), "the first");
      await first.close();
      const second = await bus.pubsub.subscribe("s", { from: "all" });
      const again = await takeAndAck(second, 3);
      checkEqual(textsOf(again), numbered(3), "the second begins afresh");
      checkEqual(again[0]?.deliveryCount, 1, "delivery count");
    },
  },
  {
    id: "PS-SUB-006",
    title: "An ephemeral subscription redelivers after a nak and after the ack wait, without end",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("s", { ackWaitMs: 200 });
      await bus.pubsub.publish("s", "again");
      for (let delivery = 1; delivery <= 8; delivery++) {
        const message = await takeText(subscription, "again", `delivery ${delivery}`);
        checkEqual(message.deliveryCount, delivery, "delivery count");
        // The second is left to its ack wait; all others are given back.
        if (delivery === 8) await message.ack();
        else if (delivery !== 2) await message.nak();
      }
      await checkNothingElse(bus, "s", subscription);
    },
  },
  {
    id: "PS-SUB-007",
    title: "Leaving the loop closes the subscription and gives back what it had not handed out",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const options = { durable: "loop" };
      await publishAll(bus, "s", numbered(4));
      const left = await bus.pubsub.subscribe("s", options);
      for await (const message of left) {
        await message.ack({ confirm: true });
        break;
      }
      await checkEnded(left, "after break");
      const next = await bus.pubsub.subscribe("s", options);
      const rest = await takeAndAck(next, 3);
      checkEqual(textsOf(rest), ["m1", "m2", "m3"], "what was not handed out");
      checkEqual(
        rest.map((message) => message.deliveryCount),
        [1, 1, 1],
        "delivery counts",
      );
    },
  },
  {
    id: "PS-SUB-008",
    title: "An exception in the loop closes that subscription only; the message comes again",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const options = { durable: "throwing", ackWaitMs: 300 };
      const other = await bus.pubsub.subscribe("s", { durable: "other" });
      const failing = await bus.pubsub.subscribe("s", options);
      await bus.pubsub.publish("s", "poison");
      const boom = new Error("boom");
      let thrown: unknown;
      try {
        for await (const message of failing) {
          check(toText(message.payload) === "poison", "the message");
          throw boom;
        }
      } catch (error) {
        thrown = error;
      }
      check(thrown === boom, "the exception reaches the program");
      await (await takeText(other, "poison", "another durable")).ack();
      await checkNothingElse(bus, "s", other);
      const next = await bus.pubsub.subscribe("s", options);
      const counts = new Map<string, number>();
      for (const message of await takeAndAck(next, 2)) {
        counts.set(toText(message.payload), message.deliveryCount);
      }
      checkEqual(counts.get("poison"), 2, "delivery count of what failed");
      checkEqual(counts.get("sentinel"), 1, "delivery count of what was never handed out");
    },
  },
  {
    id: "PS-SUB-009",
    title: "Aborting the signal closes the subscription, also while the loop waits",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const controller = new AbortController();
      const { signal } = controller;
      const subscription = await bus.pubsub.subscribe("s", { durable: "signal", signal });
      const seen: string[] = [];
      const loop = pump(subscription, async (message) => {
        seen.push(toText(message.payload));
        await message.ack({ confirm: true });
        controller.abort();
      });
      await bus.pubsub.publish("s", "before");
      await loop;
      await bus.pubsub.publish("s", "after");
      const next = await bus.pubsub.subscribe("s", { durable: "signal" });
      await (await takeText(next, "after", "the next subscription")).ack();
      checkEqual(seen, ["before"], "what the aborted one had");
      const waiting = new AbortController();
      const idle = await bus.pubsub.subscribe("nothing", { signal: waiting.signal });
      const pending = track(iteratorOf(idle).next());
      waiting.abort();
      checkEqual((await pending.promise).done, true, "the waiting loop ends");
    },
  },
  {
    id: "PS-SUB-010",
    title: "close is idempotent, also at once and twice at the same time, and ends a waiting loop",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("s", { durable: "closing" });
      const loop = pump(subscription, () => undefined);
      const reports = await Promise.all([subscription.close(), subscription.close()]);
      reports.push(await subscription.close());
      checkEqual(
        reports.map((report) => report.abandoned),
        [0, 0, 0],
        "abandoned",
      );
      await subscription[Symbol.asyncDispose]();
      await loop;
      await checkEnded(subscription, "after close");
      const untouched = await bus.pubsub.subscribe("s", { durable: "closing" });
      await untouched.close();
    },
  },
  {
    id: "PS-SUB-011",
    title: "Subjects are kept apart",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const subjects = ["s", "s.a", "s.b", "s.a.b", "S", "sa", "s-a", "s_a"];
      const subscriptions = [];
      for (const [index, subject] of subjects.entries()) {
        subscriptions.push(await bus.pubsub.subscribe(subject, { durable: `d${index}` }));
      }
      for (const subject of [...subjects, ...subjects]) await bus.pubsub.publish(subject, subject);
      for (const [index, subject] of subjects.entries()) {
        const subscription = subscriptions[index];
        check(subscription, "a subscription for each subject");
        const messages = await takeAndAck(subscription, 2);
        checkEqual(textsOf(messages), [subject, subject], `messages of ${subject}`);
        await checkNothingElse(bus, subject, subscription);
      }
    },
  },
  {
    id: "PS-SUB-012",
    title: "Who subscribes or listens to everything has what was published, and nothing else",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const durable = await bus.pubsub.subscribe(">", { durable: "all" });
      const ephemeral = await bus.pubsub.subscribe(">");
      const listener = await bus.pubsub.listen(">");
      await bus.rpc.serve("ask", () => "answer");
      await bus.rpc.request("ask", "question");
      await bus.kv.put("b", "k", "value");
      await bus.kv.delete("b", "k");
      await using lease = await bus.kv.lease("b", "k", { ttlMs: 10_000 });
      await lease.heartbeat();
      await bus.jobs.enqueueMany("q", [{ payload: "dies" }, { payload: "waits", delayMs: 60_000 }]);
      const [job] = await bus.jobs.claim("q", { workerId: "w", waitMs: 5_000 });
      check(job, "no job was handed out");
      await job.heartbeat();
      await job.deadLetter("enough");
      await bus.jobs.deadLetters.replay("q", job.id);
      await bus.jobs.pause("q");
      await bus.pubsub.publish("end", "of all");
      for (const stream of [durable, ephemeral, listener]) {
        const [first] = await takeFrom<{ readonly subject: string }>(stream, 1);
        checkEqual(first?.subject, "end", "the subject of what comes first");
      }
    },
  },
];
