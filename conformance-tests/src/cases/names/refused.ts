import type { Bus } from "@busbar/core";
import { check, checkCode, checkEqual } from "../../assert.ts";
import type { CaseContext, ConformanceCase } from "../../case.ts";
import { nextOf, outcomeOf, storedTexts } from "../shared.ts";
import {
  BAD_IDS,
  BAD_KEY_PATTERNS,
  BAD_KEYS,
  BAD_NAMES,
  BAD_NAMESPACES,
  BAD_PATTERNS,
  BAD_SUBJECTS,
  shown,
} from "./tables.ts";

/** Calls an operation with a name that is not allowed. */
type Attempt = (bus: Bus, name: string) => Promise<unknown>;

/** Attempts by what their error must name. */
type Attempts = Readonly<Record<string, Attempt>>;

/** Options that are left out, or null, mean their default: no name is given then. */
function given(names: readonly unknown[]): readonly unknown[] {
  return names.filter((name) => name !== undefined && name !== null);
}

const GIVEN_NAMES = given(BAD_NAMES);

/** Names that are not allowed. */
export const refusedNameCases: readonly ConformanceCase[] = [
  {
    id: "NAME-SUBJECT-001",
    title: "a bad subject is refused by publish, notify and request, and nothing is sent",
    contract: "names",
    level: "L1",
    async run(context) {
      const { bus } = context;
      let handled = 0;
      await bus.rpc.serve(">", () => {
        handled += 1;
      });
      const listener = await bus.pubsub.listen(">");
      await checkRefused(context, BAD_SUBJECTS, "subject", {
        publish: ({ pubsub }, subject) => pubsub.publish(subject, "v"),
        notify: ({ pubsub }, subject) => pubsub.notify(subject, "v"),
        request: ({ rpc }, subject) => rpc.request(subject, "v"),
        requestMany: ({ rpc }, subject) => firstOf(rpc.requestMany(subject, "v")),
      });
      await bus.pubsub.notify("sentinel", "v");
      checkEqual((await nextOf(listener, "the listener")).subject, "sentinel", "the next message");
      checkEqual([...(await storedTexts(bus, ">", "s"))], [], "stored messages");
      await bus.rpc.request("sentinel", "v");
      checkEqual(handled, 1, "handled requests");
    },
  },
  {
    id: "NAME-PATTERN-001",
    title: "a bad pattern is refused by subscribe, listen and serve",
    contract: "names",
    level: "L1",
    run: (context) =>
      checkRefused(context, BAD_PATTERNS, "subject", {
        subscribe: ({ pubsub }, pattern) => pubsub.subscribe(pattern),
        "subscribe durable": ({ pubsub }, pattern) => pubsub.subscribe(pattern, { durable: "d" }),
        listen: ({ pubsub }, pattern) => pubsub.listen(pattern),
        serve: ({ rpc }, pattern) => rpc.serve(pattern, () => "v"),
      }),
  },
  {
    id: "NAME-DURABLE-001",
    title: "a bad durable is refused wherever one is named",
    contract: "names",
    level: "L1",
    async run(context) {
      await checkRefused(context, BAD_NAMES, "durable", {
        deleteDurable: ({ pubsub }, durable) => pubsub.deleteDurable(durable),
        "deadLetters.list": ({ pubsub }, durable) => pubsub.deadLetters.list(durable),
        "deadLetters.get": ({ pubsub }, durable) => pubsub.deadLetters.get(durable, "1"),
        "deadLetters.count": ({ pubsub }, durable) => pubsub.deadLetters.count(durable),
        "deadLetters.replay": ({ pubsub }, durable) => pubsub.deadLetters.replay(durable, "1"),
        "deadLetters.discard": ({ pubsub }, durable) => pubsub.deadLetters.discard(durable, "1"),
        "deadLetters.purge": ({ pubsub }, durable) => pubsub.deadLetters.purge(durable),
      });
      await checkRefused(context, GIVEN_NAMES, "durable", {
        subscribe: ({ pubsub }, durable) => pubsub.subscribe("s", { durable }),
      });
    },
  },
  {
    id: "NAME-GROUP-001",
    title: "a bad group is refused by listen and serve",
    contract: "names",
    level: "L1",
    run: (context) =>
      checkRefused(context, GIVEN_NAMES, "group", {
        listen: ({ pubsub }, group) => pubsub.listen("s", { group }),
        serve: ({ rpc }, group) => rpc.serve("s", () => "v", { group }),
      }),
  },
  {
    id: "NAME-QUEUE-001",
    title: "a bad queue is refused by every method of jobs",
    contract: "names",
    level: "L1",
    run: (context) =>
      checkRefused(context, BAD_NAMES, "queue", {
        enqueue: ({ jobs }, queue) => jobs.enqueue(queue, { payload: "v" }),
        enqueueMany: ({ jobs }, queue) => jobs.enqueueMany(queue, [{ payload: "v" }]),
        claim: ({ jobs }, queue) => jobs.claim(queue, { workerId: "w" }),
        get: ({ jobs }, queue) => jobs.get(queue, "1"),
        remove: ({ jobs }, queue) => jobs.remove(queue, "1"),
        stats: ({ jobs }, queue) => jobs.stats(queue),
        pause: ({ jobs }, queue) => jobs.pause(queue),
        resume: ({ jobs }, queue) => jobs.resume(queue),
        purge: ({ jobs }, queue) => jobs.purge(queue),
        deleteQueue: ({ jobs }, queue) => jobs.deleteQueue(queue),
        "deadLetters.list": ({ jobs }, queue) => jobs.deadLetters.list(queue),
        "deadLetters.get": ({ jobs }, queue) => jobs.deadLetters.get(queue, "1"),
        "deadLetters.count": ({ jobs }, queue) => jobs.deadLetters.count(queue),
        "deadLetters.replay": ({ jobs }, queue) => jobs.deadLetters.replay(queue, "1"),
        "deadLetters.discard": ({ jobs }, queue) => jobs.deadLetters.discard(queue, "1"),
        "deadLetters.purge": ({ jobs }, queue) => jobs.deadLetters.purge(queue),
      }),
  },
  {
    id: "NAME-WORKER-001",
    title: "a bad worker id is refused by claim, and no job is taken",
    contract: "names",
    level: "L1",
    async run(context) {
      const { jobs } = context.bus;
      await jobs.enqueue("q", { payload: "v" });
      await checkRefused(context, BAD_NAMES, "workerId", {
        claim: (bus, workerId) => bus.jobs.claim("q", { workerId }),
      });
      const [job] = await jobs.claim("q", { workerId: "w" });
      checkEqual(job?.attempt, 1, "the attempt of the next claim");
      await job?.ack();
    },
  },
  {
    id: "NAME-BUCKET-001",
    title: "a bad bucket is refused by every method of kv",
    contract: "names",
    level: "L1",
    run: (context) =>
      checkRefused(context, BAD_NAMES, "bucket", {
        ensureBucket: ({ kv }, bucket) => kv.ensureBucket(bucket),
        deleteBucket: ({ kv }, bucket) => kv.deleteBucket(bucket),
        get: ({ kv }, bucket) => kv.get(bucket, "k"),
        put: ({ kv }, bucket) => kv.put(bucket, "k", "v"),
        create: ({ kv }, bucket) => kv.create(bucket, "k", "v"),
        cas: ({ kv }, bucket) => kv.cas(bucket, "k", "v", 0),
        delete: ({ kv }, bucket) => kv.delete(bucket, "k"),
        history: ({ kv }, bucket) => kv.history(bucket, "k"),
        keys: ({ kv }, bucket) => kv.keys(bucket),
        watch: ({ kv }, bucket) => kv.watch(bucket),
        lease: ({ kv }, bucket) => kv.lease(bucket, "k", { ttlMs: 1_000 }),
      }),
  },
  {
    id: "NAME-KEY-001",
    title: "a bad key is refused by every method of kv, and nothing is written",
    contract: "names",
    level: "L1",
    async run(context) {
      await checkRefused(context, BAD_KEYS, "key", {
        get: ({ kv }, key) => kv.get("b", key),
        put: ({ kv }, key) => kv.put("b", key, "v"),
        create: ({ kv }, key) => kv.create("b", key, "v"),
        cas: ({ kv }, key) => kv.cas("b", key, "v", 0),
        delete: ({ kv }, key) => kv.delete("b", key),
        history: ({ kv }, key) => kv.history("b", key),
        lease: ({ kv }, key) => kv.lease("b", key, { ttlMs: 1_000 }),
      });
      checkEqual((await context.bus.kv.keys("b")).keys, [], "the keys");
    },
  },
  {
    id: "NAME-KEY-002",
    title: "a bad pattern of keys is refused by watch and keys",
    contract: "names",
    level: "L1",
    run: (context) =>
      checkRefused(context, given(BAD_KEY_PATTERNS), "key", {
        watch: ({ kv }, key) => kv.watch("b", { key }),
        keys: ({ kv }, key) => kv.keys("b", { key }),
      }),
  },
  {
    id: "NAME-OWNER-001",
    title: "a bad owner is refused by lease, and the lease stays free",
    contract: "names",
    level: "L1",
    async run(context) {
      await checkRefused(context, GIVEN_NAMES, "owner", {
        lease: ({ kv }, owner) => kv.lease("b", "k", { ttlMs: 20_000, owner }),
      });
      const lease = await context.bus.kv.lease("b", "k", { ttlMs: 1_000, owner: "me" });
      checkEqual(lease.owner, "me", "the owner");
    },
  },
  {
    id: "NAME-ID-001",
    title: "a bad message id or dedup key is refused, and nothing is stored",
    contract: "names",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await checkRefused(context, given(BAD_IDS), "messageId", {
        publish: ({ pubsub }, messageId) => pubsub.publish("s", "v", { messageId }),
      });
      await checkRefused(context, given(BAD_IDS), "dedupKey", {
        enqueue: ({ jobs }, dedupKey) => jobs.enqueue("q", { payload: "v", dedupKey }),
        enqueueMany: ({ jobs }, dedupKey) =>
          jobs.enqueueMany("q", [{ payload: "good" }, { payload: "v", dedupKey }]),
      });
      checkEqual([...(await storedTexts(bus, ">", "s"))], [], "stored messages");
      checkEqual((await bus.jobs.stats("q")).ready, 0, "jobs");
    },
  },
  {
    id: "NAME-NAMESPACE-001",
    title: "a bad namespace is refused when a bus is opened",
    contract: "names",
    level: "L1",
    async run({ open, clock }) {
      for (const namespace of BAD_NAMESPACES) {
        const outcome = await outcomeOf(clock, () => open({ namespace }));
        check(!outcome.ok, `namespace ${shown(namespace)} was accepted`);
        const code: unknown = Reflect.get(outcome.error as object, "code");
        check(
          code === "INVALID_CONFIG" || code === "INVALID_ARGUMENT",
          `namespace ${shown(namespace)}: ${String(outcome.error)}`,
        );
        check(String(outcome.error).includes("namespace"), "the error does not name the namespace");
      }
      await open({ namespace: "n".repeat(64) });
    },
  },
];

async function checkRefused(
  context: CaseContext,
  names: readonly unknown[],
  field: string,
  attempts: Attempts,
): Promise<void> {
  for (const [operation, attempt] of Object.entries(attempts)) {
    for (const name of names) {
      const what = `${operation} with the ${field} ${shown(name)}`;
      // What is not a string reaches a bus from programs that are not type-checked.
      const error = await checkCode(
        () => context.within(what, attempt(context.bus, name as string)),
        "INVALID_ARGUMENT",
        what,
      );
      check(error.message.includes(field), `${what}: the error does not name it: ${error.message}`);
      check(!error.retryable, `${what}: the error is retryable`);
    }
  }
}

async function firstOf<T>(iterable: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of iterable) return item;
  return undefined;
}
