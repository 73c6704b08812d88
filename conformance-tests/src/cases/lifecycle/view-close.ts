import { toText } from "@busbar/core";
import { check, checkCode, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { checkEnds, deferred, ignore, takeOne } from "../shared.ts";
import { checkStored, fill } from "./filled.ts";

const DRAIN_MS = 300;

/** Closing a view, and the bus that it is a view of. */
export const viewCloseCases: readonly ConformanceCase[] = [
  {
    id: "LC-VIEW-006",
    title: "closing a view closes it and its own views, and nothing else",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const [view, sibling] = [await bus.forNamespace("a"), await bus.forNamespace("b")];
      const [twin, below] = [await bus.forNamespace("a"), await view.forNamespace("c")];
      for (const one of [bus, sibling]) await fill(one);
      const listener = await view.pubsub.listen("s");
      const nested = await below.pubsub.subscribe("s");
      const going = await twin.pubsub.subscribe("s");
      await view.kv.put("b", "k", "v");
      checkEqual(await view.close(), { abandoned: 0 }, "the report");
      checkEqual(await view.close(), { abandoned: 0 }, "the report of one more");
      await checkEnds(context, listener, "its listener");
      await checkEnds(context, nested, "a subscription of its own view");
      for (const closed of [view, below]) {
        await checkCode(closed.kv.get("b", "k"), "CLOSED", "a read");
        await checkCode(closed.pubsub.publish("s", "v"), "CLOSED", "a publish");
        await checkCode(closed.forNamespace("d"), "CLOSED", "a view of a closed one");
      }
      for (const one of [bus, sibling]) await checkStored(one);
      await twin.pubsub.publish("s", "twin");
      checkEqual(toText((await takeOne(going)).payload), "twin", "what its twin gets");
      const again = await bus.forNamespace("a");
      checkEqual((await again.kv.get("b", "k"))?.value.length, 1, "the value on a new view");
    },
  },
  {
    id: "LC-VIEW-007",
    title: "closing a bus closes its views, with what waits on them",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const other = await context.open();
      const view = await other.forNamespace("a");
      const below = await view.forNamespace("b");
      const statuses = context.within("the end of status()", lastOf(below.status()));
      await below.jobs.claim("q", { workerId: "w" });
      const claim = below.jobs.claim("q", { workerId: "w", waitMs: 60_000 });
      void claim.catch(ignore);
      const subscription = await view.pubsub.subscribe("s", { durable: "d" });
      checkEqual(await other.close(), { abandoned: 0 }, "the report");
      await checkCode(context.within("the claim", claim), "CLOSED", "a claim that waits");
      await checkEnds(context, subscription, "the subscription");
      checkEqual(await statuses, "closed", "the last status");
      for (const one of [view, below]) {
        await checkCode(one.kv.put("b", "k", "v"), "CLOSED", "a write");
        checkEqual(await one.close(), { abandoned: 0 }, "the report of a view");
      }
      await checkCode(other.forNamespace("a"), "CLOSED", "a view of a closed bus");
    },
  },
  {
    id: "LC-VIEW-008",
    title: "closing a bus waits for what its views do, and reports what they abandon",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const [slow, stuck] = [await context.open(), await context.open()];
      const view = await context.bus.forNamespace("a");
      const never = deferred();
      context.defer(() => never.resolve());
      const goOn = deferred();
      for (const [one, until] of [[slow, goOn] as const, [stuck, never] as const]) {
        const started = deferred();
        const server = await one.forNamespace("a");
        await server.rpc.serve(until === goOn ? "slow" : "stuck", async () => {
          started.resolve();
          await until.promise;
          return "done";
        });
        const subject = until === goOn ? "slow" : "stuck";
        const answer = view.rpc.request(subject, "v", { timeoutMs: 20_000 });
        void answer.catch(ignore);
        await context.within("the handler starts", started.promise);
        const closing = one.close({ drainMs: until === goOn ? 10_000 : DRAIN_MS });
        goOn.resolve();
        const { abandoned } = await context.within("the close", closing);
        if (until === never) check(abandoned >= 1, "the handler is not reported as abandoned");
        else {
          checkEqual(abandoned, 0, "what is abandoned");
          checkEqual(toText((await context.within("the reply", answer)).payload), "done", "reply");
        }
      }
    },
  },
];

async function lastOf(statuses: AsyncIterable<{ readonly type: string }>): Promise<string> {
  let last = "";
  for await (const { type } of statuses) last = type;
  return last;
}
