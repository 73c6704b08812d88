import { type Bus, type BusError, openBus, type QueueStats, VirtualClock } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { Admission, type TaskAmount, type Tenant, type TenantQuotas } from "../../src/index.ts";
import { errorOf } from "../support/backends.ts";
import { counting, DEFAULT_QUOTAS, tenantWith } from "./support.ts";

const MIDNIGHT_MS = Date.UTC(2026, 10, 22);
const NOON_MS = MIDNIGHT_MS - 12 * 3_600_000;

/** A server in virtual time, with what its admissions count. */
class Shop {
  readonly clock: VirtualClock;
  readonly bus: Bus;
  /** What waits, and what of it waits for its time. */
  ready = 0;
  delayed = 0;
  leased = 0;
  stored = 0;
  readonly calls: Record<string, number> = {};

  private constructor(clock: VirtualClock, bus: Bus) {
    this.clock = clock;
    this.bus = counting(bus, this.calls);
  }

  static async open(startAtMs = NOON_MS): Promise<Shop> {
    const clock = new VirtualClock({ startAtMs });
    return new Shop(clock, await openBus({ backend: "memory", clock }));
  }

  admission(bus = this.bus): Admission {
    const { clock } = this;
    const stats = async (): Promise<QueueStats> => {
      const { ready, delayed, leased } = this;
      return { ready, delayed, leased, dead: 0, paused: false };
    };
    return new Admission({ bus, queue: "q", clock, stats, storedBytes: async () => this.stored });
  }

  /** Admits, enqueues, and tells. */
  async submit(admission: Admission, tenant: Tenant, wanted: Partial<TaskAmount> = {}) {
    const { tasks = 1, scheduled = 0, bytes = 0 } = wanted;
    const grant = await admission.admit(tenant, { tasks, scheduled, bytes });
    this.ready += tasks - scheduled;
    this.delayed += scheduled;
    this.stored += bytes;
    grant.done();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clock.autoAdvance(this.bus.close());
  }
}

/** `count` submissions, one after the other. */
async function submitMany(
  shop: Shop,
  admission: Admission,
  tenant: Tenant,
  count: number,
): Promise<void> {
  for (let index = 0; index < count; index++) await shop.submit(admission, tenant);
}

const only = (quotas: Partial<TenantQuotas>): Tenant => tenantWith(quotas);

describe("a quota", () => {
  it("S7: of 10 admits 5 and refuses 20", async () => {
    await using shop = await Shop.open();
    const admission = shop.admission();
    const tenant = only({ queued: 10 });
    const refused = await errorOf(shop.submit(admission, tenant, { tasks: 20 }));
    expect(refused).toMatchObject({ code: "LIMIT_EXCEEDED", retryable: true });
    await shop.submit(admission, tenant, { tasks: 5 });
    expect(shop.ready).toBe(5);
  });

  it("S7b: of 10 admits the tenth and refuses the eleventh, naming the limit", async () => {
    for (const limit of ["queued", "perMinute", "perDay"] as const) {
      await using shop = await Shop.open();
      const admission = shop.admission();
      const tenant = only({ [limit]: 10 });
      await submitMany(shop, admission, tenant, 10);
      const refused = await errorOf(shop.submit(admission, tenant));
      expect(refused).toMatchObject({
        code: "LIMIT_EXCEEDED",
        details: { tenant: tenant.id, limit, used: 10, allowed: 10 },
      });
      expect(refused.message).toContain(limit);
      expect(refused.message).toContain("10 of 10");
      expect(shop.ready).toBe(10);
    }
  });

  it("S7c: holds at its default value, and not one beyond", async () => {
    const cases = [
      { limit: "perDay", wanted: { tasks: 1_000 }, others: { perMinute: null } },
      { limit: "perMinute", wanted: { tasks: 1_000 }, others: { perDay: null } },
      { limit: "scheduled", wanted: { tasks: 50, scheduled: 50 }, others: {} },
      { limit: "storedBytes", wanted: { tasks: 1, bytes: 10_000_000_000 }, others: {} },
    ] as const;
    for (const { limit, wanted, others } of cases) {
      await using shop = await Shop.open();
      const admission = shop.admission();
      const tenant = tenantWith({ ...DEFAULT_QUOTAS, ...others });
      await shop.submit(admission, tenant, wanted);
      const more = { tasks: 1, scheduled: 1, bytes: 1 };
      const refused = await errorOf(shop.submit(admission, tenant, more));
      const allowed = DEFAULT_QUOTAS[limit];
      expect(refused).toMatchObject({ details: { limit, used: allowed, allowed } });
    }
  });

  it("S7d: that is null never refuses; nothing is asked, nothing is written", async () => {
    await using shop = await Shop.open();
    const admission = shop.admission();
    const tenant = only({});
    const calls = { ...shop.calls };
    for (let index = 0; index < 10; index++) {
      await shop.submit(admission, tenant, { tasks: 1e6, scheduled: 1e6, bytes: 1e12 });
    }
    expect(shop.calls).toEqual(calls);
  });

  it("S11: refuses the 1001st in the minute with when to retry, and too many bytes without", async () => {
    await using shop = await Shop.open();
    const admission = shop.admission();
    const tenant = tenantWith({ ...DEFAULT_QUOTAS, perDay: null });
    await submitMany(shop, admission, tenant, 1_000);
    const minute = (await errorOf(shop.submit(admission, tenant))) as BusError;
    expect(minute.details).toEqual({
      tenant: tenant.id,
      limit: "perMinute",
      used: 1_000,
      allowed: 1_000,
      retryAfterMs: 60,
      retryAtMs: shop.clock.now() + 60,
    });
    await shop.clock.advance(59);
    expect(await errorOf(shop.submit(admission, tenant))).toMatchObject({
      details: { retryAfterMs: 1 },
    });
    await shop.clock.advance(1);
    shop.stored = 10_000_000_000;
    const full = (await errorOf(shop.submit(admission, tenant, { bytes: 1 }))) as BusError;
    expect(full.details).toEqual({
      tenant: tenant.id,
      limit: "storedBytes",
      used: 10_000_000_000,
      allowed: 10_000_000_000,
    });
    await shop.submit(admission, tenant);
  });
});
