import { toText } from "@busbar/core";
import { check, checkCode, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { nextOf, storedTexts, takeOne } from "../shared.ts";
import { checkNotFilled, checkStored, fill } from "./filled.ts";

/** Who sees whom: buses of one namespace, and of two. */
export const sharingCases: readonly ConformanceCase[] = [
  {
    id: "LC-SHARE-001",
    title: "two buses in one namespace share messages, requests, values, leases and jobs",
    contract: "lifecycle",
    level: "L0",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const subscription = await other.pubsub.subscribe("s", { durable: "d" });
      const listener = await other.pubsub.listen("s");
      await other.rpc.serve("s", ({ payload }) => `${toText(payload)}!`);
      await bus.pubsub.publish("s", "stored");
      checkEqual(toText((await takeOne(subscription)).payload), "stored", "the message");
      checkEqual(toText((await nextOf(listener, "the listener")).payload), "stored", "live");
      checkEqual(toText((await bus.rpc.request("s", "hello")).payload), "hello!", "the reply");
      const revision = await bus.kv.put("b", "k", "v");
      checkEqual((await other.kv.get("b", "k"))?.revision, revision, "the revision");
      const lease = await bus.kv.lease("b", "k", { ttlMs: 10_000, owner: "first" });
      const held = await checkCode(
        other.kv.lease("b", "k", { ttlMs: 1_000 }),
        "LEASE_HELD",
        "lease",
      );
      checkEqual(held.details["owner"], "first", "the owner that is told");
      await lease.release();
      const { id } = await bus.jobs.enqueue("q", { payload: "work" });
      const [job] = await other.jobs.claim("q", { workerId: "w", waitMs: 5_000 });
      checkEqual(job?.id, id, "the job");
      await job?.ack({ confirm: true });
      checkEqual((await bus.jobs.stats("q")).leased, 0, "leased jobs");
    },
  },
  {
    id: "LC-SHARE-002",
    title: "what is written in one namespace is not there in another, in any contract",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const stranger = await context.open({ namespace: `${context.namespace}-x` });
      await stranger.pubsub.subscribe("s", { durable: "d" });
      await fill(bus);
      await checkNotFilled(stranger);
    },
  },
  {
    id: "LC-SHARE-003",
    title: "removing in one namespace leaves the same names in another alone",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const stranger = await context.open({ namespace: `${context.namespace}-x` });
      await fill(bus);
      await fill(stranger);
      await stranger.kv.deleteBucket("b");
      await stranger.jobs.resume("q");
      await stranger.jobs.purge("q");
      await stranger.jobs.deleteQueue("q");
      await stranger.pubsub.deleteDurable("d");
      await checkStored(bus);
    },
  },
  {
    id: "LC-SHARE-004",
    title: "dedup ids, durables and groups are of one namespace only",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const stranger = await context.open({ namespace: `${context.namespace}-x` });
      for (const one of [bus, stranger]) {
        const published = await one.pubsub.publish("s", "v", { messageId: "id" });
        check(!published.duplicate, "a message id of another namespace is a duplicate");
        const enqueued = await one.jobs.enqueue("q", { payload: "v", dedupKey: "id" });
        check(!enqueued.duplicate, "a dedup key of another namespace is a duplicate");
        const first = await one.pubsub.publish("s.first", "v", { expectedLastSequence: 0 });
        check(first.sequence > 0, "no sequence");
        await one.kv.create("b", "k", "v");
      }
      const mine = await bus.pubsub.listen("s", { group: "g" });
      const theirs = await stranger.pubsub.listen("s", { group: "g" });
      for (let index = 0; index < 10; index++) {
        await bus.pubsub.notify("s", "mine");
        await stranger.pubsub.notify("s", "theirs");
      }
      for (let index = 0; index < 10; index++) {
        checkEqual(toText((await nextOf(mine, "mine")).payload), "mine", "what I get");
        checkEqual(toText((await nextOf(theirs, "theirs")).payload), "theirs", "what they get");
      }
    },
  },
  {
    id: "LC-SHARE-005",
    title: "namespaces that begin alike, or differ in case only, are kept apart",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const names = ["", "-a", "-A", "-a-b", "-ab"].map((end) => `${context.namespace}${end}`);
      const buses = await Promise.all(names.map((namespace) => context.open({ namespace })));
      for (const [index, bus] of buses.entries()) {
        await bus.pubsub.publish("s", `${index}`);
        await bus.kv.put("b", "k", `${index}`);
        await bus.jobs.enqueue("q", { payload: `${index}` });
      }
      for (const [index, bus] of buses.entries()) {
        const stored = await storedTexts(bus, ">", "s");
        checkEqual([...stored], [[`${index}`, 1]], `messages of ${names[index]}`);
        const entry = await bus.kv.get("b", "k");
        checkEqual(entry && toText(entry.value), `${index}`, `the value of ${names[index]}`);
        const jobs = await bus.jobs.claim("q", { workerId: "w", max: 10 });
        checkEqual(
          jobs.map(({ payload }) => toText(payload)),
          [`${index}`],
          "the jobs",
        );
        for (const job of jobs) await job.ack();
      }
    },
  },
];
