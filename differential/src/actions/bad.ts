import type { Bus } from "@busbar/core";
import { type Outcome, outcomeOf } from "../outcome.ts";
import type { Run } from "../run.ts";
import type { StepOf } from "../script.ts";

type Call = (bus: Bus) => Promise<unknown>;

const LONG = "x".repeat(300);
const NAMES: readonly unknown[] = ["", "a b", "a..b", ".a", "a\r\nb", "ä", LONG, undefined, 7];
const SUBJECTS: readonly unknown[] = ["", "a b", "a..b", "a.*", "a.>", "a\nb", LONG, null];
const PATTERNS: readonly unknown[] = ["", "a b", ">.a", "a..>", LONG, 3];
const KEYS: readonly unknown[] = ["", "a b", ".a", "a.", "k*", "k:1", LONG, undefined];
const IDS: readonly unknown[] = ["", "a b", "ä", LONG];
const NUMBERS: readonly unknown[] = [-1, Number.NaN, "5", null];
const HEADERS: readonly unknown[] = [
  { "a b": "x" },
  { a: "x\ny" },
  { a: " x" },
  { "Nats-Msg-Id": "x" },
  { "busbar-x": "x" },
  { a: [] },
  { a: 5 },
  [],
  { a: "x".repeat(9_000) },
];
const PAYLOADS: readonly unknown[] = [5, null, undefined, {}];

/** Each value in turn, as whatever the call wants it to be. */
function each<T>(
  values: readonly unknown[],
  call: (bus: Bus, value: T) => Promise<unknown>,
): Call[] {
  return values.map((value) => (bus) => call(bus, value as T));
}

async function firstOf(iterable: AsyncIterable<unknown>): Promise<unknown> {
  return iterable[Symbol.asyncIterator]().next();
}

/** Calls that are refused, of every kind. A new one goes to the end, so that old seeds keep theirs. */
export const BAD_CALLS: readonly Call[] = [
  ...each<string>(SUBJECTS, (bus, value) => bus.pubsub.publish(value, "x")),
  ...each<string>(SUBJECTS, (bus, value) => bus.pubsub.notify(value, "x")),
  ...each<string>(SUBJECTS, (bus, value) => bus.rpc.request(value, "x")),
  ...each<string>(PATTERNS, (bus, value) => bus.pubsub.subscribe(value)),
  ...each<string>(PATTERNS, (bus, value) => bus.pubsub.listen(value)),
  ...each<string>(PATTERNS, (bus, value) => bus.rpc.serve(value, () => "x")),
  ...each<string>(NAMES, (bus, value) => bus.pubsub.deleteDurable(value)),
  ...each<string>(NAMES, (bus, value) => bus.pubsub.deadLetters.list(value)),
  ...each<string>(NAMES, (bus, value) => bus.jobs.enqueue(value, { payload: "x" })),
  ...each<string>(NAMES, (bus, value) => bus.jobs.stats(value)),
  ...each<string>(NAMES, (bus, value) => bus.jobs.claim("q", { workerId: value })),
  ...each<string>(NAMES, (bus, value) => bus.jobs.deadLetters.count(value)),
  ...each<string>(NAMES, (bus, value) => bus.kv.put(value, "k", "x")),
  ...each<string>(NAMES, (bus, value) => bus.kv.ensureBucket(value)),
  ...each<string>(KEYS, (bus, value) => bus.kv.put("b", value, "x")),
  ...each<string>(KEYS, (bus, value) => bus.kv.get("b", value)),
  ...each<string>(KEYS, (bus, value) => bus.kv.delete("b", value)),
  ...each<string>(KEYS, (bus, value) => bus.kv.history("b", value)),
  ...each<string>(KEYS, (bus, value) => bus.kv.lease("b", value, { ttlMs: 60_000 })),
  ...each<string>(["", "a b", ">.a", LONG], (bus, value) => bus.kv.keys("b", { key: value })),
  ...each<string>(["", "a b", ">.a", LONG], (bus, value) => bus.kv.watch("b", { key: value })),
  ...each<string>(IDS, (bus, value) => bus.pubsub.publish("a", "x", { messageId: value })),
  ...each<string>(IDS, (bus, value) => bus.jobs.enqueue("q", { payload: "x", dedupKey: value })),
  ...each<never>(HEADERS, (bus, value) => bus.pubsub.publish("a", "x", { headers: value })),
  ...each<never>(HEADERS, (bus, value) => bus.jobs.enqueue("q", { payload: "x", headers: value })),
  ...each<never>(PAYLOADS, (bus, value) => bus.pubsub.publish("a", value)),
  ...each<never>(PAYLOADS, (bus, value) => bus.jobs.enqueue("q", { payload: value })),
  ...each<never>(PAYLOADS, (bus, value) => bus.kv.create("b", "k", value)),
  ...each<number>(NUMBERS, (bus, value) =>
    bus.pubsub.publish("a", "x", { expectedLastSequence: value }),
  ),
  ...each<number>(NUMBERS, (bus, value) => bus.pubsub.subscribe("a", { ackWaitMs: value })),
  ...each<number>(NUMBERS, (bus, value) => bus.pubsub.subscribe("a", { maxInFlight: value })),
  ...each<number>(NUMBERS, (bus, value) =>
    bus.pubsub.subscribe("a", { durable: "bad", maxDeliveries: value }),
  ),
  ...each<number>(NUMBERS, (bus, value) => bus.pubsub.subscribe("a", { backoffMs: [value] })),
  ...each<never>([...NUMBERS, "old", {}, { sequence: 0 }, { timeMs: -1 }], (bus, value) =>
    bus.pubsub.subscribe("a", { durable: "bad", from: value }),
  ),
  ...each<number>(NUMBERS, (bus, value) => bus.pubsub.listen("a", { maxBuffered: value })),
  ...each<number>(NUMBERS, (bus, value) => bus.rpc.request("a", "x", { timeoutMs: value })),
  ...each<number>(NUMBERS, (bus, value) =>
    firstOf(bus.rpc.requestMany("a", "x", { maxReplies: value })),
  ),
  ...each<number>(NUMBERS, (bus, value) => bus.rpc.serve("a", () => "x", { concurrency: value })),
  ...each<number>(NUMBERS, (bus, value) => bus.rpc.serve("a", () => "x", { maxQueued: value })),
  ...each<number>(NUMBERS, (bus, value) => bus.jobs.claim("q", { workerId: "w", leaseMs: value })),
  ...each<number>(NUMBERS, (bus, value) => bus.jobs.claim("q", { workerId: "w", max: value })),
  ...each<number>(NUMBERS, (bus, value) => bus.jobs.claim("q", { workerId: "w", waitMs: value })),
  ...each<number>(NUMBERS, (bus, value) =>
    bus.jobs.enqueue("q", { payload: "x", priority: value }),
  ),
  ...each<number>(NUMBERS, (bus, value) => bus.jobs.enqueue("q", { payload: "x", delayMs: value })),
  ...each<number>(NUMBERS, (bus, value) =>
    bus.jobs.enqueueMany("q", [{ payload: "x" }, { payload: "x", maxAttempts: value }]),
  ),
  ...each<number>(NUMBERS, (bus, value) => bus.kv.ensureBucket("bad", { history: value })),
  ...each<number>(NUMBERS, (bus, value) => bus.kv.ensureBucket("bad", { ttlMs: value })),
  ...each<number>(NUMBERS, (bus, value) => bus.kv.cas("b", "k", "x", value)),
  ...each<number>(NUMBERS, (bus, value) => bus.kv.delete("b", "k", { expectedRevision: value })),
  ...each<number>(NUMBERS, (bus, value) => bus.kv.keys("b", { limit: value })),
  ...each<number>(NUMBERS, (bus, value) => bus.kv.watch("b", { afterRevision: value })),
  ...each<number>(NUMBERS, (bus, value) => bus.kv.lease("b", "k", { ttlMs: value })),
  ...each<number>(NUMBERS, (bus, value) => bus.pubsub.deadLetters.list("d", { limit: value })),
  ...each<number>(NUMBERS, (bus, value) => bus.jobs.deadLetters.list("q", { limit: value })),
  ...each<string>(["x", "", "-1"], (bus, value) =>
    bus.jobs.deadLetters.list("q", { after: value }),
  ),
];

export function bad(run: Run, step: StepOf<"bad">): Promise<Outcome> {
  const call = BAD_CALLS[step.which % BAD_CALLS.length] as Call;
  return outcomeOf(async () => call(run.bus(step.bus)));
}
