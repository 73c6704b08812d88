import { toText } from "@busbar/core";
import { checkEqual, take } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { nextOf, takeOne } from "../shared.ts";
import { GOOD_IDS, GOOD_KEYS, GOOD_NAMES, GOOD_SUBJECTS, shown } from "./tables.ts";

/** Names that are allowed: each works, and none is mistaken for another. */
export const allowedNameCases: readonly ConformanceCase[] = [
  {
    id: "NAME-SUBJECT-002",
    title: "every allowed subject arrives as it was sent, also those that look like a server's own",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe(">", { durable: "all" });
      const listener = await bus.pubsub.listen(">");
      await bus.rpc.serve(">", ({ subject }) => subject);
      for (const subject of GOOD_SUBJECTS) {
        await bus.pubsub.publish(subject, "v");
        checkEqual((await takeOne(subscription)).subject, subject, "the subject of the message");
        checkEqual((await nextOf(listener, "the listener")).subject, subject, "live");
        await bus.pubsub.notify(subject, "v");
        checkEqual((await nextOf(listener, "the listener")).subject, subject, "notified");
        const reply = await bus.rpc.request(subject, "v");
        checkEqual(toText(reply.payload), subject, "the subject of the request");
      }
    },
  },
  {
    id: "NAME-SUBJECT-003",
    title: "a subscription to one exact subject gets that subject and no other, however odd",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      const subscriptions = [];
      for (const subject of GOOD_SUBJECTS) {
        subscriptions.push(await bus.pubsub.subscribe(subject, { from: "all" }));
      }
      for (const subject of GOOD_SUBJECTS) await bus.pubsub.publish(subject, subject);
      for (const subject of GOOD_SUBJECTS) await bus.pubsub.publish(subject, "sentinel");
      for (const [index, subject] of GOOD_SUBJECTS.entries()) {
        const subscription = subscriptions[index];
        if (!subscription) continue;
        const texts = (await take(subscription, 2)).map(({ payload }) => toText(payload));
        checkEqual(texts, [subject, "sentinel"], `what ${shown(subject)} gets`);
        await subscription.close();
      }
    },
  },
  {
    id: "NAME-DURABLE-002",
    title: "every allowed durable has a position of its own",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      await bus.pubsub.publish("s", "first");
      for (const durable of GOOD_NAMES) {
        const subscription = await bus.pubsub.subscribe("s", { durable });
        const message = await takeOne(subscription);
        checkEqual(toText(message.payload), "first", `what ${shown(durable)} gets`);
        checkEqual(message.deliveryCount, 1, `the delivery count of ${shown(durable)}`);
        await subscription.close({ drainMs: 1_000 });
      }
      for (const durable of GOOD_NAMES) {
        checkEqual(await bus.pubsub.deleteDurable(durable), true, `${shown(durable)} existed`);
      }
    },
  },
  {
    id: "NAME-GROUP-002",
    title: "every allowed group gets each message once",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      const listeners = [];
      for (const group of GOOD_NAMES) listeners.push(await bus.pubsub.listen("s", { group }));
      await bus.pubsub.notify("s", "first");
      await bus.pubsub.notify("s", "second");
      for (const [index, listener] of listeners.entries()) {
        const what = `the group ${shown(GOOD_NAMES[index])}`;
        checkEqual(toText((await nextOf(listener, what)).payload), "first", what);
        checkEqual(toText((await nextOf(listener, what)).payload), "second", what);
      }
    },
  },
  {
    id: "NAME-QUEUE-002",
    title: "every allowed queue has jobs and dead letters of its own",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      const { jobs } = bus;
      for (const queue of GOOD_NAMES) {
        await jobs.enqueue(queue, { payload: `dead in ${queue}` });
        const [doomed] = await jobs.claim(queue, { workerId: queue });
        await doomed?.deadLetter("no good");
        await jobs.enqueue(queue, { payload: queue });
      }
      for (const queue of GOOD_NAMES) {
        const claimed = await jobs.claim(queue, { workerId: "w", max: 10 });
        const texts = claimed.map(({ payload }) => toText(payload));
        checkEqual(texts, [queue], `the jobs of ${shown(queue)}`);
        checkEqual(claimed[0]?.queue, queue, "the queue of the job");
        for (const job of claimed) await job.ack();
        const { entries } = await jobs.deadLetters.list(queue);
        const dead = entries.map(({ owner, payload }) => `${owner}: ${toText(payload)}`);
        checkEqual(dead, [`${queue}: dead in ${queue}`], `dead letters of ${shown(queue)}`);
      }
    },
  },
  {
    id: "NAME-BUCKET-002",
    title: "every allowed bucket has values of its own",
    contract: "names",
    level: "L1",
    async run({ bus: { kv } }) {
      for (const bucket of GOOD_NAMES) await kv.put(bucket, "k", bucket);
      for (const bucket of GOOD_NAMES) {
        const entry = await kv.get(bucket, "k");
        checkEqual(entry && toText(entry.value), bucket, `the value in ${shown(bucket)}`);
        checkEqual((await kv.keys(bucket)).keys, ["k"], `the keys of ${shown(bucket)}`);
      }
      for (const bucket of GOOD_NAMES) {
        checkEqual(await kv.deleteBucket(bucket), true, `${shown(bucket)} existed`);
      }
    },
  },
  {
    id: "NAME-KEY-003",
    title: "every allowed key has a value and a lease of its own",
    contract: "names",
    level: "L1",
    async run({ bus: { kv } }) {
      const leases = [];
      for (const key of GOOD_KEYS) {
        await kv.create("b", key, key);
        leases.push(await kv.lease("b", key, { ttlMs: 29_000 }));
      }
      for (const key of GOOD_KEYS) {
        const entry = await kv.get("b", key);
        checkEqual(entry && toText(entry.value), key, `the value of ${shown(key)}`);
        checkEqual((await kv.history("b", key)).length, 1, `the history of ${shown(key)}`);
      }
      checkEqual((await kv.keys("b")).keys, [...GOOD_KEYS].sort(), "the keys");
      for (const [index, lease] of leases.entries()) {
        checkEqual(lease.key, GOOD_KEYS[index], "the key of the lease");
        await lease.release();
      }
    },
  },
  {
    id: "NAME-ID-002",
    title: "every allowed message id and dedup key is known again, and only itself",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      for (const expected of [false, true]) {
        for (const id of GOOD_IDS) {
          const published = await bus.pubsub.publish("s", "v", { messageId: id });
          checkEqual(published.duplicate, expected, `message id ${shown(id)} is a duplicate`);
          const enqueued = await bus.jobs.enqueue("q", { payload: "v", dedupKey: id });
          checkEqual(enqueued.duplicate, expected, `dedup key ${shown(id)} is a duplicate`);
        }
      }
      checkEqual((await bus.jobs.stats("q")).ready, GOOD_IDS.length, "jobs");
    },
  },
];
