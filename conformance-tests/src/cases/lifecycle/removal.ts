import { type Bus, type ClaimedJob, errorCode, toText } from "@busbar/core";
import { check, checkCode, checkEqual, iteratorOf } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { ignore, nextOf, takeOne } from "../shared.ts";
import { checkNotStored, checkStored, store } from "./filled.ts";

/** `removeNamespace()`: everything goes, nothing else does, and what comes later begins anew. */
export const removalCases: readonly ConformanceCase[] = [
  {
    id: "LC-REMOVE-001",
    title: "removing a namespace removes all that is stored there, and it can be used anew",
    contract: "lifecycle",
    level: "L0",
    async run(context) {
      const { bus } = context;
      for (let round = 1; round <= 2; round++) {
        await bus.pubsub.publish("first", "v", { messageId: "id" });
        await bus.jobs.enqueue("q", { payload: "v", dedupKey: "id" });
        await bus.jobs.purge("q");
        await store(bus);
        await bus.removeNamespace();
        checkEqual(await bus.storage(), { objects: 0, bytes: 0 }, "what is stored");
      }
      await checkNotStored(bus);
      const published = await bus.pubsub.publish("s", "v", { messageId: "id" });
      check(!published.duplicate, "a message id is remembered");
      const enqueued = await bus.jobs.enqueue("q", { payload: "v", dedupKey: "id" });
      check(!enqueued.duplicate, "a dedup key is remembered");
      await bus.pubsub.subscribe("other", { durable: "d", ackWaitMs: 5_000 });
      await bus.kv.ensureBucket("new", { history: 5 });
      await (await context.open()).kv.ensureBucket("new", { history: 5 });
    },
  },
  {
    id: "LC-REMOVE-002",
    title: "removing a namespace removes those below it, and none whose name begins alike",
    contract: "lifecycle",
    level: "L1",
    async run({ bus }) {
      const names = ["a", "a-b", "ab", "A", "a-"];
      const [a, ...others] = await Promise.all(names.map((name) => bus.forNamespace(name)));
      const below = await (a as Bus).forNamespace("c");
      // Named as if it were below `a`, and yet it is below `a-`.
      others.push(await (others.at(-1) as Bus).forNamespace("c"));
      for (const one of [bus, a as Bus, below, ...others]) await store(one);
      await (a as Bus).removeNamespace();
      for (const one of [a as Bus, below]) await checkNotStored(one);
      for (const one of [bus, ...others]) await checkStored(one);
    },
  },
  {
    id: "LC-REMOVE-003",
    title: "a namespace may be removed twice, by several at once, and if nothing was ever there",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      await bus.removeNamespace();
      await store(bus);
      await Promise.all([bus, other, bus].map((one) => one.removeNamespace()));
      await bus.removeNamespace();
      checkEqual(await other.storage(), { objects: 0, bytes: 0 }, "what is stored");
      await checkNotStored(await context.open());
    },
  },
  {
    id: "LC-REMOVE-004",
    title: "subscriptions and watches end with NOT_FOUND; listeners and servers go on",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const streams = [
        await bus.pubsub.subscribe("s"),
        await bus.pubsub.subscribe("s", { durable: "d" }),
        await bus.kv.watch("b"),
      ];
      await nextOf(streams[2] as AsyncIterable<unknown>, "the marker");
      const ends = streams.map((stream) => iteratorOf<unknown>(stream).next());
      for (const end of ends) void end.catch(ignore);
      const listener = await bus.pubsub.listen("s");
      await bus.rpc.serve("s", () => "v");
      const lease = await bus.kv.lease("b", "k", { ttlMs: 1_000 });
      const isLost = new Promise((resolve) => lease.lost.addEventListener("abort", resolve));
      await bus.removeNamespace();
      for (const end of ends) {
        await checkCode(context.within("the end", end, 20_000), "NOT_FOUND", "an item");
      }
      await context.within("the lease is lost", isLost);
      await bus.pubsub.publish("s", "again");
      checkEqual(toText((await nextOf(listener, "the listener")).payload), "again", "live");
      checkEqual(toText((await bus.rpc.request("s", "v")).payload), "v", "the reply");
    },
  },
  {
    id: "LC-REMOVE-005",
    title: "what workers do with jobs of a removed namespace does not reach one that is made anew",
    contract: "lifecycle",
    level: "L1",
    async run({ bus }) {
      for (const end of ["ack", "nak", "heartbeat"] as const) {
        await bus.jobs.enqueue("q", { payload: "old" });
        const [old] = await bus.jobs.claim("q", { workerId: "w" });
        await bus.removeNamespace();
        await bus.jobs.enqueue("q", { payload: "new" });
        const [fresh] = await bus.jobs.claim("q", { workerId: "w" });
        checkEqual(fresh && toText(fresh.payload), "new", "the new job");
        await (old as ClaimedJob)[end]().catch((error: unknown) => {
          checkEqual(errorCode(error), "LEASE_LOST", `how a late ${end} fails`);
        });
        checkEqual((await bus.jobs.stats("q")).leased, 1, `leased jobs after a late ${end}`);
        await fresh?.ack({ confirm: true });
        await bus.removeNamespace();
      }
    },
  },
  {
    id: "LC-REMOVE-006",
    title: "other buses hear of the removal, and use the namespace anew",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const works: Record<string, () => Promise<unknown>> = {
        publish: () => other.pubsub.publish("s", "v", { timeoutMs: 300 }),
        enqueue: () => other.jobs.enqueue("q", { payload: "v" }, { timeoutMs: 300 }),
        put: () => other.kv.put("b", "k", "v"),
        lease: async () => (await other.kv.lease("b", "k", { ttlMs: 5_000 })).release(),
      };
      for (const work of Object.values(works)) await work();
      await bus.removeNamespace();
      for (const [name, work] of Object.entries(works)) {
        await context.until(`${name} on another bus`, () =>
          work().then(
            () => true,
            () => false,
          ),
        );
      }
      const subscription = await bus.pubsub.subscribe("s", { durable: "new" });
      checkEqual(toText((await takeOne(subscription)).payload), "v", "the message");
      const [job] = await bus.jobs.claim("q", { workerId: "w", waitMs: 5_000 });
      checkEqual(job && toText(job.payload), "v", "the job");
      await job?.ack();
      checkEqual((await bus.kv.get("b", "k"))?.value.length, 1, "the value");
    },
  },
];
