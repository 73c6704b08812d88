import { type BusError, VirtualClock } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { errorOf } from "../support/backends.ts";
import { DEFAULT_QUOTAS, MIDNIGHT_MS, ONE, only, Shop, submitMany, tenantWith } from "./support.ts";

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

  it("gives nothing to the next of what another process has reserved", async () => {
    await using shop = await Shop.open(MIDNIGHT_MS - 50);
    const [a, b] = [shop.admission(), shop.admission()];
    const tenant = only({ perDay: 100 });
    await submitMany(shop, a, tenant, 20);
    await shop.clock.advance(60);
    await submitMany(shop, b, tenant, 100);
    await shop.clock.advance(1_000);
    expect((await b.usage(tenant)).perDay.used).toBe(100);
  });

  it("and the minute do not come back where a clock is behind", async () => {
    for (const limit of ["perDay", "perMinute"] as const) {
      await using shop = await Shop.open(MIDNIGHT_MS);
      const tenant = only({ [limit]: 10 });
      await submitMany(shop, shop.admission(), tenant, 5);
      await shop.clock.advance(500);
      const clock = new VirtualClock({ startAtMs: MIDNIGHT_MS - 20_000 });
      const behind = shop.admission({ bus: shop.bus, clock });
      await submitMany(shop, behind, tenant, 5);
      expect(await errorOf(shop.submit(behind, tenant))).toMatchObject({
        details: { limit, used: 10 },
      });
    }
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

  it("holds also if it comes while more is being reserved", async () => {
    await using shop = await Shop.open();
    const admission = shop.admission();
    const before = only({ perDay: 1_000, queued: 1_000 });
    await submitMany(shop, admission, before, 50);
    shop.statsTakeMs = 5;
    const many = shop.submit(admission, before, { tasks: 100 });
    const one = errorOf(shop.submit(admission, only({ perDay: 60 }, 2)));
    await shop.clock.autoAdvance(many);
    expect(await shop.clock.autoAdvance(one)).toMatchObject({
      details: { limit: "perDay", used: 150, allowed: 60 },
    });
  });
});
