import { type Bus, toText } from "@busbar/core";
import { check, checkCode, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { BAD_NAMESPACES } from "../names/tables.ts";
import { nextOf, storedTexts, takeOne } from "../shared.ts";
import { checkNotFilled, checkStored, fill } from "./filled.ts";

/** Of these no view is made. The longest name is 64 characters, with that of the bus. */
const REFUSED = [...BAD_NAMESPACES, "-a", "--a", "n".repeat(64), undefined, null, 7];

/** Views: buses on namespaces below another one's. */
export const viewCases: readonly ConformanceCase[] = [
  {
    id: "LC-VIEW-001",
    title: "what is on a bus is not on its view, and what is on a view is not on its bus",
    contract: "lifecycle",
    level: "L0",
    async run({ bus }) {
      const [first, second] = [await bus.forNamespace("first"), await bus.forNamespace("second")];
      await fill(bus);
      await checkNotFilled(first);
      await fill(second);
      await checkStored(bus);
      const below = await second.forNamespace("first");
      await checkNotFilled(below);
      await checkStored(second);
    },
  },
  {
    id: "LC-VIEW-002",
    title: "views of one name share everything, whoever made them; it is <namespace>--<name>",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus, namespace } = context;
      const other = await context.open();
      const direct = await context.open({ namespace: `${namespace}--a` });
      const views = [await bus.forNamespace("a"), await bus.forNamespace("a")];
      for (const view of [...views, await other.forNamespace("a"), direct]) {
        const subscription = await view.pubsub.subscribe("s", { durable: "d" });
        const listener = await view.pubsub.listen("s");
        const server = await view.rpc.serve("s", ({ payload }) => payload);
        await views[0]?.pubsub.publish("s", "m");
        checkEqual(toText((await takeOne(subscription)).payload), "m", "the message");
        checkEqual(toText((await nextOf(listener, "the listener")).payload), "m", "live");
        const reply = await views[0]?.rpc.request("s", "hello");
        checkEqual(reply && toText(reply.payload), "hello", "the reply");
        const revision = await views[0]?.kv.put("b", "k", "v");
        checkEqual((await view.kv.get("b", "k"))?.revision, revision, "the revision");
        const enqueued = await views[0]?.jobs.enqueue("q", { payload: "v" });
        const [job] = await view.jobs.claim("q", { workerId: "w", waitMs: 5_000 });
        checkEqual(job?.id, enqueued?.id, "the job");
        await job?.ack({ confirm: true });
        await server.close();
        await subscription.close();
      }
      const nested = await (await bus.forNamespace("a")).forNamespace("b");
      const level = await context.open({ namespace: `${namespace}--a--b` });
      await nested.kv.put("b", "k", "nested");
      checkEqual((await level.kv.get("b", "k"))?.value.length, 6, "the value of the nested view");
    },
  },
  {
    id: "LC-VIEW-003",
    title: "views whose names begin alike, or differ in case only, are kept apart",
    contract: "lifecycle",
    level: "L1",
    async run({ bus }) {
      const names = ["a", "A", "a-b", "ab", "a--b", "a-", "b"];
      const views = await Promise.all(names.map((name) => bus.forNamespace(name)));
      const all: Bus[] = [bus, ...views, await (views[5] as Bus).forNamespace("b")];
      for (const [index, one] of all.entries()) {
        await one.pubsub.publish("s", `${index}`);
        await one.kv.put("b", "k", `${index}`);
        await one.jobs.enqueue("q", { payload: `${index}` });
      }
      for (const [index, one] of all.entries()) {
        const stored = await storedTexts(one, ">", "s");
        checkEqual([...stored], [[`${index}`, 1]], `messages of ${index}`);
        const entry = await one.kv.get("b", "k");
        checkEqual(entry && toText(entry.value), `${index}`, `the value of ${index}`);
        checkEqual((await one.jobs.stats("q")).ready, 1, `jobs of ${index}`);
      }
    },
  },
  {
    id: "LC-VIEW-004",
    title: "a bad name of a view is refused, and so is one that is too long with that of its bus",
    contract: "lifecycle",
    level: "L1",
    async run({ bus }) {
      for (const name of REFUSED) {
        const error = await checkCode(
          () => bus.forNamespace(name as string),
          "INVALID_ARGUMENT",
          `a view named ${JSON.stringify(name)}`,
        );
        check(error.message.includes("namespace"), "the error does not name the namespace");
      }
      // How much room there is nobody says: whose bus this is may be a view itself.
      let view = bus;
      const deeper = async (): Promise<void> => {
        for (let level = 1; level <= 4; level++) view = await view.forNamespace("n".repeat(15));
      };
      await checkCode(deeper, "INVALID_ARGUMENT", "four levels of 15 characters");
      await view.kv.put("b", "k", "v");
      checkEqual((await view.kv.get("b", "k"))?.value.length, 1, "the value");
    },
  },
  {
    id: "LC-VIEW-005",
    title: "a view has the capabilities of its bus, and a status of its own",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const view = await context.bus.forNamespace("a");
      checkEqual({ ...view.capabilities }, { ...context.bus.capabilities }, "the capabilities");
      const status = await context.within("a status", nextOf(view.status(), "status()"));
      checkEqual(status.type, "connected", "the first status");
    },
  },
];
