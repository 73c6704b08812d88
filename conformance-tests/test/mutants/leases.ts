import { errorCode, type Lease } from "@busbar/core";
import { onKv, onLeases } from "./contracts.ts";
import type { Mutant } from "./mutant.ts";
import { override, overlooking } from "./override.ts";

/** By how much a signal that is late is late, in milliseconds. */
const LATE_MS = 1_000;

/** Mistakes with leases on keys. */
export const leases: readonly Mutant[] = [
  {
    id: "lease-granted-twice",
    title: "A lease that is held is granted to somebody else",
    contract: "lease",
    killedBy: ["LS-ACQ-002"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        lease: (bucket, key, options) =>
          overlooking("LEASE_HELD", kv.lease(bucket, key, options), () =>
            kv.lease(bucket, `${key}.twice`, options),
          ),
      })),
  },
  {
    id: "lease-granted-to-same-owner",
    title: "An owner is granted a lease that it holds",
    contract: "lease",
    killedBy: ["LS-ACQ-003"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        lease: async (bucket, key, options) => {
          try {
            return await kv.lease(bucket, key, { ...options, waitMs: 0 });
          } catch (error) {
            const isOwn = Reflect.get(details(error), "owner") === options.owner;
            return kv.lease(bucket, isOwn ? `${key}.twice` : key, options);
          }
        },
      })),
  },
  {
    id: "lease-wait-ignored",
    title: "A lease is not waited for",
    contract: "lease",
    killedBy: ["LS-REL-001"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        lease: (bucket, key, options) => kv.lease(bucket, key, { ...options, waitMs: 0 }),
      })),
  },
  {
    id: "lease-not-freed-at-release",
    title: "release() only forgets the lease: it stands until its time is over",
    contract: "lease",
    killedBy: ["LS-REL-001"],
    wrap: (world) => onLeases(world, () => ({ release: async () => undefined })),
  },
  {
    id: "lease-heartbeat-does-nothing",
    title: "heartbeat() of a lease resolves and renews nothing",
    contract: "lease",
    killedBy: ["LS-EXP-003"],
    wrap: (world) => onLeases(world, () => ({ heartbeat: async () => undefined })),
  },
  {
    id: "lease-heartbeat-after-end",
    title: "heartbeat() of a lease that is over resolves",
    contract: "lease",
    killedBy: ["LS-EXP-004"],
    wrap: (world) =>
      onLeases(world, (lease) => ({
        heartbeat: () => overlooking("LEASE_LOST", lease.heartbeat(), () => undefined),
      })),
  },
  {
    id: "lease-lost-too-late",
    title:
      "lost fires when the time of the lease is over on the server and somebody else may have it",
    contract: "lease",
    killedBy: ["LS-EXP-005"],
    wrap: (world) =>
      onLeases(world, (lease) => {
        const late = new AbortController();
        const fire = (): void => {
          world.clock.setTimer(() => late.abort(lease.lost.reason), LATE_MS);
        };
        lease.lost.addEventListener("abort", fire, { once: true });
        return { lost: late.signal };
      }),
  },
  {
    id: "lease-ends-early",
    title: "A lease stands for half of its time",
    contract: "lease",
    killedBy: ["LS-EXP-001"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        lease: (bucket, key, options) =>
          kv.lease(bucket, key, { ...options, ttlMs: Math.max(50, options.ttlMs / 2) }),
      })),
  },
  {
    id: "lease-never-ends",
    title: "A lease that nobody releases stands for ever",
    contract: "lease",
    killedBy: ["LS-EXP-001"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        lease: (bucket, key, options) => kv.lease(bucket, key, { ...options, ttlMs: 86_400_000 }),
      })),
  },
  {
    id: "fence-of-the-process",
    title: "Each bus counts fences by itself: another one's may be smaller",
    contract: "lease",
    killedBy: ["LS-FENCE-001"],
    wrap: (world) =>
      onKv(world, (kv) => {
        let fence = 0;
        return {
          lease: async (bucket, key, options) => {
            const lease = await kv.lease(bucket, key, options);
            return override(lease, { fence: ++fence });
          },
        };
      }),
  },
  {
    id: "fence-repeated-after-delete",
    title: "Fences begin again when the bucket was deleted",
    contract: "lease",
    killedBy: ["LS-FENCE-003"],
    wrap: (world) => {
      const fences = new Map<string, number>();
      return onKv(world, (kv, namespace) => ({
        lease: async (bucket, key, options) => {
          const lease: Lease = await kv.lease(bucket, key, options);
          const fence = (fences.get(`${namespace} ${bucket}`) ?? 0) + 1;
          fences.set(`${namespace} ${bucket}`, fence);
          return override(lease, { fence });
        },
        deleteBucket: (bucket) => {
          fences.delete(`${namespace} ${bucket}`);
          return kv.deleteBucket(bucket);
        },
      }));
    },
  },
  {
    id: "fence-repeated",
    title: "Who takes a lease over has the fence of the holder before",
    contract: "lease",
    killedBy: ["LS-FENCE-001"],
    wrap: (world) => onLeases(world, () => ({ fence: 1 })),
  },
  {
    id: "lease-shares-the-key",
    title: "A lease is stored as the value of its key",
    contract: "lease",
    killedBy: ["LS-ACQ-006"],
    wrap: (world) =>
      onKv(world, (kv) => ({
        lease: async (bucket, key, options) => {
          const lease = await kv.lease(bucket, key, options);
          await kv.put(bucket, key, lease.owner);
          return lease;
        },
      })),
  },
  {
    id: "lease-expiry-as-granted",
    title: "expiresAtMs of a lease does not follow its heartbeats",
    contract: "lease",
    killedBy: ["LS-EXP-003"],
    wrap: (world) => onLeases(world, ({ expiresAtMs }) => ({ expiresAtMs })),
  },
];

function details(error: unknown): object {
  if (errorCode(error) !== "LEASE_HELD") throw error;
  return Reflect.get(error as object, "details") as object;
}
