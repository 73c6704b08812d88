import { errorCode, toText } from "@busbar/core";
import { check, checkCode, checkEqual, take } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { checkEnds, checkTook, deferred, outcomeOf } from "../shared.ts";
import { OPERATIONS } from "./operations.ts";

/** What is left of a bus after close(). */
export const closedCases: readonly ConformanceCase[] = [
  {
    id: "LC-CLOSED-001",
    title: "every operation on a closed bus rejects with CLOSED, at once",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const other = await context.open();
      await other.close();
      for (const { name, call } of OPERATIONS) {
        await checkTook(context, { maxMs: 0, what: name }, () =>
          checkCode(() => call(other), "CLOSED", name),
        );
      }
      // Nothing of it reached the server either.
      checkEqual(await context.bus.kv.get("op", "k"), undefined, "the value");
      checkEqual((await context.bus.jobs.stats("op")).ready, 0, "jobs");
    },
  },
  {
    id: "LC-CLOSED-002",
    title: "operations that begin while the bus closes reject with CLOSED",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const subscription = await other.pubsub.subscribe("s", { durable: "d" });
      await bus.pubsub.publish("s", "v");
      const [message] = await take(subscription, 1);
      const closing = other.close({ drainMs: 10_000 });
      for (const { name, call } of OPERATIONS) await checkCode(() => call(other), "CLOSED", name);
      await message?.ack();
      checkEqual(await context.within("the close", closing), { abandoned: 0 }, "the report");
    },
  },
  {
    id: "LC-CLOSED-003",
    title: "a request under way rejects with CLOSED when its bus closes",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      const started = deferred();
      const never = deferred();
      context.defer(() => never.resolve());
      await bus.rpc.serve("silent", async () => {
        started.resolve();
        await never.promise;
      });
      const pending = outcomeOf(clock, () =>
        other.rpc.request("silent", "v", { timeoutMs: 20_000 }),
      );
      await context.within("the request arrives", started.promise);
      const range = { maxMs: 1_000, what: "close()" };
      await checkTook(context, range, () => other.close({ drainMs: 0 }));
      const outcome = await context.within("the end of the request", pending);
      check(!outcome.ok && errorCode(outcome.error) === "CLOSED", "the request is not CLOSED");
    },
  },
  {
    id: "LC-CLOSED-004",
    title: "a claim that waits ends when its bus closes, and takes no job any more",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      const pending = outcomeOf(clock, () =>
        other.jobs.claim("q", { workerId: "w", waitMs: 25_000 }),
      );
      await bus.jobs.stats("q");
      const range = { maxMs: 1_000, what: "close()" };
      await checkTook(context, range, () => other.close({ drainMs: 0 }));
      const outcome = await context.within("the end of the claim", pending);
      if (outcome.ok) checkEqual(outcome.value.length, 0, "claimed jobs");
      else checkEqual(errorCode(outcome.error), "CLOSED", "the code of the claim");
      await bus.jobs.enqueue("q", { payload: "v" });
      const [job] = await bus.jobs.claim("q", { workerId: "w", waitMs: 5_000 });
      checkEqual(job?.attempt, 1, "the attempt of the job that came later");
      await job?.ack();
    },
  },
  {
    id: "LC-CLOSED-005",
    title: "whoever waits for a lease is out when its bus closes, and leaves no ghost",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      const held = await bus.kv.lease("b", "k", { ttlMs: 25_000 });
      const pending = outcomeOf(clock, () =>
        other.kv.lease("b", "k", { ttlMs: 25_000, waitMs: 25_000 }),
      );
      const range = { maxMs: 1_000, what: "close()" };
      await checkTook(context, range, () => other.close({ drainMs: 0 }));
      const outcome = await context.within("the end of the wait", pending);
      check(!outcome.ok && errorCode(outcome.error) === "CLOSED", "the wait is not CLOSED");
      await held.release();
      const next = await bus.kv.lease("b", "k", { ttlMs: 5_000, waitMs: 1_000 });
      check(next.fence > held.fence, "the fence has not grown");
    },
  },
  {
    id: "LC-CLOSED-006",
    title: "subscriptions, listeners, watches and requestMany end when their bus closes",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      await bus.rpc.serve("many", () => "v");
      const replies = other.rpc.requestMany("many", "v", { timeoutMs: 25_000 });
      const first = deferred();
      const reading = outcomeOf(clock, async () => {
        for await (const _reply of replies) first.resolve();
      });
      const streams = {
        "the ephemeral subscription": await other.pubsub.subscribe("s"),
        "the durable subscription": await other.pubsub.subscribe("s", { durable: "d" }),
        "the listener": await other.pubsub.listen("s"),
      };
      await context.within("the first reply", first.promise);
      await other.close();
      for (const [what, stream] of Object.entries(streams)) await checkEnds(context, stream, what);
      const outcome = await context.within("the end of requestMany", reading);
      if (!outcome.ok) checkEqual(errorCode(outcome.error), "CLOSED", "the code of requestMany");
    },
  },
  {
    id: "LC-CLOSED-007",
    title: "settling on a closed bus rejects instead of hanging, and the work comes to others",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options = { durable: "d", ackWaitMs: 500 };
      const other = await context.open();
      const subscription = await other.pubsub.subscribe("s", options);
      await bus.pubsub.publish("s", "v");
      await bus.jobs.enqueue("q", { payload: "v" });
      const [message] = await take(subscription, 1);
      const [job] = await other.jobs.claim("q", { workerId: "w", leaseMs: 500 });
      check(message && job, "no message or no job");
      await other.close({ drainMs: 0 });
      const settles = [
        message.ack({ confirm: true }),
        message.extend(),
        job.ack({ confirm: true }),
        job.heartbeat(),
      ];
      for (const settle of settles) {
        const outcome = await outcomeOf(context.clock, () =>
          context.within("the end of a settle", settle),
        );
        check(!outcome.ok && errorCode(outcome.error) !== undefined, "a settle is no BusError");
      }
      const again = await bus.pubsub.subscribe("s", options);
      const [second] = await context.within("the message again", take(again, 1));
      checkEqual(second && toText(second.payload), "v", "the message that came again");
      await second?.ack();
      const [next] = await bus.jobs.claim("q", { workerId: "w", waitMs: 10_000 });
      checkEqual(next && toText(next.payload), "v", "the job that came again");
      await next?.ack();
    },
  },
  {
    id: "LC-CLOSED-008",
    title: "requests to a server whose bus is closed get NO_RESPONDERS at once",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      await other.rpc.serve("gone", () => "v");
      await bus.rpc.request("gone", "v");
      await other.close();
      await checkTook(context, { maxMs: 500, what: "NO_RESPONDERS" }, () =>
        checkCode(
          bus.rpc.request("gone", "v", { timeoutMs: 20_000 }),
          "NO_RESPONDERS",
          "a request",
        ),
      );
    },
  },
  {
    id: "LC-CLOSED-009",
    title: "leaving a loop closes what it read from",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const subscription = await other.pubsub.subscribe("s", { durable: "d", ackWaitMs: 20_000 });
      const listener = await other.pubsub.listen("s");
      for (let index = 0; index < 3; index++) await bus.pubsub.publish("s", `m${index}`);
      for await (const message of subscription) {
        await message.ack({ confirm: true });
        break;
      }
      for await (const _message of listener) break;
      // What the closed subscription had buffered is given back at once.
      const again = await bus.pubsub.subscribe("s", { durable: "d", ackWaitMs: 20_000 });
      const rest = await context.within("the rest", take(again, 2));
      checkEqual(rest.map(({ payload }) => toText(payload)).sort(), ["m1", "m2"], "the rest");
      await Promise.all(rest.map((message) => message.ack()));
      checkEqual(await subscription.close(), { abandoned: 0 }, "the report of the subscription");
      await listener.close();
    },
  },
  {
    id: "LC-CLOSED-010",
    title: "a settle that nobody confirms rejects on a closed bus too: it would be lost",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const subscription = await other.pubsub.subscribe("s", { durable: "d" });
      for (const text of ["ack", "nak", "term"]) await bus.pubsub.publish("s", text);
      await bus.jobs.enqueueMany("q", [{ payload: "ack" }, { payload: "nak" }]);
      const [acked, naked, termed] = await take(subscription, 3);
      const [done, returned] = await other.jobs.claim("q", { workerId: "w", max: 2 });
      await other.close({ drainMs: 0 });
      await checkCode(() => acked?.ack(), "CLOSED", "an ack");
      await checkCode(() => naked?.nak(), "CLOSED", "a nak");
      await checkCode(() => termed?.term(), "CLOSED", "a term");
      await checkCode(() => done?.ack(), "CLOSED", "the ack of a job");
      await checkCode(() => returned?.nak(), "CLOSED", "the nak of a job");
    },
  },
];
