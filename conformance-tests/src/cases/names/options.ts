import type { Bus, ClaimOptions, Job, SubscribeOptions } from "@busbar/core";
import { check, checkCode, checkEqual, checkOptionRefused, take } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { storedTexts } from "../shared.ts";
import { shown } from "./tables.ts";

const NO_NUMBERS: readonly unknown[] = ["5", null, true, Number.NaN, {}];

/** An option, the values that are not allowed, and how it is given. */
interface OptionRange {
  readonly field: string;
  readonly bad: readonly unknown[];
  readonly attempt: (bus: Bus, value: never) => Promise<unknown>;
}

function option(
  field: string,
  bad: readonly unknown[],
  attempt: (bus: Bus, value: never) => Promise<unknown>,
): OptionRange {
  return { field, bad, attempt };
}

const subscribe =
  (field: keyof SubscribeOptions) =>
  (bus: Bus, value: never): Promise<unknown> =>
    bus.pubsub.subscribe("s", { durable: "d", [field]: value });
const enqueue =
  (field: keyof Job) =>
  (bus: Bus, value: never): Promise<unknown> =>
    bus.jobs.enqueue("q", { payload: "v", [field]: value });
const claim =
  (field: keyof ClaimOptions) =>
  (bus: Bus, value: never): Promise<unknown> =>
    bus.jobs.claim("q", { workerId: "w", [field]: value });

const TIMEOUTS: readonly unknown[] = [0, -1, "5", Number.NaN, Number.POSITIVE_INFINITY];

const PUBSUB: readonly OptionRange[] = [
  option("timeoutMs", TIMEOUTS, ({ pubsub }, timeoutMs) => pubsub.publish("s", "v", { timeoutMs })),
  option("expectedLastSequence", [-1, 0.5, Number.NaN, "1"], ({ pubsub }, expectedLastSequence) =>
    pubsub.publish("s", "v", { expectedLastSequence }),
  ),
  option("ackWaitMs", [9, 0, -1, ...NO_NUMBERS.slice(3)], subscribe("ackWaitMs")),
  option("maxDeliveries", [0, -1, 1.5, "5"], subscribe("maxDeliveries")),
  option("maxInFlight", [0, -1, 1.5, 10_001, "5"], subscribe("maxInFlight")),
  option("backoffMs", [[9], [100, -1], [Number.NaN], ["5"]], subscribe("backoffMs")),
  option(
    "from",
    ["last", 5, {}, { sequence: 0 }, { sequence: 1.5 }, { timeMs: -1 }],
    subscribe("from"),
  ),
  option("maxDeliveries", [5], ({ pubsub }, maxDeliveries) =>
    pubsub.subscribe("s", { maxDeliveries }),
  ),
  option("maxBuffered", [0, -1, 1.5, "5"], ({ pubsub }, maxBuffered) =>
    pubsub.listen("s", { maxBuffered }),
  ),
  option("limit", [0, -1, 1.5, 1_001, "5"], ({ pubsub }, limit) =>
    pubsub.deadLetters.list("d", { limit }),
  ),
];

const RPC: readonly OptionRange[] = [
  option("timeoutMs", TIMEOUTS, ({ rpc }, timeoutMs) => rpc.request("s", "v", { timeoutMs })),
  option("timeoutMs", TIMEOUTS, ({ rpc }, timeoutMs) =>
    first(rpc.requestMany("s", "v", { timeoutMs })),
  ),
  option("maxReplies", [0, -1, 1.5, "5"], ({ rpc }, maxReplies) =>
    first(rpc.requestMany("s", "v", { maxReplies })),
  ),
  option("stallMs", [-1, Number.NaN, "5"], ({ rpc }, stallMs) =>
    first(rpc.requestMany("s", "v", { stallMs })),
  ),
  option("concurrency", [0, -1, 1.5, "5"], ({ rpc }, concurrency) =>
    rpc.serve("x", () => "v", { concurrency }),
  ),
  option("maxQueued", [-1, 1.5, "5"], ({ rpc }, maxQueued) =>
    rpc.serve("x", () => "v", { maxQueued }),
  ),
];

const JOBS: readonly OptionRange[] = [
  option("timeoutMs", TIMEOUTS, ({ jobs }, timeoutMs) =>
    jobs.enqueue("q", { payload: "v" }, { timeoutMs }),
  ),
  option("priority", [-1, 10, 1.5, "5", Number.NaN], enqueue("priority")),
  option("maxAttempts", [0, -1, 1_001, 1.5, "5"], enqueue("maxAttempts")),
  option("delayMs", [-1, Number.NaN, "5"], enqueue("delayMs")),
  option("runAtMs", [-1, Number.NaN, "5"], enqueue("runAtMs")),
  option("delayMs", [5], ({ jobs }, delayMs) =>
    jobs.enqueue("q", { payload: "v", delayMs, runAtMs: 0 }),
  ),
  option("priority", [10], ({ jobs }, priority) =>
    jobs.enqueueMany("q", [{ payload: "good" }, { payload: "v", priority }]),
  ),
  option("leaseMs", [49, 0, -1, 86_400_001, Number.NaN, "5"], claim("leaseMs")),
  option("max", [0, -1, 1.5, 1_001, "5"], claim("max")),
  option("waitMs", [-1, Number.NaN, "5"], claim("waitMs")),
  option("limit", [0, -1, 1.5, 1_001, "5"], ({ jobs }, limit) =>
    jobs.deadLetters.list("q", { limit }),
  ),
];

const KV: readonly OptionRange[] = [
  option("history", [0, -1, 65, 1.5, "5"], ({ kv }, history) =>
    kv.ensureBucket("new", { history }),
  ),
  option("ttlMs", [0, 99, -1, Number.NaN, "5"], ({ kv }, ttlMs) =>
    kv.ensureBucket("new", { ttlMs }),
  ),
  option("maxBytes", [0, -1, 1.5, "5"], ({ kv }, maxBytes) => kv.ensureBucket("new", { maxBytes })),
  option("expectedRevision", [-1, 1.5, Number.NaN, "1"], ({ kv }, revision) =>
    kv.cas("b", "k", "v", revision),
  ),
  option("expectedRevision", [-1, 1.5, Number.NaN, "1"], ({ kv }, expectedRevision) =>
    kv.delete("b", "k", { expectedRevision }),
  ),
  option("limit", [0, -1, 1.5, 10_001, "5"], ({ kv }, limit) => kv.keys("b", { limit })),
  option("afterRevision", [-1, 1.5, Number.NaN, "1"], ({ kv }, afterRevision) =>
    kv.watch("b", { afterRevision }),
  ),
  option("ttlMs", [49, 0, -1, Number.NaN, "5", undefined], ({ kv }, ttlMs) =>
    kv.lease("b", "k", { ttlMs }),
  ),
  option("waitMs", [-1, Number.NaN, "5"], ({ kv }, waitMs) =>
    kv.lease("b", "k", { ttlMs: 1_000, waitMs }),
  ),
];

/** Options outside of their range. */
export const optionCases: readonly ConformanceCase[] = [
  {
    id: "NAME-OPTION-001",
    title: "options of pubsub outside their range are a TypeError or RangeError that names them",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      await checkOptions(bus, PUBSUB);
      checkEqual([...(await storedTexts(bus, ">", "s"))], [], "stored messages");
      checkEqual(await bus.pubsub.deleteDurable("d"), false, "a durable was made");
    },
  },
  {
    id: "NAME-OPTION-002",
    title: "options of rpc outside their range are a TypeError or RangeError that names them",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      let handled = 0;
      await bus.rpc.serve("s", () => {
        handled += 1;
      });
      await checkOptions(bus, RPC);
      await bus.rpc.request("s", "v");
      checkEqual(handled, 1, "handled requests");
      await checkCode(bus.rpc.request("x", "v"), "NO_RESPONDERS", "a server that was refused");
    },
  },
  {
    id: "NAME-OPTION-003",
    title: "options of jobs outside their range are a TypeError or RangeError that names them",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      await checkOptions(bus, JOBS);
      const { ready, delayed, leased } = await bus.jobs.stats("q");
      checkEqual([ready, delayed, leased], [0, 0, 0], "jobs");
    },
  },
  {
    id: "NAME-OPTION-004",
    title: "options of kv and leases outside their range are refused by name, nothing is written",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      const revision = await bus.kv.put("b", "k", "v");
      await checkOptions(bus, KV);
      checkEqual((await bus.kv.get("b", "k"))?.revision, revision, "the revision");
      await bus.kv.ensureBucket("new", { history: 3 });
      await bus.kv.lease("b", "k", { ttlMs: 1_000 });
    },
  },
  {
    id: "NAME-OPTION-005",
    title: "a settle with a bad option is refused and does not settle",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
      await bus.pubsub.publish("s", "v");
      await bus.jobs.enqueue("q", { payload: "v" });
      const [message] = await take(subscription, 1);
      const [job] = await bus.jobs.claim("q", { workerId: "w" });
      check(message && job, "no message or no job");
      for (const delayMs of [-1, Number.NaN]) {
        await checkOptionRefused(() => message.nak({ delayMs }), "delayMs");
        await checkOptionRefused(() => job.nak({ delayMs }), "delayMs");
      }
      for (const leaseMs of [49, 86_400_001]) {
        await checkOptionRefused(() => job.heartbeat({ leaseMs }), "leaseMs");
      }
      for (const reason of ["r".repeat(257), "a\r\nb", "a\u0000b"]) {
        const what = `the reason ${shown(reason)}`;
        await checkCode(() => message.term({ reason }), "INVALID_ARGUMENT", what);
        await checkCode(() => job.nak({ reason }), "INVALID_ARGUMENT", what);
        await checkCode(() => job.deadLetter(reason), "INVALID_ARGUMENT", what);
      }
      await message.ack({ confirm: true });
      await job.heartbeat();
      await job.deadLetter("r".repeat(256));
      const { entries } = await bus.jobs.deadLetters.list("q");
      checkEqual(
        entries.map(({ reason }) => reason.length),
        [256],
        "the reason that is kept",
      );
    },
  },
  {
    id: "NAME-OPTION-006",
    title: "close with a bad drainMs is refused, and everything stays open",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
      const server = await bus.rpc.serve("s", () => "v");
      for (const drainMs of [-1, Number.NaN, "5" as unknown as number]) {
        await checkOptionRefused(() => subscription.close({ drainMs }), "drainMs");
        await checkOptionRefused(() => server.close({ drainMs }), "drainMs");
        await checkOptionRefused(() => bus.close({ drainMs }), "drainMs");
      }
      await bus.pubsub.publish("s", "v");
      const [message] = await take(subscription, 1);
      await message?.ack();
      await bus.rpc.request("s", "v");
    },
  },
  {
    id: "NAME-OPTION-007",
    title: "a batch with one bad job is refused as a whole, before anything is sent",
    contract: "names",
    level: "L1",
    async run({ bus: { jobs } }) {
      const good = { payload: "good" };
      await checkOptionRefused(
        () => jobs.enqueueMany("q", [good, { ...good, priority: 99 }]),
        "priority",
      );
      await checkCode(
        () => jobs.enqueueMany("q", [good, { ...good, headers: { "a b": "c" } }]),
        "INVALID_ARGUMENT",
        "a bad header",
      );
      await checkCode(
        () => jobs.enqueueMany("q", [good, {} as Job]),
        "INVALID_ARGUMENT",
        "a job without a payload",
      );
      checkEqual((await jobs.stats("q")).ready, 0, "jobs");
      checkEqual(await jobs.enqueueMany("q", []), [], "the answer to an empty batch");
    },
  },
];

async function checkOptions(bus: Bus, options: readonly OptionRange[]): Promise<void> {
  for (const { field, bad, attempt } of options) {
    for (const value of bad) await checkOptionRefused(() => attempt(bus, value as never), field);
  }
}

async function first<T>(iterable: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of iterable) return item;
  return undefined;
}
