import {
  type Bus,
  BusError,
  type BucketDefinition,
  type Clock,
  defineBucket,
  type Random,
  type TypedBucket,
  type TypedEntry,
  typedBus,
} from "@busbar/core";
import { z } from "zod";
import { changeEntry } from "../change-entry.ts";
import { keyPages } from "../key-pages.ts";
import type { Tenant } from "../tenants/tenant.ts";
import { scheduleBucket } from "./schedule-record.ts";

/** Schedules of a tenant that are about to be made, by key, and since when. */
type Promised = Readonly<Record<string, number>>;

const promised: z.ZodType<Promised, unknown> = z.record(z.string(), z.int().min(0));
const gateBucket: BucketDefinition<typeof promised> = defineBucket({
  bucket: "schedule-gates",
  schema: promised,
});

/** What was promised to somebody who then died counts for so long. */
const PROMISE_MS = 60_000;

/**
 * Holds a tenant to its quota of schedules, over all queues. What counts are the keys that are there and
 * those that are promised. A promise is written before its key, by compare-and-set, and the keys are
 * listed after the promises were read: of many who ask at once, no more are let through than fit.
 */
export class ScheduleQuota {
  readonly #schedules: TypedBucket<(typeof scheduleBucket)["schema"]>;
  readonly #gates: TypedBucket<typeof promised>;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(bus: Bus, clock: Clock, random: Random) {
    this.#schedules = typedBus(bus).bucket(scheduleBucket);
    this.#gates = typedBus(bus).bucket(gateBucket);
    this.#clock = clock;
    this.#random = random;
  }

  /** Promises a key that is to be made within a minute. @throws BusError `LIMIT_EXCEEDED` */
  async promise(tenant: Tenant, key: string): Promise<void> {
    const allowed = tenant.quotas.scheduled;
    if (allowed === null) return;
    const promise = async (entry: TypedEntry<Promised> | undefined): Promise<Promised> => {
      const keys = new Set(await this.keys(`*.${tenant.storageId}.*`));
      const nowMs = this.#clock.now();
      const open = Object.entries(entry?.value ?? {}).filter(
        ([name, sinceMs]) => !keys.has(name) && nowMs - sinceMs < PROMISE_MS,
      );
      const used = new Set([...keys, ...open.map(([name]) => name)]);
      used.delete(key);
      if (used.size >= allowed) throw tooMany(tenant.id, used.size, allowed);
      return { ...Object.fromEntries(open), [key]: nowMs };
    };
    const time = { clock: this.#clock, random: this.#random };
    await changeEntry(this.#gates, tenant.storageId, promise, time);
  }

  /** The key is gone. */
  async free(tenant: Tenant, key: string): Promise<void> {
    await changeEntry(
      this.#gates,
      tenant.storageId,
      (entry) => {
        if (entry?.value[key] === undefined) return undefined;
        const { [key]: _, ...others } = entry.value;
        return others;
      },
      { clock: this.#clock, random: this.#random },
    );
  }

  /** Forgets a tenant. */
  async clean(tenant: Tenant): Promise<void> {
    await this.#gates.delete(tenant.storageId);
  }

  /** All keys of schedules that fit a pattern. */
  async keys(pattern: string): Promise<string[]> {
    const found: string[] = [];
    for await (const keys of keyPages(this.#schedules, pattern)) found.push(...keys);
    return found;
  }
}

function tooMany(tenant: string, used: number, allowed: number): BusError {
  return new BusError(
    "LIMIT_EXCEEDED",
    `tenant ${tenant} has ${used} schedules and may have ${allowed}: delete one, or raise quotas.scheduled`,
    { details: { tenant, limit: "scheduled", used, allowed } },
  );
}
