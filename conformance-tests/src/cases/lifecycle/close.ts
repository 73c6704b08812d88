import { type CloseReport, toText } from "@busbar/core";
import { check, checkCode, checkEqual, checkRange, take } from "../../assert.ts";
import type { CaseContext, ConformanceCase } from "../../case.ts";
import { checkEnds, checkTook, deferred, ignore, outcomeOf, takeOne } from "../shared.ts";

const DRAIN_MS = 300;
/** What close() may take on top of the time to drain. */
const GRACE_MS = 1_000;

/** Closing a bus and its parts: once, in time, and with a true report. */
export const closeCases: readonly ConformanceCase[] = [
  {
    id: "LC-CLOSE-001",
    title: "closing an idle bus abandons nothing, and closing it again changes nothing",
    contract: "lifecycle",
    level: "L0",
    async run({ bus }) {
      const reports = await Promise.all([bus.close(), bus.close(), bus.close({ drainMs: 0 })]);
      checkEqual(
        reports,
        Array.from({ length: 3 }, () => ({ abandoned: 0 })),
        "the reports",
      );
      checkEqual(await bus.close(), { abandoned: 0 }, "the report of one more");
    },
  },
  {
    id: "LC-CLOSE-002",
    title: "subscriptions, listeners, watches, servers and leases close any number of times",
    contract: "lifecycle",
    level: "L1",
    async run({ bus }) {
      const lease = await bus.kv.lease("b", "k", { ttlMs: 5_000 });
      const closers = [
        await bus.pubsub.subscribe("s"),
        await bus.pubsub.subscribe("s", { durable: "d" }),
        await bus.pubsub.listen("s"),
        await bus.kv.watch("b"),
        await bus.rpc.serve("s", () => "v"),
        { close: () => lease.release() },
      ];
      for (const closer of closers) {
        await Promise.all([closer.close(), closer.close()]);
        await closer.close();
      }
      checkEqual(await bus.close(), { abandoned: 0 }, "the report of the bus");
    },
  },
  {
    id: "LC-CLOSE-003",
    title: "await using closes a bus, a subscription, a watch and a server at the end of the block",
    contract: "lifecycle",
    level: "L1",
    async run({ bus, open }) {
      const used = await open();
      {
        await using scoped = used;
        await using _server = await scoped.rpc.serve("s", () => "v");
        await using subscription = await scoped.pubsub.subscribe("s");
        await using _watch = await scoped.kv.watch("b");
        await bus.pubsub.publish("s", "v");
        await takeOne(subscription);
        await bus.rpc.request("s", "v");
      }
      await checkCode(used.pubsub.publish("s", "v"), "CLOSED", "publish after the block");
      await checkCode(bus.rpc.request("s", "v"), "NO_RESPONDERS", "the server after the block");
    },
  },
  {
    id: "LC-CLOSE-004",
    title: "a handler that never ends holds close() up for drainMs, is aborted and reported",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const server = await context.open();
      const started = deferred<AbortSignal>();
      const never = deferred();
      context.defer(() => never.resolve());
      await server.rpc.serve("stuck", async ({ signal }) => {
        started.resolve(signal);
        await never.promise;
      });
      const answer = context.bus.rpc.request("stuck", "v", { timeoutMs: 20_000 });
      void answer.catch(ignore);
      const signal = await context.within("the handler starts", started.promise);
      const report = await checkClose(context, () => server.close({ drainMs: DRAIN_MS }), DRAIN_MS);
      check(report.abandoned >= 1, "the handler is not reported as abandoned");
      check(signal.aborted, "the handler's signal is not aborted");
    },
  },
  {
    id: "LC-CLOSE-005",
    title: "a handler that ends while the bus drains still answers, and nothing is abandoned",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const server = await context.open();
      const started = deferred();
      const goOn = deferred();
      await server.rpc.serve("slow", async () => {
        started.resolve();
        await goOn.promise;
        return "done";
      });
      const answer = context.bus.rpc.request("slow", "v", { timeoutMs: 20_000 });
      await context.within("the handler starts", started.promise);
      const closing = server.close({ drainMs: 10_000 });
      goOn.resolve();
      checkEqual(toText((await context.within("the reply", answer)).payload), "done", "the reply");
      checkEqual(await context.within("the close", closing), { abandoned: 0 }, "the report");
    },
  },
  {
    id: "LC-CLOSE-006",
    title: "an unsettled message holds close() up for drainMs and is reported",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const other = await context.open();
      const subscription = await other.pubsub.subscribe("s", { durable: "d" });
      await context.bus.pubsub.publish("s", "v");
      await take(subscription, 1);
      const report = await checkClose(context, () => other.close({ drainMs: DRAIN_MS }), DRAIN_MS);
      checkEqual(report, { abandoned: 1 }, "the report");
    },
  },
  {
    id: "LC-CLOSE-007",
    title: "a message settled while the bus drains is settled, and nothing is abandoned",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const options = { durable: "d", ackWaitMs: 1_000 };
      const other = await context.open();
      const subscription = await other.pubsub.subscribe("s", options);
      await bus.pubsub.publish("s", "v");
      const [message] = await take(subscription, 1);
      const closing = other.close({ drainMs: 20_000 });
      await message?.ack();
      checkEqual(await context.within("the close", closing), { abandoned: 0 }, "the report");
      await clock.sleep(options.ackWaitMs + context.toleranceMs);
      const again = await bus.pubsub.subscribe("s", options);
      await bus.pubsub.publish("s", "sentinel");
      checkEqual(toText((await takeOne(again)).payload), "sentinel", "the next message");
    },
  },
  {
    id: "LC-CLOSE-008",
    title: "a claimed job that nobody settles is reported, and close() ends in time",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const other = await context.open();
      await context.bus.jobs.enqueue("q", { payload: "v" });
      const jobs = await other.jobs.claim("q", { workerId: "w", leaseMs: 20_000 });
      checkEqual(jobs.length, 1, "claimed jobs");
      const report = await checkClose(context, () => other.close({ drainMs: DRAIN_MS }), 0);
      checkEqual(report, { abandoned: 1 }, "the report");
    },
  },
  {
    id: "LC-CLOSE-009",
    title:
      "messages that a closing bus had only buffered reach others at once, as first deliveries",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options = { durable: "d", ackWaitMs: 20_000, maxInFlight: 10 };
      const other = await context.open();
      const subscription = await other.pubsub.subscribe("s", options);
      for (let index = 0; index < 10; index++) await bus.pubsub.publish("s", `m${index}`);
      const first = await takeOne(subscription);
      checkEqual(toText(first.payload), "m0", "the first message");
      await other.close({ drainMs: 0 });
      const again = await bus.pubsub.subscribe("s", options);
      const rest = await context.within("the buffered messages", take(again, 9));
      const got = rest.map(({ payload, deliveryCount }) => `${toText(payload)} ${deliveryCount}`);
      const expected = Array.from({ length: 9 }, (_, index) => `m${index + 1} 1`);
      checkEqual(got.sort(), expected, "the messages and their delivery counts");
    },
  },
  {
    id: "LC-CLOSE-010",
    title: "a lease is released when its bus closes, without firing lost for another holder",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const other = await context.open();
      const first = await other.kv.lease("b", "k", { ttlMs: 25_000 });
      await other.close();
      const second = await checkTook(context, { maxMs: 1_000, what: "the hand-over" }, () =>
        context.bus.kv.lease("b", "k", { ttlMs: 25_000, waitMs: 20_000 }),
      );
      check(second.fence > first.fence, "the fence has not grown");
      check(!second.lost.aborted, "the new lease is lost");
      await checkCode(first.heartbeat(), "CLOSED", "a heartbeat of the released lease");
    },
  },
  {
    id: "LC-CLOSE-011",
    title: "closing one bus leaves the others on the server alone",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
      const doomed = await other.pubsub.subscribe("s", { durable: "d" });
      const watch = await bus.kv.watch("b");
      await bus.rpc.serve("s", () => "still here");
      const lease = await bus.kv.lease("b", "k", { ttlMs: 5_000 });
      await other.close();
      await checkEnds(context, doomed, "the subscription of the closed bus");
      await bus.pubsub.publish("s", "v");
      checkEqual(toText((await takeOne(subscription)).payload), "v", "the message");
      await bus.kv.put("b", "k", "v");
      checkEqual((await take2(watch)).join(), "initialDone,put", "the events");
      checkEqual(toText((await bus.rpc.request("s", "")).payload), "still here", "the reply");
      await lease.heartbeat();
    },
  },
  {
    id: "LC-CLOSE-012",
    title: "after several subscriptions are closed at a time, publishing and subscribing work",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subscriptions = [];
      for (let index = 0; index < 12; index++) {
        const durable = { durable: `d${index % 4}` };
        subscriptions.push(await bus.pubsub.subscribe("s", index % 3 === 0 ? {} : durable));
      }
      await bus.pubsub.publish("s", "before");
      const closing = subscriptions.map((subscription) => subscription.close());
      const reports = await context.within("the closes", Promise.all(closing));
      checkEqual(
        reports.reduce((sum, report) => sum + report.abandoned, 0),
        0,
        "abandoned",
      );
      await bus.pubsub.publish("s", "after");
      const again = await bus.pubsub.subscribe("s", { durable: "d1" });
      const texts = (await context.within("both messages", take(again, 2))).map(({ payload }) =>
        toText(payload),
      );
      checkEqual(texts, ["before", "after"], "what the durable gets");
    },
  },
  {
    id: "LC-CLOSE-016",
    title: "close() ends in time with everything open at once, and all of it ends",
    contract: "lifecycle",
    level: "L1",
    run: closeEverything,
  },
  {
    id: "LC-CLOSE-017",
    title: "buses that are opened, used and closed again and again leave nothing behind",
    contract: "lifecycle",
    level: "L3",
    async run(context) {
      for (let round = 0; round < 20; round++) {
        const other = await context.open();
        const subscription = await other.pubsub.subscribe("s", { durable: "d" });
        const watching = readToEnd(await other.kv.watch("b"));
        await other.rpc.serve("s", () => "v");
        await other.pubsub.publish("s", `${round}`);
        checkEqual(toText((await takeOne(subscription)).payload), `${round}`, "the message");
        await other.kv.put("b", "k", `${round}`);
        await other.jobs.enqueue("q", { payload: "v" });
        const report = await other.close();
        checkEqual(report, { abandoned: 0 }, `the report of round ${round}`);
        await checkEnds(context, subscription, "the subscription");
        await context.within("the watch ends", watching);
      }
      checkEqual((await context.bus.jobs.stats("q")).ready, 20, "jobs that are ready");
    },
  },
];

/** Closes, and checks how long it takes. */
function checkClose(
  context: CaseContext,
  close: () => Promise<CloseReport>,
  minMs: number,
): Promise<CloseReport> {
  return checkTook(context, { minMs, maxMs: DRAIN_MS + GRACE_MS, what: "close()" }, close);
}

async function closeEverything(context: CaseContext): Promise<void> {
  const { bus, clock } = context;
  const other = await context.open();
  const never = deferred();
  context.defer(() => never.resolve());
  const started = deferred();
  await other.rpc.serve("stuck", async () => {
    started.resolve();
    await never.promise;
  });
  await bus.rpc.serve("silent", () => never.promise);
  void bus.rpc.request("stuck", "v", { timeoutMs: 20_000 }).catch(ignore);
  await bus.kv.lease("b", "held", { ttlMs: 25_000 });
  await other.kv.lease("b", "mine", { ttlMs: 25_000 });
  const streams = [
    await other.pubsub.subscribe("s"),
    await other.pubsub.subscribe("s", { durable: "d" }),
    await other.pubsub.listen("s"),
    await other.kv.watch("empty"),
    other.status(),
  ];
  const waits = [
    () => other.rpc.request("silent", "v", { timeoutMs: 20_000 }),
    () => other.jobs.claim("q", { workerId: "w", waitMs: 20_000 }),
    () => other.kv.lease("b", "held", { ttlMs: 1_000, waitMs: 20_000 }),
  ].map((work) => outcomeOf<unknown>(clock, work));
  const readers = streams.map((stream) => readToEnd(stream));
  await context.within("the handler starts", started.promise);
  const report = await checkClose(context, () => other.close({ drainMs: DRAIN_MS }), 0);
  checkRange(report.abandoned, 1, 10, "abandoned");
  await context.within("all streams end", Promise.all(readers));
  const outcomes = await context.within("all waits end", Promise.all(waits));
  for (const outcome of outcomes) {
    check(!outcome.ok || Array.isArray(outcome.value), "a wait ended with a result");
    if (!outcome.ok) await checkCode(Promise.reject(outcome.error), "CLOSED", "a wait");
  }
  await bus.kv.lease("b", "mine", { ttlMs: 1_000, waitMs: 1_000 });
}

async function readToEnd(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _item of stream) {
    // Only the end counts.
  }
}

async function take2(stream: AsyncIterable<{ readonly type: string }>): Promise<string[]> {
  const types: string[] = [];
  for await (const { type } of stream) if (types.push(type) === 2) break;
  return types;
}
