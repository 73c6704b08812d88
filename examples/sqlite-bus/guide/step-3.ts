import { type BusBackend, type KvStore, systemClock } from "@busbar/core";
import {
  checkKey,
  checkName,
  LeaseManager,
  type LeaseStore,
  resolveLeaseOptions,
} from "@busbar/core/adapter";
import { makeBus, partOf } from "./step-1.ts";
import { makeKv, type Values, valuesOf } from "./step-2.ts";

/** Who waits for a change of a lease, by key. */
const waiting = new Map<string, Set<() => void>>();

/**
 * What the lease protocol needs: compare-and-set on records of which one can say how old they are by
 * the server's own clock, and word of changes. Revisions become fences, so they must grow for ever.
 */
function leaseStore(values: Values): LeaseStore {
  const wake = (key: string): void => waiting.get(key)?.forEach((onChange) => onChange());
  return {
    async read(key) {
      const entry = values.entries.get(`leases/${key}`);
      return entry && { ...entry, ageMs: async () => systemClock.now() - entry.createdAtMs };
    },
    async write(key, value, expected) {
      const revision = values.write("leases", key, value, expected);
      wake(key);
      return revision;
    },
    async remove(key, revision) {
      if (values.entries.get(`leases/${key}`)?.revision !== revision) return;
      values.write("leases", key, undefined);
      wake(key);
    },
    async subscribe(key, onChange) {
      const all = waiting.get(key) ?? new Set();
      waiting.set(key, all.add(onChange));
      return { close: () => void all.delete(onChange) };
    },
  };
}

/** What `openBus` looks for. */
export const busBackend: BusBackend<{ readonly namespace: string }> = {
  name: "mine",
  open: async ({ namespace }) =>
    makeBus((lifecycle) => {
      // Leases have values of their own: a value and a lease of one key do not touch each other.
      const store = leaseStore(valuesOf(`${namespace} leases`));
      const leases = new LeaseManager({ store, clock: systemClock, lifecycle });
      const kv = makeKv(lifecycle, valuesOf(namespace));
      return {
        kv: partOf<KvStore>("kv", {
          ...kv,
          async lease(bucket, key, options) {
            lifecycle.checkOpen();
            checkName("bucket", bucket);
            checkKey(key);
            return leases.acquire(
              `${namespace}/${bucket}/${key}`,
              key,
              resolveLeaseOptions(options),
            );
          },
        }),
      };
    }),
};
