import { BusError, type Capabilities } from "@busbar/core";
import { onBus, onJobs, onKv, onPubsub } from "./contracts.ts";
import type { Mutant, Open, World } from "./mutant.ts";
import { overlooking } from "./override.ts";

/** Mistakes with closing, capabilities, names and namespaces. */
export const lifecycle: readonly Mutant[] = [
  {
    id: "close-hangs",
    title: "close() waits for what is under way, however long that takes",
    contract: "lifecycle",
    killedBy: ["LC-CLOSE-004", "LC-CLOSE-006"],
    wrap: (world) => onBus(world, (bus) => ({ close: () => bus.close({ drainMs: 86_400_000 }) })),
  },
  {
    id: "close-does-not-drain",
    title: "close() does not wait for running handlers",
    contract: "lifecycle",
    killedBy: ["LC-CLOSE-005"],
    wrap: (world) => onBus(world, (bus) => ({ close: () => bus.close({ drainMs: 0 }) })),
  },
  {
    id: "close-reports-nothing",
    title: "close() says that nothing was abandoned",
    contract: "lifecycle",
    killedBy: ["LC-CLOSE-006"],
    wrap: (world) =>
      onBus(world, (bus) => ({
        close: async (options) => {
          await bus.close(options);
          return { abandoned: 0 };
        },
      })),
  },
  {
    id: "close-once",
    title: "A second close() rejects",
    contract: "lifecycle",
    killedBy: ["LC-CLOSE-001"],
    wrap: (world) =>
      onBus(world, (bus) => {
        let isClosed = false;
        return {
          close: async (options) => {
            if (isClosed) throw new BusError("CLOSED", "the bus is closed");
            isClosed = true;
            return bus.close(options);
          },
        };
      }),
  },
  {
    id: "keep-alive-left",
    title: "The timer of a keep-alive is not stopped by close()",
    contract: "lifecycle",
    killedBy: ["LC-CLOSE-001", "LC-CLOSE-017"],
    wrap: (world) =>
      onBus(world, () => {
        const beat = (): void => void world.clock.setTimer(beat, 10_000);
        beat();
        return {};
      }),
  },
  {
    id: "closed-claim-is-empty",
    title: "A claim on a closed bus gives an empty array",
    contract: "lifecycle",
    killedBy: ["LC-CLOSED-001"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        claim: (queue, options) => overlooking("CLOSED", jobs.claim(queue, options), () => []),
      })),
  },
  {
    id: "closed-is-disconnected",
    title: "A read on a closed bus rejects with DISCONNECTED",
    contract: "lifecycle",
    killedBy: ["LC-CLOSED-001"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        get: (bucket, key) =>
          overlooking("CLOSED", kv.get(bucket, key), () => {
            throw new BusError("DISCONNECTED", "connection is closed");
          }),
      })),
  },
  {
    id: "abort-reason-replaced",
    title: "An aborted publish rejects with an error of the backend",
    contract: "lifecycle",
    killedBy: ["LC-SIGNAL-001"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        publish: async (subject, payload, options) => {
          if (options?.signal?.aborted) throw new BusError("TIMEOUT", "the publish was aborted");
          return pubsub.publish(subject, payload, options);
        },
      })),
  },
  {
    id: "signal-ignored",
    title: "A subscription does not end when its signal aborts",
    contract: "lifecycle",
    killedBy: ["LC-SIGNAL-003"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        subscribe: (subject, { signal, ...options } = {}) => {
          signal?.throwIfAborted();
          return pubsub.subscribe(subject, options);
        },
      })),
  },
  {
    id: "namespace-case-folded",
    title: "Namespaces that differ in case only are one",
    contract: "lifecycle",
    killedBy: ["LC-SHARE-005"],
    wrap: (world) => (options) =>
      world.open({ ...options, namespace: options.namespace.toLowerCase() }),
  },
  {
    id: "namespace-cut",
    title: "Namespaces that begin alike are one",
    contract: "lifecycle",
    killedBy: ["LC-SHARE-005"],
    wrap: (world) => (options) =>
      world.open({ ...options, namespace: options.namespace.slice(0, 8) }),
  },
  {
    id: "buckets-of-all-namespaces",
    title: "Buckets of all namespaces are the same",
    contract: "lifecycle",
    killedBy: ["LC-SHARE-002"],
    wrap: (world) => withSharedPart(world, "kv"),
  },
  {
    id: "requests-of-all-namespaces",
    title: "Requests of all namespaces go to the same subjects",
    contract: "lifecycle",
    killedBy: ["RPC-REQ-014", "LC-SHARE-002"],
    wrap: (world) => withSharedPart(world, "rpc"),
  },
  {
    id: "wildcard-published",
    title: "A subject with a wildcard can be published to",
    contract: "names",
    killedBy: ["PS-NAME-001", "NAME-SUBJECT-001"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        publish: (subject, payload, options) =>
          pubsub.publish(asText(subject).replace("*", "any"), payload, options),
      })),
  },
  {
    id: "line-break-in-header",
    title: "A header with a line break is sent",
    contract: "names",
    killedBy: ["PS-DATA-007", "NAME-HEADER-001"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        publish: (subject, payload, options = {}) => {
          const entries = Object.entries(options.headers ?? {});
          const headers = entries.map(([name, value]): [string, string | readonly string[]] => [
            name,
            typeof value === "string" ? value.replaceAll(/[\r\n]+/g, " ") : value,
          ]);
          return pubsub.publish(subject, payload, {
            ...options,
            headers: Object.fromEntries(headers),
          });
        },
      })),
  },
  {
    id: "queue-name-not-checked",
    title: "A dot in the name of a queue is accepted",
    contract: "names",
    killedBy: ["NAME-QUEUE-001"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        enqueue: (queue, job, options) =>
          jobs.enqueue(asText(queue).replaceAll(".", "_"), job, options),
      })),
  },
  {
    id: "empty-name-is-the-default",
    title: "An empty durable is taken for none",
    contract: "names",
    killedBy: ["NAME-DURABLE-001"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        subscribe: (subject, options = {}) => {
          const { durable, ...rest } = options;
          return pubsub.subscribe(subject, durable === "" ? rest : options);
        },
      })),
  },
  {
    id: "key-ttl-declared-only",
    title: "keyTtl is declared, and a ttlMs does nothing",
    contract: "capabilities",
    killedBy: ["CAP-TTL-001"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        put: (bucket, key, value) => kv.put(bucket, key, value),
        create: (bucket, key, value) => kv.create(bucket, key, value),
      })),
  },
  {
    id: "key-ttl-not-declared",
    title: "keyTtl is not declared, and a ttlMs is taken all the same",
    contract: "capabilities",
    killedBy: ["CAP-TTL-002"],
    wrap: (world) => withCapabilities(world, { keyTtl: false, keyTtlGranularityMs: 0 }),
  },
  {
    id: "dedup-window-declared-too-long",
    title: "Ids are remembered for less time than declared",
    contract: "capabilities",
    killedBy: ["CAP-DEDUP-003"],
    wrap: (world) => withCapabilities(world, { dedupWindowMs: 3_600_000 }),
  },
  {
    id: "limit-declared-too-high",
    title: "The declared limit of a payload is more than the backend takes",
    contract: "capabilities",
    killedBy: ["CAP-SIZE-001"],
    wrap: (world) => withCapabilities(world, { maxPayloadBytes: 16 * 1_048_576 }),
  },
  {
    id: "capabilities-not-frozen",
    title: "Capabilities can be changed by the program",
    contract: "capabilities",
    killedBy: ["CAP-001"],
    wrap: (world) => onBus(world, ({ capabilities }) => ({ capabilities: { ...capabilities } })),
  },
];

/** Something that is no text stays wrong. */
function asText(name: unknown): string {
  return typeof name === "string" ? name : "";
}

function withCapabilities(world: World, declared: Partial<Capabilities>): Open {
  return onBus(world, ({ capabilities }) => ({
    capabilities: Object.freeze({ ...capabilities, ...declared }),
  }));
}

/** One part of every bus is that of a namespace which all share. */
function withSharedPart(world: World, part: "kv" | "rpc"): Open {
  return async (options) => {
    const shared = await world.open({ namespace: "shared" });
    const open = onBus(world, (bus) => ({
      [part]: shared[part],
      close: async (closing) => {
        const [report] = await Promise.all([bus.close(closing), shared.close(closing)]);
        return report;
      },
    }));
    return open(options);
  };
}
