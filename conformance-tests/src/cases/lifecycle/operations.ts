import type { Bus, DeadLetters } from "@busbar/core";

/** A named operation on a bus. */
export interface Operation {
  readonly name: string;
  readonly call: (bus: Bus) => Promise<unknown>;
}

/** Every operation of a bus and its four contracts, each with arguments that are allowed. */
export const OPERATIONS: readonly Operation[] = [
  { name: "forNamespace", call: (bus) => bus.forNamespace("op") },
  { name: "storage", call: (bus) => bus.storage() },
  { name: "removeNamespace", call: (bus) => bus.removeNamespace() },
  { name: "publish", call: ({ pubsub }) => pubsub.publish("op", "v") },
  { name: "notify", call: ({ pubsub }) => pubsub.notify("op", "v") },
  { name: "subscribe", call: ({ pubsub }) => pubsub.subscribe("op") },
  { name: "subscribe durable", call: ({ pubsub }) => pubsub.subscribe("op", { durable: "op" }) },
  { name: "listen", call: ({ pubsub }) => pubsub.listen("op") },
  { name: "deleteDurable", call: ({ pubsub }) => pubsub.deleteDurable("op") },
  { name: "request", call: ({ rpc }) => rpc.request("op", "v") },
  { name: "requestMany", call: ({ rpc }) => firstOf(rpc.requestMany("op", "v")) },
  { name: "serve", call: ({ rpc }) => rpc.serve("op", () => "v") },
  { name: "ensureBucket", call: ({ kv }) => kv.ensureBucket("op") },
  { name: "deleteBucket", call: ({ kv }) => kv.deleteBucket("op") },
  { name: "get", call: ({ kv }) => kv.get("op", "k") },
  { name: "put", call: ({ kv }) => kv.put("op", "k", "v") },
  { name: "create", call: ({ kv }) => kv.create("op", "k", "v") },
  { name: "cas", call: ({ kv }) => kv.cas("op", "k", "v", 0) },
  { name: "delete", call: ({ kv }) => kv.delete("op", "k") },
  { name: "history", call: ({ kv }) => kv.history("op", "k") },
  { name: "keys", call: ({ kv }) => kv.keys("op") },
  { name: "watch", call: ({ kv }) => kv.watch("op") },
  { name: "lease", call: ({ kv }) => kv.lease("op", "k", { ttlMs: 1_000 }) },
  { name: "enqueue", call: ({ jobs }) => jobs.enqueue("op", { payload: "v" }) },
  { name: "enqueueMany", call: ({ jobs }) => jobs.enqueueMany("op", [{ payload: "v" }]) },
  { name: "claim", call: ({ jobs }) => jobs.claim("op", { workerId: "w" }) },
  {
    name: "claim that waits",
    call: ({ jobs }) => jobs.claim("op", { workerId: "w", waitMs: 999 }),
  },
  { name: "get of a job", call: ({ jobs }) => jobs.get("op", "1") },
  { name: "remove", call: ({ jobs }) => jobs.remove("op", "1") },
  { name: "stats", call: ({ jobs }) => jobs.stats("op") },
  { name: "pause", call: ({ jobs }) => jobs.pause("op") },
  { name: "resume", call: ({ jobs }) => jobs.resume("op") },
  { name: "purge", call: ({ jobs }) => jobs.purge("op") },
  { name: "deleteQueue", call: ({ jobs }) => jobs.deleteQueue("op") },
  ...deadLetterOperations("pubsub"),
  ...deadLetterOperations("jobs"),
];

function deadLetterOperations(contract: "pubsub" | "jobs"): Operation[] {
  const operation = (
    name: string,
    call: (letters: DeadLetters) => Promise<unknown>,
  ): Operation => ({
    name: `${contract}.deadLetters.${name}`,
    call: (bus) => call(bus[contract].deadLetters),
  });
  return [
    operation("list", (letters) => letters.list("op")),
    operation("get", (letters) => letters.get("op", "1")),
    operation("count", (letters) => letters.count("op")),
    operation("replay", (letters) => letters.replay("op", "1")),
    operation("discard", (letters) => letters.discard("op", "1")),
    operation("purge", (letters) => letters.purge("op")),
  ];
}

async function firstOf<T>(iterable: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of iterable) return item;
  return undefined;
}
