import { type Bus, toText } from "@busbar/core";
import { checkCode, checkEqual } from "../../assert.ts";
import { nextOf, storedTexts, takeOne } from "../shared.ts";

/** How many objects {@link store} makes: a message, a value, two jobs of which one is dead. */
export const STORED_OBJECTS = 4;

/** A message, a durable, a value, a lease, a ready job and a dead one in a paused queue. */
export async function store(bus: Bus): Promise<void> {
  const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
  await subscription.close();
  await bus.pubsub.publish("s", "m");
  await bus.kv.put("b", "k", "v");
  await bus.kv.lease("b", "k", { ttlMs: 25_000 });
  await bus.jobs.enqueue("q", { payload: "dead" });
  const [job] = await bus.jobs.claim("q", { workerId: "w" });
  await job?.deadLetter("no good");
  await bus.jobs.enqueue("q", { payload: "ready" });
  await bus.jobs.pause("q");
}

/** The same, and a server. */
export async function fill(bus: Bus): Promise<void> {
  await bus.rpc.serve("s", () => "v");
  await store(bus);
}

/** Fails unless all of {@link store} is there. */
export async function checkStored(bus: Bus): Promise<void> {
  checkEqual(toText((await bus.kv.get("b", "k"))?.value ?? new Uint8Array()), "v", "the value");
  const { ready, dead, paused } = await bus.jobs.stats("q");
  checkEqual({ ready, dead, paused }, { ready: 1, dead: 1, paused: true }, "the queue");
  await checkCode(bus.kv.lease("b", "k", { ttlMs: 100 }), "LEASE_HELD", "the lease");
  const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
  checkEqual(toText((await takeOne(subscription)).payload), "m", "the durable's message");
  await subscription.close();
}

/** Fails if anything of {@link store} is there. */
export async function checkNotStored(bus: Bus): Promise<void> {
  const counts = await storedTexts(bus, ">", "s");
  checkEqual([...counts], [], "messages");
  checkEqual(await bus.kv.get("b", "k"), undefined, "the value");
  checkEqual((await bus.kv.keys("b")).keys, [], "the keys");
  checkEqual(await bus.kv.history("b", "k"), [], "the history");
  const watch = await bus.kv.watch("b");
  checkEqual((await nextOf(watch, "the watch")).type, "initialDone", "the first event");
  await bus.kv.lease("b", "k", { ttlMs: 5_000 });
  checkEqual(await bus.jobs.claim("q", { workerId: "w" }), [], "jobs");
  const stats = await bus.jobs.stats("q");
  checkEqual([stats.ready, stats.dead, stats.paused], [0, 0, false], "the stats");
  checkEqual(await bus.jobs.deadLetters.count("q"), 0, "dead letters");
}

/** Fails if anything of {@link fill} is there. */
export async function checkNotFilled(bus: Bus): Promise<void> {
  await checkCode(bus.rpc.request("s", "v"), "NO_RESPONDERS", "a request");
  await checkNotStored(bus);
}
