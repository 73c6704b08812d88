import {
  type Bus,
  type BusError,
  openBus,
  type QueueStats,
  seededRandom,
  VirtualClock,
} from "@busbar/core";
import { simulate, type SimProcess } from "@busbar/bus-memory";
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
  #seed = 0;

  private constructor(clock: VirtualClock, bus: Bus) {
    this.clock = clock;
    this.bus = counting(bus, this.calls);
  }

  static async open(startAtMs = NOON_MS): Promise<Shop> {
    const clock = new VirtualClock({ startAtMs });
    return new Shop(clock, await openBus({ backend: "memory", clock }));
  }

  admission({ bus, clock }: Pick<AdmissionParts, "bus" | "clock"> = this): Admission {
    const random = seededRandom((this.#seed += 1));
    const stats = async (): Promise<QueueStats> => {
      const { ready, delayed, leased } = this;
      return { ready, delayed, leased, dead: 0, paused: false };
    };
    const storedBytes = async (): Promise<number> => this.stored;
    return new Admission({ bus, queue: "q", clock, random, stats, storedBytes });
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

const ONE: TaskAmount = { tasks: 1, scheduled: 0, bytes: 0 };

/** A tenant with these quotas alone. */
const only = (quotas: Partial<TenantQuotas>, revision?: number): Tenant =>
  tenantWith(quotas, revision);

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

describe("the day", () => {
  it("is a calendar day of UTC: the next one begins at midnight", async () => {
    await using shop = await Shop.open(MIDNIGHT_MS - 5_000);
    const admission = shop.admission();
    const tenant = only({ perDay: 10 });
    await submitMany(shop, admission, tenant, 10);
    expect(await errorOf(shop.submit(admission, tenant))).toMatchObject({
      details: { limit: "perDay", retryAfterMs: 5_000, retryAtMs: MIDNIGHT_MS },
    });
    await shop.clock.advance(4_999);
    expect(await errorOf(shop.submit(admission, tenant))).toMatchObject({
      details: { retryAfterMs: 1 },
    });
    await shop.clock.advance(1);
    await submitMany(shop, admission, tenant, 10);
    expect(await errorOf(shop.submit(admission, tenant))).toMatchObject({
      details: { used: 10, allowed: 10, retryAfterMs: 86_400_000 },
    });
  });

  it("takes nothing from the one before, and gives nothing to the next", async () => {
    await using shop = await Shop.open(MIDNIGHT_MS - 50);
    const admission = shop.admission();
    const tenant = only({ perDay: 100 });
    // Steady enough that some is reserved for what may come.
    await submitMany(shop, admission, tenant, 20);
    const late = await admission.admit(tenant, { tasks: 30, scheduled: 0, bytes: 0 });
    await shop.clock.advance(50);
    await shop.submit(admission, tenant);
    late.done({ tasks: 0 });
    await submitMany(shop, admission, tenant, 99);
    expect(await errorOf(shop.submit(admission, tenant))).toMatchObject({
      details: { limit: "perDay", used: 100 },
    });
  });

  it("does not come back where a clock is behind", async () => {
    await using shop = await Shop.open(MIDNIGHT_MS);
    const admission = shop.admission();
    const tenant = only({ perDay: 10, perMinute: 10 });
    await submitMany(shop, admission, tenant, 10);
    const clock = new VirtualClock({ startAtMs: MIDNIGHT_MS - 90_000 });
    const behind = shop.admission({ bus: shop.bus, clock });
    await shop.clock.advance(500);
    expect(await errorOf(behind.admit(tenant, ONE))).toMatchObject({ code: "LIMIT_EXCEEDED" });
  });
});

describe("the minute", () => {
  it("is refilled evenly, up to the quota", async () => {
    await using shop = await Shop.open();
    const admission = shop.admission();
    const tenant = only({ perMinute: 10 });
    await submitMany(shop, admission, tenant, 10);
    for (let token = 0; token < 3; token++) {
      await shop.clock.advance(5_999);
      expect(await errorOf(shop.submit(admission, tenant))).toMatchObject({
        details: { retryAfterMs: 1 },
      });
      await shop.clock.advance(1);
      await shop.submit(admission, tenant);
    }
    await shop.clock.advance(3_600_000);
    await submitMany(shop, admission, tenant, 10);
    expect(await errorOf(shop.submit(admission, tenant))).toMatchObject({
      details: { used: 10, retryAfterMs: 6_000 },
    });
  });

  it("gives no time for what it never admits", async () => {
    await using shop = await Shop.open();
    const admission = shop.admission();
    const refused = await errorOf(admission.admit(only({ perMinute: 10 }), { ...ONE, tasks: 11 }));
    expect(refused).toMatchObject({ details: { used: 0, allowed: 10 } });
    expect((refused as BusError).details).not.toHaveProperty("retryAfterMs");
  });
});

describe("what waits", () => {
  it("makes room when it is taken, by whoever", async () => {
    for (const [limit, wanted, level] of [
      ["queued", {}, "ready"],
      ["scheduled", { scheduled: 1 }, "delayed"],
      ["storedBytes", { bytes: 1 }, "stored"],
    ] as const) {
      await using shop = await Shop.open();
      const admission = shop.admission();
      const tenant = only({ [limit]: 10 });
      for (let index = 0; index < 10; index++) await shop.submit(admission, tenant, wanted);
      for (let round = 0; round < 3; round++) {
        expect(await errorOf(shop.submit(admission, tenant, wanted))).toMatchObject({
          details: { limit, used: 10 },
        });
        shop[level] -= 1;
        await shop.submit(admission, tenant, wanted);
      }
    }
  });
});

describe("what was not used", () => {
  it("comes back: duplicates and failures count nowhere", async () => {
    for (const limit of ["perMinute", "perDay", "queued"] as const) {
      await using shop = await Shop.open();
      const admission = shop.admission();
      const tenant = only({ [limit]: 10 });
      const all = await admission.admit(tenant, { ...ONE, tasks: 10 });
      expect(await errorOf(shop.submit(admission, tenant))).toMatchObject({ details: { limit } });
      all.done({ tasks: 0 });
      all.done();
      const some = await admission.admit(tenant, { ...ONE, tasks: 10 });
      shop.ready = 4;
      some.done({ tasks: 4 });
      expect(() => some.done({ tasks: 11 })).toThrow(RangeError);
      await submitMany(shop, admission, tenant, 6);
      expect(await errorOf(shop.submit(admission, tenant))).toMatchObject({ details: { limit } });
    }
  });

  it("stays taken for a while where it is not known", async () => {
    await using shop = await Shop.open();
    const admission = shop.admission();
    const tenant = only({ queued: 10, perDay: 20 });
    const unsure = await admission.admit(tenant, { ...ONE, tasks: 10 });
    unsure.unsure();
    await shop.clock.advance(14_000);
    expect(await errorOf(shop.submit(admission, tenant))).toMatchObject({
      details: { limit: "queued", used: 10 },
    });
    await shop.clock.advance(2_000);
    await submitMany(shop, admission, tenant, 10);
    shop.ready = 0;
    expect(await errorOf(shop.submit(admission, tenant))).toMatchObject({
      details: { limit: "perDay", used: 20 },
    });
  });
});

describe("several processes", () => {
  it("share a quota to the last task, one after the other", async () => {
    for (const limit of ["perMinute", "perDay", "queued"] as const) {
      await using shop = await Shop.open();
      const [a, b] = [shop.admission(), shop.admission()];
      const tenant = only({ [limit]: 100 });
      await submitMany(shop, a, tenant, 50);
      await shop.clock.autoAdvance(submitMany(shop, b, tenant, 50));
      for (const admission of [a, b]) {
        const refused = await shop.clock.autoAdvance(errorOf(shop.submit(admission, tenant)));
        expect(refused).toMatchObject({ details: { limit, allowed: 100 } });
      }
      expect(shop.ready).toBe(100);
    }
  });

  it("give back what they do not use, after a moment and when they close", async () => {
    await using shop = await Shop.open();
    const tenant = only({ perDay: 1_000 });
    const [a, b] = [shop.admission(), shop.admission()];
    await submitMany(shop, a, tenant, 40);
    expect((await b.usage(tenant)).perDay.used).toBeGreaterThan(40);
    expect((await a.usage(tenant)).perDay.used).toBe(40);
    await shop.clock.advance(200);
    expect((await b.usage(tenant)).perDay.used).toBe(40);
    await submitMany(shop, a, tenant, 40);
    await a.close();
    expect((await b.usage(tenant)).perDay.used).toBe(80);
    expect(shop.clock.pendingTimers).toBe(0);
    expect(await errorOf(a.admit(tenant, ONE))).toMatchObject({ code: "CLOSED" });
  });

  it("get what one that was killed had reserved after 30 s, and it does not use it any more", async () => {
    await simulate({ seed: 1, drain: false }, async (world) => {
      let waiting = 0;
      const stats = async () => ({ ready: waiting, delayed: 0, leased: 0, dead: 0, paused: false });
      const tenant = only({ queued: 100 });
      const admissionOf = ({ bus, clock, name }: SimProcess): Admission => {
        const random = seededRandom(name.length);
        return new Admission({ bus, queue: "q", clock, random, stats, storedBytes: async () => 0 });
      };
      const submit = async (admission: Admission): Promise<void> => {
        const grant = await admission.admit(tenant, ONE);
        waiting += 1;
        grant.done();
      };
      const [still, other] = [world.process("still"), world.process("other")];
      const [a, b] = [admissionOf(still), admissionOf(other)];
      for (let index = 0; index < 40; index++) await submit(a);
      still.pause();
      await submit(b);
      const fill = async (): Promise<number> => {
        for (;;) {
          try {
            await submit(b);
          } catch {
            return waiting;
          }
        }
      };
      const before = await fill();
      expect(before).toBeGreaterThan(80);
      expect(before).toBeLessThan(100);
      await world.sleep(31_000);
      expect(await fill()).toBe(100);
      still.resume();
      expect(await errorOf(submit(a))).toMatchObject({ details: { limit: "queued", used: 100 } });
    });
  });
});

describe("the usage", () => {
  it("can be read at any time, also of a suspended tenant", async () => {
    await using shop = await Shop.open();
    const admission = shop.admission();
    const quotas = { ...DEFAULT_QUOTAS, queued: 500 };
    const tenant = tenantWith(quotas);
    await submitMany(shop, admission, tenant, 30);
    await shop.submit(admission, tenant, { tasks: 5, scheduled: 5, bytes: 1_234 });
    shop.leased = 3;
    const usage = {
      running: { used: 3, allowed: 10 },
      perMinute: { used: 35, allowed: 1_000 },
      perDay: { used: 35, allowed: 1_000 },
      queued: { used: 35, allowed: 500 },
      scheduled: { used: 5, allowed: 50 },
      storedBytes: { used: 1_234, allowed: 10_000_000_000 },
    };
    const suspended = { ...tenant, status: "suspended", revision: 2 } as const;
    expect(await admission.usage(suspended)).toEqual(usage);
    await shop.clock.advance(60_000);
    expect(await admission.usage(suspended)).toEqual({
      ...usage,
      perMinute: { used: 0, allowed: 1_000 },
    });
    await shop.clock.advance(86_400_000);
    expect((await admission.usage(suspended)).perDay).toEqual({ used: 0, allowed: 1_000 });
  });

  it("is there for a tenant that never submitted, and for one without quotas", async () => {
    await using shop = await Shop.open();
    const nothing = { used: 0, allowed: null };
    expect(await shop.admission().usage(only({}))).toEqual({
      running: nothing,
      perMinute: nothing,
      perDay: nothing,
      queued: nothing,
      scheduled: nothing,
      storedBytes: nothing,
    });
  });

  it("is gone with its tenant", async () => {
    await using shop = await Shop.open();
    const admission = shop.admission();
    const tenant = only({ perDay: 10 });
    await submitMany(shop, admission, tenant, 10);
    await shop.clock.advance(1_000);
    await admission.clean(tenant);
    await admission.clean(tenant);
    expect((await admission.usage(tenant)).perDay.used).toBe(0);
    expect((await shop.bus.kv.keys("task-usage")).keys).toEqual([]);
  });
});

describe("a changed quota", () => {
  it("holds at once in the process that knows of it", async () => {
    await using shop = await Shop.open();
    const admission = shop.admission();
    await submitMany(shop, admission, only({ perDay: 1_000 }), 50);
    const fewer = only({ perDay: 40 }, 2);
    expect(await errorOf(shop.submit(admission, fewer))).toMatchObject({
      details: { limit: "perDay", used: 50, allowed: 40 },
    });
    await shop.submit(admission, only({ perDay: 51 }, 3));
    expect(await errorOf(shop.submit(admission, only({ perDay: 51 }, 3)))).toMatchObject({
      details: { used: 51 },
    });
  });
});

describe("the cost", () => {
  it("is far less than a write a submission at thousands a second", async () => {
    await using shop = await Shop.open();
    const admission = shop.admission();
    const tenant = only({ perMinute: 1_000_000, perDay: 1_000_000, queued: 1_000_000 });
    for (let index = 0; index < 20_000; index++) {
      await shop.submit(admission, tenant);
      if (index % 4 === 0) await shop.clock.advance(1);
    }
    console.log(`20,000 submissions at 4,000 a second: ${JSON.stringify(shop.calls)}`);
    expect(shop.calls["cas"]).toBeLessThan(50);
    expect(shop.calls["get"]).toBeLessThan(50);
  });

  it("is one write for all that come together", async () => {
    await using shop = await Shop.open();
    const admission = shop.admission();
    const tenant = only({ perDay: 1_000 });
    await Promise.all(Array.from({ length: 500 }, () => shop.submit(admission, tenant)));
    expect(shop.calls["cas"]).toBeLessThanOrEqual(3);
  });

  it("is nothing when nobody submits, and no timer stays", async () => {
    await using shop = await Shop.open();
    const before = shop.clock.pendingTimers;
    const admission = shop.admission();
    await submitMany(shop, admission, only({ perDay: 1_000, queued: 100 }), 50);
    await shop.clock.advance(1_000);
    const calls = { ...shop.calls };
    await shop.clock.advance(3_600_000);
    expect(shop.calls).toEqual(calls);
    expect(shop.clock.pendingTimers).toBe(before);
  });
});
