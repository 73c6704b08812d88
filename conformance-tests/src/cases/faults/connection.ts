import { type Bus, type BusStatus, errorCode, toText } from "@busbar/core";
import { check, checkEqual, checkRange } from "../../assert.ts";
import {
  type CaseContext,
  type ConformanceCase,
  needsServerFaults,
  needsServerPause,
} from "../../case.ts";
import { checkFailedWith, checkTook, deferred, ignore, outcomeOf } from "../shared.ts";
import { AWAY, BACK_MS, persist, restart, SURVIVES, untilBack } from "./helpers.ts";

/** For operations without a `timeoutMs`: how long is not promised, but it ends. */
const UNTIMED_MS = 15_000;
const TIMEOUT_MS = 800;

interface Bounded {
  readonly name: string;
  readonly limitMs: number;
  readonly call: (bus: Bus) => Promise<unknown>;
}

/** Operations while the server is away, each with the time in which it must end. */
const BOUNDED: readonly Bounded[] = [
  {
    name: "publish",
    limitMs: TIMEOUT_MS,
    call: ({ pubsub }) => pubsub.publish("s", "v", { timeoutMs: TIMEOUT_MS }),
  },
  {
    name: "publish with a message id",
    limitMs: TIMEOUT_MS,
    call: ({ pubsub }) => pubsub.publish("s", "v", { messageId: "m", timeoutMs: TIMEOUT_MS }),
  },
  {
    name: "enqueue",
    limitMs: TIMEOUT_MS,
    call: ({ jobs }) => jobs.enqueue("q", { payload: "v" }, { timeoutMs: TIMEOUT_MS }),
  },
  { name: "get", limitMs: UNTIMED_MS, call: ({ kv }) => kv.get("b", "k") },
  { name: "put", limitMs: UNTIMED_MS, call: ({ kv }) => kv.put("b", "k", "v") },
  { name: "cas", limitMs: UNTIMED_MS, call: ({ kv }) => kv.cas("b", "k", "v", 1) },
  { name: "keys", limitMs: UNTIMED_MS, call: ({ kv }) => kv.keys("b") },
  { name: "stats", limitMs: UNTIMED_MS, call: ({ jobs }) => jobs.stats("q") },
  { name: "lease", limitMs: UNTIMED_MS, call: ({ kv }) => kv.lease("b", "l", { ttlMs: 1_000 }) },
];

/** What clients notice of a server that is away. */
export const connectionFaultCases: readonly ConformanceCase[] = [
  {
    id: "FAULT-STATUS-001",
    title: "status() tells that the server is gone, and that it is back",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults],
    timeoutMs: 60_000,
    async run(context) {
      const seen = watchStatus(context.bus);
      await context.until("connected", () => seen.includes("connected"));
      await context.faults.kill();
      await context.until("disconnected", () => seen.at(-1) === "disconnected", BACK_MS);
      await context.faults.start();
      await context.until("connected again", () => seen.at(-1) === "connected", BACK_MS);
      await untilBack(context, context.bus);
    },
  },
  {
    id: "FAULT-STATUS-002",
    title: "a reader of status() that comes while the server is away is told so first",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults],
    timeoutMs: 60_000,
    async run(context) {
      const seen = watchStatus(context.bus);
      await context.faults.kill();
      await context.until("disconnected", () => seen.at(-1) === "disconnected", BACK_MS);
      const late = watchStatus(context.bus);
      await context.until("the first status", () => late.length > 0);
      checkEqual(late[0], "disconnected", "the first status");
    },
  },
  {
    id: "FAULT-DOWN-001",
    title: "operations while the server is down reject within their timeout",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults],
    timeoutMs: 60_000,
    async run(context) {
      await prepare(context.bus);
      await context.faults.kill();
      await checkBounded(context);
    },
  },
  {
    id: "FAULT-DOWN-002",
    title: "operations begun while the server is down succeed if it is back within their timeout",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 60_000,
    async run(context) {
      const { bus, clock } = context;
      await prepare(bus);
      await context.faults.kill();
      const pending = outcomeOf(clock, () =>
        bus.pubsub.publish("s", "v", { messageId: "patient", timeoutMs: 2 * BACK_MS }),
      );
      await context.faults.start();
      const outcome = await context.within("the publish", pending, 2 * BACK_MS);
      check(outcome.ok, `the publish rejected: ${outcome.ok ? "" : String(outcome.error)}`);
      check(!outcome.value.duplicate, "the publish is a duplicate");
    },
  },
  {
    id: "FAULT-DOWN-003",
    title: "a restart that comes twice in a row is survived like one",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
      await bus.pubsub.publish("s", "m0");
      await restart(context);
      await restart(context);
      for (let index = 1; index < 4; index++) {
        const messageId = `m${index}`;
        await persist(context, "publish", () => bus.pubsub.publish("s", messageId, { messageId }));
      }
      const seen = new Set<string>();
      for await (const message of subscription) {
        seen.add(toText(message.payload));
        await outcomeOf(context.clock, () => message.ack());
        if (seen.size === 4) break;
      }
    },
  },
  {
    id: "FAULT-RPC-001",
    title: "a request while the server is down rejects within its timeout",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults],
    timeoutMs: 60_000,
    async run(context) {
      const { bus, clock } = context;
      await bus.rpc.serve("s", () => "v");
      await context.faults.kill();
      for (let round = 0; round < 2; round++) {
        const outcome = await outcomeOf(clock, () =>
          bus.rpc.request("s", "v", { timeoutMs: TIMEOUT_MS }),
        );
        checkFailedWith(outcome, [...AWAY, "NO_RESPONDERS"], "the request");
        checkRange(outcome.tookMs, 0, TIMEOUT_MS + context.toleranceMs, "milliseconds it took");
      }
    },
  },
  {
    id: "FAULT-RPC-002",
    title: "a server of requests resumes by itself after a restart",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults],
    timeoutMs: 60_000,
    async run(context) {
      const { bus } = context;
      const client = await context.open();
      let handled = 0;
      await bus.rpc.serve("s", ({ payload }) => {
        handled += 1;
        return payload;
      });
      await client.rpc.request("s", "before");
      await restart(context);
      await context.until(
        "a request succeeds",
        async () =>
          (
            await outcomeOf(context.clock, () =>
              client.rpc.request("s", "probe", { timeoutMs: TIMEOUT_MS }),
            )
          ).ok,
        BACK_MS,
      );
      const before = handled;
      for (let index = 0; index < 20; index++) {
        const reply = await client.rpc.request("s", `${index}`);
        checkEqual(toText(reply.payload), `${index}`, "the reply");
      }
      checkEqual(handled - before, 20, "requests that were handled");
    },
  },
  {
    id: "FAULT-RPC-003",
    title: "a request under way when the server dies ends within its timeout",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults],
    timeoutMs: 60_000,
    async run(context) {
      const client = await context.open();
      const started = deferred();
      const never = deferred();
      context.defer(() => never.resolve());
      await context.bus.rpc.serve("s", async () => {
        started.resolve();
        await never.promise;
      });
      const pending = outcomeOf(context.clock, () =>
        client.rpc.request("s", "v", { timeoutMs: 3_000 }),
      );
      await context.within("the request arrives", started.promise);
      await restart(context);
      const outcome = await context.within("the end of the request", pending, 10_000);
      checkFailedWith(outcome, [...AWAY, "NO_RESPONDERS"], "the request");
      checkRange(outcome.tookMs, 0, 3_000 + context.toleranceMs, "milliseconds it took");
    },
  },
  {
    id: "FAULT-CLOSE-001",
    title: "close() while the server is down ends in time, and so does everything that waits",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults],
    timeoutMs: 60_000,
    run: (context) => closeWithout(context, () => context.faults.kill()),
  },
  {
    id: "FAULT-CLOSE-002",
    title: "close() while the server is frozen ends in time, and so does everything that waits",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults, needsServerPause],
    timeoutMs: 60_000,
    run: (context) => closeWithout(context, async () => context.faults.pause?.()),
  },
  {
    id: "FAULT-OPEN-001",
    title: "opening a bus while the server is down rejects with DISCONNECTED, in bounded time",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults],
    timeoutMs: 90_000,
    async run(context) {
      await context.faults.kill();
      const opening = outcomeOf(context.clock, () => context.open());
      checkFailedWith(
        await context.within("the end of the opening", opening, 30_000),
        AWAY,
        "opening a bus",
      );
      await context.faults.start();
      const bus = await context.open();
      await untilBack(context, bus);
    },
  },
  {
    id: "FAULT-PAUSE-001",
    title: "operations on a frozen server reject within their timeout, and go on when it thaws",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults, needsServerPause],
    timeoutMs: 60_000,
    async run(context) {
      const { bus } = context;
      await prepare(bus);
      const subscription = await bus.pubsub.subscribe("thawed", { durable: "d" });
      await context.faults.pause?.();
      await checkBounded(context);
      await context.faults.resume?.();
      await untilBack(context, bus);
      await persist(context, "publish", () =>
        bus.pubsub.publish("thawed", "v", { messageId: "t" }),
      );
      for await (const message of subscription) {
        checkEqual(toText(message.payload), "v", "the message");
        break;
      }
    },
  },
  {
    id: "FAULT-PAUSE-002",
    title: "a lease on a frozen server is lost before its TTL is over",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults, needsServerPause],
    timeoutMs: 60_000,
    async run(context) {
      const { bus, clock } = context;
      const ttlMs = 2_000;
      const startedAt = clock.monotonic();
      const held = await bus.kv.lease("b", "k", { ttlMs });
      const grantMs = clock.monotonic() - startedAt;
      const lost = deferred<number>();
      held.lost.addEventListener("abort", () => lost.resolve(clock.monotonic()));
      await context.faults.pause?.();
      void held.heartbeat().catch(ignore);
      const lostAt = await context.within("lost", lost.promise, ttlMs + 3_000);
      check(lostAt - startedAt <= ttlMs + grantMs, `lost after ${lostAt - startedAt} ms`);
      await context.faults.resume?.();
      const other = await context.open();
      const next = await persist(context, "lease", () =>
        other.kv.lease("b", "k", { ttlMs: 1_000, waitMs: 10_000 }),
      );
      check(next.fence > held.fence, "the fence has not grown");
    },
  },
];

/** Makes what the operations use, so that only the operation itself meets the fault. */
async function prepare(bus: Bus): Promise<void> {
  await bus.kv.put("b", "k", "v");
  await bus.pubsub.publish("s", "v");
  await bus.jobs.stats("q");
  await bus.jobs.enqueue("q", { payload: "v" });
  await (await bus.kv.lease("b", "l", { ttlMs: 1_000 })).release();
}

async function checkBounded(context: CaseContext): Promise<void> {
  const { bus, clock } = context;
  const ends = BOUNDED.map(async ({ name, limitMs, call }) => {
    const ending = outcomeOf(clock, () => call(bus));
    const outcome = await context.within(`the end of ${name}`, ending, limitMs + 10_000);
    checkFailedWith(outcome, AWAY, name);
    checkRange(outcome.tookMs, 0, limitMs + context.toleranceMs, `${name}: milliseconds`);
  });
  await Promise.all(ends);
}

async function closeWithout(context: CaseContext, fault: () => Promise<void>): Promise<void> {
  const { clock } = context;
  const bus = await context.open();
  await prepare(bus);
  await bus.pubsub.subscribe("s", { durable: "d" });
  await bus.kv.watch("b");
  await bus.rpc.serve("s", () => "v");
  await bus.kv.lease("b", "held", { ttlMs: 20_000 });
  await fault();
  const pending = [
    () => bus.pubsub.publish("s", "v", { timeoutMs: 30_000 }),
    () => bus.jobs.claim("q", { workerId: "w", waitMs: 30_000 }),
    () => bus.rpc.request("s", "v", { timeoutMs: 30_000 }),
  ].map((work) => outcomeOf<unknown>(clock, work));
  await checkTook(context, { maxMs: 500 + 1_000, what: "close()" }, () =>
    bus.close({ drainMs: 500 }),
  );
  for (const outcome of await context.within("everything ends", Promise.all(pending))) {
    if (outcome.ok) continue;
    const code = errorCode(outcome.error) ?? String(outcome.error);
    check([...AWAY, "CLOSED", "NO_RESPONDERS"].includes(code), `what waited ended with ${code}`);
  }
}

/** The types of the statuses so far. */
function watchStatus(bus: Bus): readonly BusStatus["type"][] {
  const seen: BusStatus["type"][] = [];
  void (async () => {
    for await (const { type } of bus.status()) {
      if (type !== "warning" && type !== "slow") seen.push(type);
    }
  })();
  return seen;
}
