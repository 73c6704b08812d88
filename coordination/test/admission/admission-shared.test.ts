import { simulate, type SimProcess } from "@busbar/bus-memory";
import { type Bus, BusError, seededRandom, VirtualClock } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { Admission } from "../../src/index.ts";
import { errorOf } from "../support/backends.ts";
import { overriding } from "../support/overriding.ts";
import { ONE, only, Shop, submitMany } from "./support.ts";

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

  it("get what another gave back since they were refused, at once", async () => {
    await using shop = await Shop.open();
    const tenant = only({ perDay: 10 });
    const [a, b] = [shop.admission(), shop.admission()];
    const grant = await a.admit(tenant, { ...ONE, tasks: 10 });
    expect(await shop.clock.autoAdvance(errorOf(b.admit(tenant, ONE)))).toMatchObject({
      details: { used: 10 },
    });
    grant.done({ tasks: 0 });
    await a.close();
    // The clock stands still.
    await shop.submit(b, tenant, { tasks: 10 });
  });

  it("get no more in a moment than the bucket holds, while one stands still", async () => {
    await using shop = await Shop.open();
    const tenant = only({ perMinute: 100 });
    const clock = new VirtualClock({ startAtMs: shop.clock.now() });
    const still = shop.admission({ bus: shop.bus, clock });
    const other = shop.admission();
    await submitMany(shop, still, tenant, 12);
    const used = async (admission: Admission): Promise<number> =>
      (await admission.usage(tenant)).perMinute.used;
    const reserved = (await used(other)) - (await used(still));
    expect([await used(still), reserved]).toEqual([12, 11]);
    // 25 tokens come back where there were 23 less.
    await shop.clock.advance(15_000);
    shop.ready = 0;
    const fill = async (): Promise<void> => {
      for (;;) await shop.submit(other, tenant);
    };
    await shop.clock.autoAdvance(errorOf(fill()));
    await submitMany(shop, still, tenant, reserved);
    // One comes back while the other waits for what is reserved.
    expect(shop.ready).toBeLessThanOrEqual(101);
  });

  it("get what one that was killed had reserved after 30 s, and it does not use it any more", async () => {
    await simulate({ seed: 1, drain: false }, async (world) => {
      let waiting = 0;
      const stats = async () => ({ ready: waiting, delayed: 0, leased: 0, dead: 0, paused: false });
      const tenant = only({ queued: 100 });
      let seed = 0;
      const admissionOf = ({ bus, clock }: SimProcess): Admission => {
        const random = seededRandom((seed += 1));
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

describe("a write of unknown outcome", () => {
  /** A network that once loses the answer to a compare-and-set, or holds the request back. */
  function unreliable(shop: Shop) {
    const network: { fault?: "lostAnswer" | "late"; late?: () => Promise<unknown> } = {};
    const { kv } = shop.bus;
    const cas = async (...args: Parameters<typeof kv.cas>): Promise<number> => {
      const { fault } = network;
      if (fault === undefined) return kv.cas(...args);
      delete network.fault;
      if (fault === "lostAnswer") await kv.cas(...args);
      else network.late = () => kv.cas(...args);
      throw new BusError("TIMEOUT", "no answer");
    };
    const bus = { ...shop.bus, kv: overriding(kv, { cas }) } as Bus;
    return { network, admission: shop.admission({ bus, clock: shop.clock }) };
  }

  it("that was done takes nothing for good", async () => {
    await using shop = await Shop.open();
    const { network, admission } = unreliable(shop);
    const tenant = only({ perDay: 10 });
    network.fault = "lostAnswer";
    const error = await errorOf(admission.admit(tenant, { ...ONE, tasks: 10 }));
    expect(error).toMatchObject({ code: "TIMEOUT" });
    await submitMany(shop, admission, tenant, 10);
    expect(await errorOf(admission.admit(tenant, ONE))).toMatchObject({ details: { used: 10 } });
  });

  it("that was done and not asked for again is given back by itself", async () => {
    await using shop = await Shop.open();
    const { network, admission } = unreliable(shop);
    const tenant = only({ perDay: 10 });
    network.fault = "lostAnswer";
    await errorOf(admission.admit(tenant, { ...ONE, tasks: 10 }));
    await shop.clock.advance(6_000);
    expect((await shop.admission().usage(tenant)).perDay.used).toBe(0);
    expect(shop.clock.pendingTimers).toBe(0);
  });

  it("that gave back gives back once", async () => {
    await using shop = await Shop.open();
    const { network, admission } = unreliable(shop);
    const tenant = only({ perDay: 1_000, perMinute: 1_000 });
    await submitMany(shop, admission, tenant, 40);
    const before = (await shop.admission().usage(tenant)).perDay.used;
    expect(before).toBeGreaterThan(40);
    network.fault = "lostAnswer";
    await shop.clock.advance(20_000);
    expect((await shop.admission().usage(tenant)).perDay.used).toBe(40);
  });

  it("that arrives late does not count beside what was done instead", async () => {
    for (const next of ["submit", "wait"]) {
      await using shop = await Shop.open();
      const { network, admission } = unreliable(shop);
      const tenant = only({ perDay: 100 });
      await submitMany(shop, admission, tenant, 40);
      network.fault = "late";
      // It needs more than is reserved.
      const error = await errorOf(admission.admit(tenant, { ...ONE, tasks: 50 }));
      expect(error).toMatchObject({ code: "TIMEOUT" });
      if (next === "submit") await shop.submit(admission, tenant);
      else await shop.clock.advance(20_000);
      expect(await errorOf(network.late?.() ?? Promise.resolve())).toMatchObject({
        code: "CONFLICT",
      });
      await shop.clock.advance(1_000);
      const used = next === "submit" ? 41 : 40;
      expect((await shop.admission().usage(tenant)).perDay.used).toBe(used);
    }
  });

  it("that arrives late, after nothing, makes nobody go over", async () => {
    await using shop = await Shop.open();
    const { network, admission } = unreliable(shop);
    const tenant = only({ perDay: 10 });
    network.fault = "late";
    await errorOf(admission.admit(tenant, { ...ONE, tasks: 4 }));
    await network.late?.();
    await submitMany(shop, admission, tenant, 10);
    expect(await errorOf(admission.admit(tenant, ONE))).toMatchObject({ details: { used: 10 } });
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

  it("is no more where many wait at a time and the counts take long to ask for", async () => {
    await using shop = await Shop.open();
    const { clock } = shop;
    shop.statsTakeMs = 5;
    const admission = shop.admission();
    const tenant = only({ perDay: 1_000_000, queued: 1_000_000 });
    let left = 20_000;
    const submitter = async (): Promise<void> => {
      for (; left > 0; left--) {
        await shop.submit(admission, tenant);
        await clock.sleep(8);
      }
    };
    await clock.autoAdvance(Promise.all(Array.from({ length: 64 }, submitter)));
    expect(shop.calls["cas"]).toBeLessThan(50);
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
