import { type Bus, errorCode, type Lease } from "@busbar/core";
import { checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { inWaves, lateness, range } from "../jobs/timing.ts";
import { putKeys } from "../kv/helpers.ts";
import { acquire, BUCKET, checkFencesGrow, checkFree, KEY, LONG_MS } from "./helpers.ts";

const TTL_MS = 150;

/** Fences grow for ever, and one at a time holds the lease. */
export const fenceCases: readonly ConformanceCase[] = [
  {
    id: "LS-FENCE-001",
    title: "The fence grows over release, expiry and takeover, on any bus, not over heartbeats",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const fences: number[] = [];
      for (const round of range(4)) {
        const one = round % 2 === 0 ? bus : other;
        const released = await acquire(one, LONG_MS);
        fences.push(released.fence);
        await released.heartbeat();
        checkEqual(released.fence, fences.at(-1), "the fence after a heartbeat");
        await released.release();
        const lapses = await acquire(one, TTL_MS);
        fences.push(lapses.fence);
        const taken = await acquire(other, LONG_MS, { waitMs: LONG_MS });
        fences.push(taken.fence);
        await taken.release();
      }
      checkFencesGrow(fences, "fences");
    },
  },
  {
    id: "LS-FENCE-002",
    title: "A bus that is closed gives its leases back, and the next fence is greater",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const lease = await acquire(other, LONG_MS);
      const lapsed = await other.kv.lease(BUCKET, "lapsed", { ttlMs: 50 });
      await context.clock.sleep(50 + lateness(context));
      await other.close({ drainMs: 0 });
      const next = await acquire(bus, LONG_MS);
      checkFencesGrow([lease.fence, next.fence], "fences");
      const after = await bus.kv.lease(BUCKET, "lapsed", { ttlMs: LONG_MS });
      checkFencesGrow([lapsed.fence, after.fence], "fences of the lapsed one");
    },
  },
  {
    id: "LS-FENCE-003",
    title: "The fence grows also when the value is deleted, and the bucket, and made again",
    contract: "lease",
    level: "L1",
    async run({ bus }) {
      await putKeys(bus, [KEY, "a", "b", "c"], BUCKET);
      const fences: number[] = [];
      for (const _round of range(5)) fences.push(await checkFree(bus));
      await bus.kv.delete(BUCKET, KEY);
      fences.push(await checkFree(bus));
      checkEqual(await bus.kv.deleteBucket(BUCKET), true, "deleteBucket");
      fences.push(await checkFree(bus));
      await bus.kv.ensureBucket(BUCKET);
      fences.push(await checkFree(bus));
      checkFencesGrow(fences, "fences");
    },
  },
  {
    id: "LS-FENCE-004",
    title: "Ten racing contenders on two buses hold it one at a time, each with a fence of its own",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const record = new Record();
      const contend = async (index: number): Promise<void> => {
        for (const _round of range(3)) {
          const lease = await acquire(buses[index % 2] as Bus, LONG_MS, { waitMs: LONG_MS });
          record.granted(lease);
          await context.clock.sleep(1);
          record.releasing(lease);
          await lease.release();
        }
      };
      await Promise.all(range(10).map(contend));
      record.check(30);
    },
  },
  {
    id: "LS-FENCE-005",
    title: "Never two valid holders, also if some forget their lease and some come back late",
    contract: "lease",
    level: "L3",
    async run(context) {
      const { bus, random, clock } = context;
      const buses = [bus, await context.open()];
      const record = new Record();
      const contend = async (index: number): Promise<void> => {
        for (const _round of range(2)) {
          const lease = await acquire(buses[index % 2] as Bus, TTL_MS, { waitMs: LONG_MS });
          record.granted(lease);
          const chance = random.next();
          if (chance < 0.3) {
            // Forgets it: it ends by itself.
            await clock.sleep(2 * TTL_MS);
            await lease.heartbeat().catch(() => undefined);
          } else {
            await clock.sleep(chance * 20);
            // A heartbeat that does not come through is a lease that is lost.
            if (chance < 0.6) await lease.heartbeat().catch(() => undefined);
          }
          record.releasing(lease);
          await lease.release();
        }
      };
      await Promise.all(range(8).map(contend));
      record.check(16);
    },
  },
  {
    id: "LS-FENCE-006",
    title: "Leases on many keys at once are all granted, each to one",
    contract: "lease",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const grants = new Map<string, number>();
      await inWaves(400, 40, async (index) => {
        const key = `job.${index % 200}`;
        const one = buses[index % 2] as Bus;
        try {
          await one.kv.lease(BUCKET, key, { ttlMs: LONG_MS });
          grants.set(key, (grants.get(key) ?? 0) + 1);
        } catch (error) {
          checkEqual(errorCode(error), "LEASE_HELD", "the code of the refusal");
        }
      });
      checkEqual(grants.size, 200, "keys with a holder");
      checkEqual(
        [...grants].filter(([, count]) => count !== 1),
        [],
        "keys with several holders",
      );
    },
  },
];

/** Who holds the lease, as the holders see it. */
class Record {
  readonly #fences: number[] = [];
  readonly #holding = new Set<Lease>();
  readonly #overlaps: string[] = [];

  /** Notes a grant. Whoever held it has to know that it is over. */
  granted(lease: Lease): void {
    for (const other of this.#holding) {
      if (!other.lost.aborted) this.#overlaps.push(`${other.fence} and ${lease.fence}`);
    }
    this.#holding.add(lease);
    this.#fences.push(lease.fence);
  }

  /** Notes that a holder stops. */
  releasing(lease: Lease): void {
    this.#holding.delete(lease);
  }

  /** Fails if there were ever two, if a fence was given twice, or if grants are missing. */
  check(grants: number): void {
    checkEqual(this.#overlaps, [], "fences of leases that were valid at the same time");
    checkEqual(this.#fences.length, grants, "grants");
    checkFencesGrow(this.#fences, "fences in the order of the grants");
  }
}
