import type { BusError } from "@busbar/core";
import { afterEach, describe, expect, it } from "vitest";
import { type QuotaName, TaskQueue, TenantDirectory, TenantRegistry } from "../../src/index.ts";
import { errorOf, newNamespace, onEachBackend } from "../support/backends.ts";
import { setUpTasks, UNLIMITED } from "../support/task-setup.ts";

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const one = { tenant: "a", type: "work", keepResult: false };
const several = (count: number) => Array.from({ length: count }, () => one);

/** The four limits of a submission, with their defaults; what is stored is a smaller one. */
const LIMITS: readonly { readonly limit: QuotaName; readonly allowed: number }[] = [
  { limit: "perDay", allowed: 1_000 },
  { limit: "perMinute", allowed: 1_000 },
  { limit: "scheduled", allowed: 50 },
  { limit: "storedBytes", allowed: 100_000 },
];

await onEachBackend((open) => {
  /** A tenant `a` with the defaults. */
  async function withDefaults() {
    const bus = await open(newNamespace());
    const registry = new TenantRegistry(bus);
    const { quotas } = await registry.register({ id: "a", name: "a" });
    const tenants = await TenantDirectory.open(registry);
    cleanups.push(() => tenants.close());
    const tasks = new TaskQueue({ bus, queue: "q", tenants });
    cleanups.push(() => tasks.close());
    return { bus, quotas, tenants, tasks };
  }

  describe("a quota", () => {
    // What may run at once refuses nothing: tasks over it wait for their turn.
    for (const { id, submitted, runs } of [
      { id: "S7", submitted: 5, runs: 5 },
      { id: "S7", submitted: 20, runs: 10 },
      { id: "S7b", submitted: 10, runs: 10 },
      { id: "S7b", submitted: 11, runs: 10 },
    ]) {
      it(`${id}: of ${submitted} tasks lets ${runs} run at once where 10 may`, async () => {
        const quotas = { running: 10 };
        const setup = await setUpTasks(open, cleanups, [{ id: "a", name: "a", quotas }]);
        const { pool, tasks } = setup;
        const handles = await tasks.submitMany(several(submitted));
        let most = 0;
        let go = (): void => undefined;
        const gate = new Promise<void>((resolve) => {
          go = resolve;
        });
        const workers = pool(
          async () => {
            most = Math.max(most, workers.running);
            await gate;
          },
          { concurrency: 30 },
        );
        await workers.start();
        await expect.poll(() => workers.running, { timeout: 5_000 }).toBe(runs);
        const { ready, leased } = await tasks.stats("a");
        expect([ready, leased]).toEqual([submitted - runs, runs]);
        if (submitted > runs) {
          const { obstacles } = await tasks.explain(handles.at(-1)?.id as string);
          expect(obstacles).toContainEqual({ type: "runningQuota", running: 10, allowed: 10 });
        }
        go();
        await expect.poll(() => workers.counters.done, { timeout: 10_000 }).toBe(submitted);
        expect(most).toBe(runs);
      });
    }

    for (const { limit, allowed } of LIMITS) {
      it(`S7c: ${limit} admits ${allowed}, and not one more`, async () => {
        const quotas = { ...UNLIMITED, [limit]: allowed };
        const setup = await setUpTasks(open, cleanups, [{ id: "a", name: "a", quotas }]);
        const { tasks } = setup;
        const inputs = {
          perDay: several(allowed),
          perMinute: several(allowed),
          scheduled: several(allowed).map((input) => ({ ...input, delayMs: 60_000 })),
          storedBytes: [{ ...one, payload: "x".repeat(allowed * 0.6) }],
          queued: [],
        }[limit];
        await tasks.submitMany(inputs);
        const more = { scheduled: { ...one, delayMs: 60_000 } }[limit as string] ?? {
          ...one,
          payload: limit === "storedBytes" ? "x".repeat(allowed * 0.6) : "",
        };
        const refused = (await errorOf(tasks.submit(more))) as BusError;
        expect(refused).toMatchObject({
          code: "LIMIT_EXCEEDED",
          details: { tenant: "a", limit, allowed },
        });
        const { ready, delayed } = await tasks.stats("a");
        expect(ready + delayed).toBe(inputs.length);
      });
    }

    it("S7c: has these values where nothing is said", async () => {
      expect((await withDefaults()).quotas).toMatchObject({
        running: 10,
        perDay: 1_000,
        perMinute: 1_000,
        scheduled: 50,
        storedBytes: 10_000_000_000,
      });
    });

    it("S7d: that is null refuses nothing", async () => {
      const { tasks } = await setUpTasks(open, cleanups);
      await tasks.submitMany(several(1_001));
      await tasks.submitMany(several(51).map((input) => ({ ...input, delayMs: 60_000 })));
      expect(await tasks.stats("a")).toMatchObject({ ready: 1_001, delayed: 51 });
    });

    it("S11: refuses the 1,001st in a minute and says when it may come again", async () => {
      const quotas = { perMinute: 1_000 };
      const { tasks } = await setUpTasks(open, cleanups, [{ id: "a", name: "a", quotas }]);
      await tasks.submitMany(several(1_000));
      // Others have come back meanwhile, sixteen a second.
      const { details } = (await errorOf(tasks.submitMany(several(900)))) as BusError;
      expect(details).toMatchObject({ limit: "perMinute", allowed: 1_000 });
      expect(details?.["retryAfterMs"]).toBeGreaterThan(0);
      expect(details?.["retryAfterMs"]).toBeLessThanOrEqual(60_000);
    });

    it("S11: refuses what is too much to store; no time helps there", async () => {
      const quotas = { storedBytes: 10_000 };
      const { tasks } = await setUpTasks(open, cleanups, [{ id: "a", name: "a", quotas }]);
      const refused = await errorOf(tasks.submit({ ...one, payload: "x".repeat(10_001) }));
      const { code, details } = refused as BusError;
      expect(code).toBe("LIMIT_EXCEEDED");
      expect(details).toMatchObject({ limit: "storedBytes", allowed: 10_000 });
      expect(details).not.toHaveProperty("retryAfterMs");
    });
  });
});
