import { getEventListeners } from "node:events";
import { type Bus, errorCode, toText } from "@busbar/core";
import { check, checkCode, checkEqual } from "../../assert.ts";
import type { CaseContext, ConformanceCase } from "../../case.ts";
import { checkEnds, checkTook, deferred, outcomeOf, takeOne } from "../shared.ts";

/** An operation with a signal, on the bus that a server of `silent` listens to. */
interface Abortable {
  readonly name: string;
  readonly call: (bus: Bus, signal: AbortSignal) => Promise<unknown>;
}

/** Those that wait for something which does not come. */
const WAITING: readonly Abortable[] = [
  {
    name: "request",
    call: ({ rpc }, signal) => rpc.request("silent", "v", { timeoutMs: 25_000, signal }),
  },
  {
    name: "requestMany",
    call: async ({ rpc }, signal) => {
      const replies = rpc.requestMany("silent", "v", { timeoutMs: 25_000, signal });
      for await (const _reply of replies) return;
    },
  },
  {
    name: "claim",
    call: ({ jobs }, signal) => jobs.claim("empty", { workerId: "w", waitMs: 25_000, signal }),
  },
  {
    name: "lease",
    call: ({ kv }, signal) => kv.lease("b", "held", { ttlMs: 1_000, waitMs: 25_000, signal }),
  },
];

const WRITING: readonly Abortable[] = [
  { name: "publish", call: ({ pubsub }, signal) => pubsub.publish("s", "v", { signal }) },
  { name: "enqueue", call: ({ jobs }, signal) => jobs.enqueue("q", { payload: "v" }, { signal }) },
  {
    name: "enqueueMany",
    call: ({ jobs }, signal) => jobs.enqueueMany("q", [{ payload: "v" }], { signal }),
  },
];

/** Those that give something which the signal closes. */
const OPENING: readonly Abortable[] = [
  { name: "subscribe", call: ({ pubsub }, signal) => pubsub.subscribe("s", { signal }) },
  {
    name: "subscribe durable",
    call: ({ pubsub }, signal) => pubsub.subscribe("s", { durable: "d", signal }),
  },
  { name: "listen", call: ({ pubsub }, signal) => pubsub.listen("s", { signal }) },
  { name: "watch", call: ({ kv }, signal) => kv.watch("b", { signal }) },
];

/** AbortSignals. */
export const signalCases: readonly ConformanceCase[] = [
  {
    id: "LC-SIGNAL-001",
    title: "an operation whose signal was aborted before rejects with the signal's reason",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      await prepare(context);
      const reason = new Error("enough");
      const signal = AbortSignal.abort(reason);
      for (const { name, call } of [...WAITING, ...WRITING]) {
        await checkRejectsWith(context, name, reason, () => call(context.bus, signal));
      }
    },
  },
  {
    id: "LC-SIGNAL-002",
    title: "an operation that waits rejects with the signal's reason as soon as it aborts",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const requests = await prepare(context);
      // Aborted while it is on its way to the server, and when it has been waiting there for long.
      for (const delayMs of [0, 100]) {
        for (const { name, call } of WAITING) {
          const controller = new AbortController();
          const reason = { because: name };
          const before = requests();
          const pending = checkRejectsWith(context, name, reason, () =>
            call(context.bus, controller.signal),
          );
          if (delayMs > 0) await context.clock.sleep(delayMs);
          if (delayMs > 0 && name.startsWith("request")) {
            await context.until("the request arrives", () => requests() > before);
          }
          controller.abort(reason);
          await checkTook(context, { maxMs: 500, what: `the end of ${name}` }, () =>
            context.within(`the end of ${name}`, pending),
          );
        }
      }
    },
  },
  {
    id: "LC-SIGNAL-003",
    title: "a signal closes the subscription, listener, watch or server that was opened with it",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      for (const { name, call } of OPENING) {
        const controller = new AbortController();
        const stream = (await call(bus, controller.signal)) as AsyncIterable<{ type?: string }>;
        const ended = deferred();
        void (async () => {
          for await (const _item of stream) {
            // Read to its end.
          }
          ended.resolve();
        })();
        controller.abort(new Error("enough"));
        await context.within(`the end of ${name}`, ended.promise);
      }
      const controller = new AbortController();
      await bus.rpc.serve("served", () => "v", { signal: controller.signal });
      await bus.rpc.request("served", "v");
      controller.abort();
      await context.until("nobody serves any more", async () => {
        const outcome = await outcomeOf(context.clock, () => bus.rpc.request("served", "v"));
        return !outcome.ok && errorCode(outcome.error) === "NO_RESPONDERS";
      });
    },
  },
  {
    id: "LC-SIGNAL-004",
    title: "what is opened with an aborted signal is refused with its reason, or ends at once",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const reason = new Error("enough");
      const signal = AbortSignal.abort(reason);
      for (const { name, call } of OPENING) {
        const outcome = await outcomeOf(context.clock, () => call(bus, signal));
        if (outcome.ok) await checkEnds(context, outcome.value as AsyncIterable<unknown>, name);
        else check(outcome.error === reason, `${name}: rejected with ${String(outcome.error)}`);
      }
      const serving = await outcomeOf(context.clock, () =>
        bus.rpc.serve("served", () => "v", { signal }),
      );
      if (!serving.ok) check(serving.error === reason, "serve: rejected with another reason");
      await checkCode(bus.rpc.request("served", "v"), "NO_RESPONDERS", "a request to it");
    },
  },
  {
    id: "LC-SIGNAL-005",
    title: "an aborted wait leaves no ghost: the next job and the lease go to those who are there",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      const held = await other.kv.lease("b", "held", { ttlMs: 20_000 });
      const controller = new AbortController();
      const ghosts = [
        () => bus.jobs.claim("q", { workerId: "g", waitMs: 20_000, signal: controller.signal }),
        () =>
          bus.kv.lease("b", "held", {
            ttlMs: 20_000,
            waitMs: 20_000,
            signal: controller.signal,
          }),
      ].map((work) => outcomeOf<unknown>(clock, work));
      await bus.jobs.stats("q");
      controller.abort();
      await context.within("the ghosts end", Promise.all(ghosts));
      await other.jobs.enqueue("q", { payload: "v" });
      const [job] = await other.jobs.claim("q", { workerId: "w", waitMs: 5_000 });
      checkEqual([job?.attempt, job && toText(job.payload)], [1, "v"], "the job");
      await job?.ack();
      await held.release();
      const next = await checkTook(context, { maxMs: 1_000, what: "the hand-over" }, () =>
        other.kv.lease("b", "held", { ttlMs: 5_000, waitMs: 15_000 }),
      );
      await next.release();
    },
  },
  {
    id: "LC-SIGNAL-006",
    title: "an abort after the end of an operation changes nothing",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const controller = new AbortController();
      const { signal } = controller;
      const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
      await bus.pubsub.publish("s", "v", { signal });
      await bus.jobs.enqueue("q", { payload: "v" }, { signal });
      await bus.rpc.serve("s", () => "v");
      await bus.rpc.request("s", "v", { signal });
      const lease = await bus.kv.lease("b", "k", { ttlMs: 5_000, signal });
      const [job] = await bus.jobs.claim("q", { workerId: "w", signal });
      controller.abort();
      checkEqual(toText((await takeOne(subscription)).payload), "v", "the message");
      await lease.heartbeat();
      await job?.heartbeat();
      await job?.ack({ confirm: true });
    },
  },
  {
    id: "LC-SIGNAL-007",
    title:
      "operations that are over have left their signal: a long-lived one does not collect them",
    contract: "lifecycle",
    level: "L1",
    async run({ bus }) {
      const { signal } = new AbortController();
      await bus.rpc.serve("s", () => "v");
      for (let round = 0; round < 3; round++) {
        await bus.pubsub.publish("s", "v", { signal });
        await bus.jobs.enqueue("q", { payload: "v" }, { signal });
        await bus.rpc.request("s", "v", { signal });
        for await (const _reply of bus.rpc.requestMany("s", "v", { maxReplies: 1, signal }));
        await bus.jobs.claim("q", { workerId: "w", signal });
        await bus.jobs.claim("empty", { workerId: "w", waitMs: 10, signal });
        const lease = await bus.kv.lease("b", "k", { ttlMs: 5_000, signal });
        await lease.release();
        await (await bus.pubsub.subscribe("s", { signal })).close();
        await (await bus.pubsub.listen("s", { signal })).close();
        await (await bus.kv.watch("b", { signal })).close();
        await (await bus.rpc.serve("other", () => "v", { signal })).close();
      }
      checkEqual(getEventListeners(signal, "abort").length, 0, "listeners on the signal");
    },
  },
];

/** A server that never answers and a lease that somebody holds; gives the count of requests. */
async function prepare(context: CaseContext): Promise<() => number> {
  const other = await context.open();
  const never = deferred();
  context.defer(() => never.resolve());
  let requests = 0;
  await other.rpc.serve("silent", async () => {
    requests += 1;
    await never.promise;
  });
  await other.kv.lease("b", "held", { ttlMs: 29_000 });
  return () => requests;
}

async function checkRejectsWith(
  context: CaseContext,
  name: string,
  reason: unknown,
  work: () => Promise<unknown>,
): Promise<void> {
  const outcome = await outcomeOf(context.clock, work);
  check(!outcome.ok, `${name}: resolved although its signal was aborted`);
  check(outcome.error === reason, `${name}: rejected with ${String(outcome.error)}`);
}
