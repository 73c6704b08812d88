import { BusError, type KvEvent, type KvStore } from "@busbar/core";
import { Mailbox, revisionConflict } from "@busbar/core/adapter";
import { onEvents, onKv } from "./contracts.ts";
import type { Mutant, Open, World } from "./mutant.ts";
import { flatMap, overlooking, override, without } from "./override.ts";

const PAGE = 100;

/** Mistakes with values, revisions and watches. */
export const values: readonly Mutant[] = [
  {
    id: "cas-not-atomic",
    title: "cas reads the revision, and writes when that has come back",
    contract: "kv",
    killedBy: ["KV-CAS-005", "KV-CAS-006"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        cas: async (bucket, key, value, expected) => {
          if (expected === 0) return kv.cas(bucket, key, value, expected);
          const current = (await kv.get(bucket, key))?.revision ?? 0;
          if (current !== expected) throw revisionConflict(bucket, key, expected, current);
          return kv.put(bucket, key, value);
        },
      })),
  },
  {
    id: "create-overwrites",
    title: "create writes over a value",
    contract: "kv",
    killedBy: ["KV-CREATE-001"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        create: (bucket, key, value, options) => kv.put(bucket, key, value, options),
      })),
  },
  {
    id: "create-race",
    title: "create looks for a value, and writes when it found none",
    contract: "kv",
    killedBy: ["KV-CREATE-003"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        create: async (bucket, key, value, options) => {
          const current = await kv.get(bucket, key);
          if (current) throw revisionConflict(bucket, key, 0, current.revision);
          return kv.put(bucket, key, value, options);
        },
      })),
  },
  {
    id: "create-after-delete-refused",
    title: "create takes a deleted key for one with a value",
    contract: "kv",
    killedBy: ["KV-CREATE-002"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        create: async (bucket, key, value, options) => {
          const last = (await kv.history(bucket, key)).at(-1);
          if (last?.type === "delete") throw revisionConflict(bucket, key, 0, last.revision);
          return kv.create(bucket, key, value, options);
        },
      })),
  },
  {
    id: "conflict-without-revision",
    title: "A CONFLICT of cas does not say the current revision",
    contract: "kv",
    killedBy: ["KV-CAS-002"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        cas: (bucket, key, value, expected) =>
          overlooking("CONFLICT", kv.cas(bucket, key, value, expected), () => {
            throw new BusError("CONFLICT", `wrong last revision of ${key}`);
          }),
      })),
  },
  {
    id: "delete-on-condition-ignored",
    title: "delete does not compare the expected revision",
    contract: "kv",
    killedBy: ["KV-DELETE-004"],
    wrap: (world) => onKv(world, (kv) => ({ delete: (bucket, key) => kv.delete(bucket, key) })),
  },
  {
    id: "revision-per-key",
    title: "Revisions count the writes of their key",
    contract: "kv",
    killedBy: ["KV-PUT-002"],
    wrap: withRevisionPerKey,
  },
  {
    id: "reads-from-own-cache",
    title: "get gives what this client has seen last",
    contract: "kv",
    killedBy: ["KV-GET-005"],
    wrap: (world) =>
      onKv(world, (kv) => {
        const cache = new Map<string, Awaited<ReturnType<KvStore["get"]>>>();
        const forget = (bucket: string, key: string): boolean => cache.delete(`${bucket}/${key}`);
        return {
          get: async (bucket, key) => {
            const known = cache.get(`${bucket}/${key}`) ?? (await kv.get(bucket, key));
            if (known) cache.set(`${bucket}/${key}`, known);
            return known;
          },
          put: (bucket, key, ...rest) => (forget(bucket, key), kv.put(bucket, key, ...rest)),
          create: (bucket, key, ...rest) => (forget(bucket, key), kv.create(bucket, key, ...rest)),
          cas: (bucket, key, ...rest) => (forget(bucket, key), kv.cas(bucket, key, ...rest)),
          delete: (bucket, key, ...rest) => (forget(bucket, key), kv.delete(bucket, key, ...rest)),
        };
      }),
  },
  {
    id: "value-shared-with-writer",
    title: "A value is stored without a copy",
    contract: "kv",
    killedBy: ["KV-PUT-003"],
    wrap: (world) => {
      const given = new Map<string, Uint8Array>();
      return onKv(world, (kv, namespace) => ({
        put: async (bucket, key, value, options) => {
          const revision = await kv.put(bucket, key, value, options);
          if (typeof value !== "string") given.set(`${namespace} ${bucket} ${revision}`, value);
          return revision;
        },
        get: async (bucket, key) => {
          const entry = await kv.get(bucket, key);
          const own = given.get(`${namespace} ${bucket} ${entry?.revision}`);
          return entry && own ? { ...entry, value: own } : entry;
        },
      }));
    },
  },
  {
    id: "empty-value-is-none",
    title: "A key with an empty value is taken for one without",
    contract: "kv",
    killedBy: ["KV-PUT-001"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        get: async (bucket, key) => {
          const entry = await kv.get(bucket, key);
          return entry?.value.length ? entry : undefined;
        },
      })),
  },
  {
    id: "history-too-long",
    title: "A bucket keeps 64 values of a key, whatever it was told",
    contract: "kv",
    killedBy: ["KV-HIST-002"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        ensureBucket: (bucket, options) => kv.ensureBucket(bucket, { ...options, history: 64 }),
      })),
  },
  {
    id: "bucket-ttl-ignored",
    title: "The ttlMs of a bucket is not set",
    contract: "kv",
    killedBy: ["KV-BUCKET-007"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        ensureBucket: (bucket, options = {}) => kv.ensureBucket(bucket, without(options, "ttlMs")),
      })),
  },
  {
    id: "keys-paged-by-place",
    title: "A page of keys begins at a place, not after a key",
    contract: "kv",
    killedBy: ["KV-KEYS-007"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        keys: async (bucket, options = {}) => {
          const { after = "0", limit = 1_000, ...rest } = options;
          await kv.keys(bucket, { ...rest, limit });
          const { keys } = await kv.keys(bucket, { ...rest, limit: 10_000 });
          const end = Number(after) + limit;
          const next = end < keys.length ? String(end) : undefined;
          return { keys: keys.slice(Number(after), end), next };
        },
      })),
  },
  {
    id: "marker-missing",
    title: "A watch does not say that the initial values are over",
    contract: "kv",
    killedBy: ["KV-WATCH-001"],
    wrap: (world) =>
      onEvents(world, () => (event) => (event.type === "initialDone" ? [] : [event])),
  },
  {
    id: "marker-missing-if-empty",
    title: "A watch that has no initial values gives no marker",
    contract: "kv",
    killedBy: ["KV-WATCH-002"],
    wrap: (world) =>
      onEvents(world, () => {
        let count = 0;
        return (event) => (count++ === 0 && event.type === "initialDone" ? [] : [event]);
      }),
  },
  {
    id: "deletes-not-watched",
    title: "A watch leaves deletes out",
    contract: "kv",
    killedBy: ["KV-WATCH-001"],
    wrap: (world) => onEvents(world, () => (event) => (event.type === "delete" ? [] : [event])),
  },
  {
    id: "deletes-not-resumed",
    title: "A watch that resumes leaves out what was deleted meanwhile",
    contract: "kv",
    killedBy: ["KV-RESUME-001"],
    wrap: (world) =>
      onEvents(world, ({ afterRevision }) => {
        let isInitial = afterRevision !== undefined;
        return (event) => {
          if (event.type === "initialDone") isInitial = false;
          return isInitial && event.type === "delete" ? [] : [event];
        };
      }),
  },
  {
    id: "resume-skips-one",
    title: "A watch that resumes begins one change too late",
    contract: "kv",
    killedBy: ["KV-RESUME-001"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        watch: (bucket, options = {}) => {
          const { afterRevision } = options;
          const later = afterRevision === undefined ? {} : { afterRevision: afterRevision + 1 };
          return kv.watch(bucket, { ...options, ...later });
        },
      })),
  },
  {
    id: "resume-with-last-values-only",
    title: "A watch that resumes gives the last value of each key, not the changes before it",
    contract: "kv",
    killedBy: ["KV-RESUME-001"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        watch: (bucket, options = {}) => kv.watch(bucket, without(options, "afterRevision")),
      })),
  },
  {
    id: "watch-gap-after-initial",
    title: "Changes are watched only when the initial values have been given",
    contract: "kv",
    killedBy: ["KV-WATCH-008"],
    wrap: (world) => withTwoWatches(world),
  },
  {
    id: "watch-drops-when-slow",
    title: "A watch whose reader is slow forgets what does not fit its buffer",
    contract: "kv",
    killedBy: ["KV-WATCH-009"],
    wrap: (world) => withBoundedWatch(world, PAGE),
  },
  {
    id: "watch-of-own-writes",
    title: "A watch does not hear what other buses write",
    contract: "kv",
    killedBy: ["KV-WATCH-006"],
    wrap: withOwnWritesOnly,
  },
  {
    id: "revision-zero-is-none",
    title: "A watch after revision 0 is taken for one that does not resume",
    contract: "kv",
    killedBy: ["KV-RESUME-004"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        watch: (bucket, options = {}) =>
          kv.watch(bucket, options.afterRevision ? options : without(options, "afterRevision")),
      })),
  },
];

/** What the program sees as the revision of a key is how often the key was written. */
function withRevisionPerKey(world: World): Open {
  const counts = new Map<string, number[]>();
  return onKv(world, (kv, namespace) => {
    const past = (bucket: string, key: string): number[] => {
      const id = JSON.stringify([namespace, bucket, key]);
      const known = counts.get(id) ?? [];
      counts.set(id, known);
      return known;
    };
    const count = (bucket: string, key: string, revision: number): number =>
      past(bucket, key).push(revision);
    return {
      get: async (bucket, key) => {
        const entry = await kv.get(bucket, key);
        const revision = past(bucket, key).indexOf(entry?.revision ?? 0) + 1;
        return entry && { ...entry, revision };
      },
      put: async (bucket, key, ...rest) => count(bucket, key, await kv.put(bucket, key, ...rest)),
      create: async (bucket, key, ...rest) =>
        count(bucket, key, await kv.create(bucket, key, ...rest)),
      cas: async (bucket, key, value, expected) => {
        const real = past(bucket, key)[expected - 1] ?? expected;
        return count(bucket, key, await kv.cas(bucket, key, value, real));
      },
    };
  });
}

/** The initial values come from one watch, what follows from another that begins after them. */
function withTwoWatches(world: World): Open {
  return onKv(world, (kv) => ({
    watch: async (bucket, options = {}) => {
      const first = await kv.watch(bucket, options);
      let second: typeof first | undefined;
      const close = async (): Promise<void> => {
        await Promise.all([first.close(), second?.close()]);
      };
      const events = async function* (): AsyncGenerator<KvEvent, undefined> {
        for await (const event of first) {
          yield event;
          if (event.type === "initialDone") break;
        }
        // A bus that was closed meanwhile has no second one.
        second = await kv.watch(bucket, options).catch(() => undefined);
        if (second === undefined) return;
        let isInitial = true;
        for await (const event of second) {
          if (!isInitial) yield event;
          if (event.type === "initialDone") isInitial = false;
        }
      };
      return override(first, { close, [Symbol.asyncIterator]: events });
    },
  }));
}

/** Reads ahead into a buffer that forgets the oldest events. */
function withBoundedWatch(world: World, maxItems: number): Open {
  return onKv(world, (kv) => ({
    watch: async (bucket, options) => {
      const watch = await kv.watch(bucket, options);
      const buffer = new Mailbox<KvEvent>({ maxItems });
      const fill = async (): Promise<void> => {
        for await (const event of watch) buffer.push(event);
        buffer.end();
      };
      void fill().catch((error: unknown) => buffer.fail(error));
      const end = async (): Promise<IteratorResult<KvEvent>> => {
        await watch.close();
        return { done: true, value: undefined };
      };
      return override(watch, {
        [Symbol.asyncIterator]: () => ({ next: () => buffer.next(), return: end }),
      });
    },
  }));
}

/** After the initial values a watch has the keys that its own bus writes. */
function withOwnWritesOnly(world: World): Open {
  return onKv(world, (kv) => {
    const own = new Set<string>();
    return {
      put: (bucket, key, ...rest) => {
        own.add(`${bucket}/${key}`);
        return kv.put(bucket, key, ...rest);
      },
      watch: async (bucket, options) => {
        const watch = await kv.watch(bucket, options);
        let isInitial = true;
        const shown = (event: KvEvent): readonly KvEvent[] => {
          if (event.type === "initialDone") isInitial = false;
          else if (!isInitial && !own.has(`${bucket}/${event.key}`)) return [];
          return [event];
        };
        return override(watch, flatMap<KvEvent, typeof watch>(watch, shown));
      },
    };
  });
}
