import type { Bus } from "@busbar/core";
import { check, checkCode, checkEqual, checkRange, take } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { STORED_OBJECTS, store } from "./filled.ts";

const NOTHING = { objects: 0, bytes: 0 };

/** `storage()`: each object counted once. */
export const storageCases: readonly ConformanceCase[] = [
  {
    id: "LC-STORE-001",
    title: "two values of 100 and 200 bytes are two objects; a fresh namespace has none",
    contract: "lifecycle",
    level: "L0",
    async run({ bus }) {
      checkEqual(await bus.storage(), NOTHING, "a fresh namespace");
      await bus.kv.put("b", "one", new Uint8Array(100));
      await bus.kv.put("b", "two", new Uint8Array(200));
      const { objects, bytes } = await bus.storage();
      checkEqual(objects, 2, "objects");
      checkRange(bytes, 300, 1_000, "bytes");
      checkEqual(await bus.storage({ buckets: ["b"] }), { objects, bytes }, "the bucket");
      await bus.kv.deleteBucket("b");
      checkEqual(await bus.storage(), NOTHING, "without the bucket");
    },
  },
  {
    id: "LC-STORE-002",
    title: "messages, jobs, dead letters and what is kept of values count once each, leases do not",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const objects = async (): Promise<number> => (await bus.storage()).objects;
      await bus.kv.ensureBucket("kept", { history: 3 });
      for (const value of ["1", "2", "3", "4"]) await bus.kv.put("kept", "k", value);
      checkEqual(await objects(), 3, "with the history of a value");
      await bus.kv.lease("kept", "k", { ttlMs: 25_000 });
      await bus.jobs.pause("paused");
      checkEqual(await objects(), 3, "with a lease and a pause");
      const subscription = await bus.pubsub.subscribe("s", { durable: "d", maxDeliveries: 1 });
      await bus.pubsub.publish("s", "m");
      checkEqual(await objects(), 4, "with a message and a durable");
      const [message] = await take(subscription, 1);
      await message?.nak();
      await context.until("the message is dead", async () => {
        return (await bus.pubsub.deadLetters.count("d")) === 1;
      });
      checkEqual(await objects(), 5, "with its dead letter");
      for (const payload of ["dead", "leased", "ready"]) await bus.jobs.enqueue("q", { payload });
      await bus.jobs.enqueue("q", { payload: "delayed", delayMs: 3_600_000 });
      const jobs = await bus.jobs.claim("q", { workerId: "w", max: 2 });
      await jobs[0]?.deadLetter("no good");
      checkEqual(await objects(), 9, "with four jobs");
      await jobs[1]?.ack({ confirm: true });
      await bus.jobs.deadLetters.purge("q");
      await bus.jobs.purge("q");
      await bus.pubsub.deadLetters.purge("d");
      checkEqual(await objects(), 4, "without the jobs and the dead letters");
      await bus.kv.delete("kept", "k");
      checkEqual(await objects(), 4, "with the trace of the deleted key");
    },
  },
  {
    id: "LC-STORE-003",
    title: "of some queues and buckets only those are counted, each once",
    contract: "lifecycle",
    level: "L1",
    async run({ bus }) {
      await store(bus);
      await bus.kv.put("other", "k", new Uint8Array(500));
      await bus.jobs.enqueue("other", { payload: new Uint8Array(500) });
      const objects = async (options: Parameters<Bus["storage"]>[0]): Promise<number> =>
        (await bus.storage(options)).objects;
      checkEqual(await objects({ buckets: ["b", "b"] }), 1, "a bucket, named twice");
      checkEqual(await objects({ queues: ["q", "q"] }), 2, "a queue, with its dead letter");
      const all = { queues: ["q", "other"], buckets: ["b", "other"] };
      checkEqual(await objects(all), 5, "all queues and buckets");
      check((await bus.storage({ queues: ["q"] })).bytes < 500, "bytes of another queue");
      check((await bus.storage({ queues: ["other"] })).bytes >= 500, "bytes of a queue");
      const none = { queues: ["none"], buckets: ["none"] };
      checkEqual(await bus.storage(none), NOTHING, "what does not exist");
      checkEqual(await bus.storage({ queues: [] }), NOTHING, "no queue");
      await checkCode(bus.storage({ queues: ["a b"] }), "INVALID_ARGUMENT", "a queue's name");
      await checkCode(bus.storage({ buckets: ["*"] }), "INVALID_ARGUMENT", "a bucket's name");
    },
  },
  {
    id: "LC-STORE-004",
    title: "what is below a namespace counts, what is beside it does not",
    contract: "lifecycle",
    level: "L1",
    async run({ bus }) {
      const names = ["a", "a-b", "ab", "b"];
      const [a, ...others] = await Promise.all(names.map((name) => bus.forNamespace(name)));
      const below = await (a as Bus).forNamespace("c");
      for (const one of [a as Bus, below, ...others]) await store(one);
      checkEqual((await (a as Bus).storage()).objects, 2 * STORED_OBJECTS, "a view and its own");
      for (const one of [below, ...others]) {
        checkEqual((await one.storage()).objects, STORED_OBJECTS, "another view");
      }
      checkEqual((await bus.storage()).objects, 5 * STORED_OBJECTS, "the whole namespace");
      checkEqual(
        (await bus.storage({ queues: ["q"] })).objects,
        0,
        "a queue of the namespace only",
      );
    },
  },
];
