import { afterEach, describe, expect, it } from "vitest";
import {
  Schedules,
  TaskQueue,
  TenantDirectory,
  type TenantQuotas,
  TenantRegistry,
} from "../../src/index.ts";
import { errorOf, newNamespace, onEachBackend } from "../support/backends.ts";
import { overriding } from "../support/overriding.ts";
import { submittedIn } from "./support.ts";

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const HOUR_MS = 3_600_000;
const task = { type: "report", payload: "daily" };

/** Ticks until the end of the test. */
function run(schedules: Schedules): void {
  const ending = new AbortController();
  const ended = schedules.run({ signal: ending.signal });
  cleanups.push(() => {
    ending.abort();
    return ended;
  });
}

await onEachBackend((openOn) => {
  async function onServer(quotas: Partial<TenantQuotas> = {}) {
    const bus = await openOn(newNamespace());
    const cleaners: Schedules[] = [];
    const registry = new TenantRegistry(bus, { cleaners });
    for (const id of ["a", "b"]) await registry.register({ id, name: id, quotas });
    const tenants = await TenantDirectory.open(registry);
    cleanups.push(() => tenants.close());
    const queue = new TaskQueue({ bus, queue: "q", tenants });
    const schedules = new Schedules({ bus, queue, tenants });
    cleaners.push(schedules);
    const put = (tenant: string, id: string) =>
      schedules.put({ tenant, id, task, times: { everyMs: HOUR_MS } });
    return { bus, registry, tenants, queue, schedules, put };
  }

  describe("schedules", () => {
    it("are kept, listed in pages, and apart from those of others", async () => {
      const { schedules, put } = await onServer();
      const made = await schedules.put({
        tenant: "a",
        id: "s0",
        task: { ...task, payload: new Uint8Array([1, 2]), backoff: { firstMs: 5 } },
        times: { cron: "0 0 * * *", timeZone: "Europe/Berlin" },
        catchUp: "all",
        graceMs: 5,
        untilMs: 4_000_000_000_000,
        maxTicks: 7,
      });
      expect(made).toMatchObject({ paused: false, ticks: 0, catchUp: "all", graceMs: 5 });
      expect(made.task.payload).toEqual(new Uint8Array([1, 2]));
      expect(await schedules.get({ tenant: "a", id: "s0" })).toEqual(made);
      expect(await schedules.get({ tenant: "b", id: "s0" })).toBeUndefined();
      for (const id of ["s1", "s2", "s3"]) await put("a", id);
      await put("b", "s9");
      const first = await schedules.list({ tenant: "a", limit: 3 });
      expect(first.schedules.map(({ id }) => id)).toEqual(["s0", "s1", "s2"]);
      const { schedules: rest, next } = await schedules.list({ tenant: "a", after: first.next });
      expect([rest.map(({ id }) => id), next]).toEqual([["s3"], undefined]);
    });

    it("are refused where they make no sense", async () => {
      const { schedules, registry, put } = await onServer();
      for (const id of ["", "a.b", "a.*", ">", "é", "x".repeat(65), "-a"]) {
        expect(await errorOf(put("a", id)), id).toMatchObject({ code: "INVALID_ARGUMENT" });
      }
      const wrong = (input: object) =>
        errorOf(schedules.put({ tenant: "a", id: "s", task, times: { everyMs: 5_000 }, ...input }));
      for (const input of [
        { times: { cron: "* * *" } },
        { times: { everyMs: 999 } },
        { times: {} },
        { catchUp: "some" },
        { graceMs: -1 },
        { maxTicks: 0 },
        { extra: 1 },
        { task: { type: "no spaces" } },
        { task: { ...task, priority: "urgent" } },
        { task: { ...task, delayMs: 5 } },
      ]) {
        expect(await wrong(input), JSON.stringify(input)).toMatchObject({
          code: "INVALID_ARGUMENT",
        });
      }
      expect(await errorOf(put("nobody", "s"))).toMatchObject({ code: "NOT_FOUND" });
      await registry.suspend("b");
      await expect
        .poll(async () => (await put("b", "s").catch((error: unknown) => error)) as object)
        .toMatchObject({ code: "PERMISSION_DENIED", details: { status: "suspended" } });
    });

    it("are no more than the quota allows, also if many are put at once", async () => {
      const { schedules, put } = await onServer({ scheduled: 5 });
      const ids = Array.from({ length: 12 }, (_, index) => `s${index}`);
      const results = await Promise.allSettled(ids.map((id) => put("a", id)));
      const refused = results.filter(({ status }) => status === "rejected");
      expect(refused).toHaveLength(7);
      for (const { reason } of refused as PromiseRejectedResult[]) {
        expect(reason).toMatchObject({
          code: "LIMIT_EXCEEDED",
          details: { tenant: "a", limit: "scheduled", used: 5, allowed: 5 },
        });
      }
      const { schedules: made } = await schedules.list({ tenant: "a" });
      expect(made).toHaveLength(5);
      // Who is there already may be changed, and makes room when it is deleted.
      const [first] = made;
      await put("a", first?.id ?? "");
      await schedules.delete({ tenant: "a", id: first?.id ?? "" });
      await put("a", "another");
      expect(await errorOf(put("a", "one-too-many"))).toMatchObject({ code: "LIMIT_EXCEEDED" });
      await put("b", "s");
    });

    it("count while they are made, and no more once they are deleted", async () => {
      const { bus, tenants, queue, schedules, put } = await onServer({ scheduled: 1 });
      let go = (): void => undefined;
      const gone = new Promise<void>((resolve) => {
        go = resolve;
      });
      // A network that holds the write of a schedule back.
      let isHeld = false;
      const kv = overriding(bus.kv, {
        cas: async (bucket, ...rest) => {
          isHeld ||= bucket === "schedules";
          if (bucket === "schedules") await gone;
          return bus.kv.cas(bucket, ...rest);
        },
      });
      const slow = new Schedules({ bus: overriding(bus, { kv }), queue, tenants });
      const making = slow.put({ tenant: "a", id: "slow", task, times: { everyMs: HOUR_MS } });
      await expect.poll(() => isHeld).toBe(true);
      expect(await errorOf(put("a", "quick"))).toMatchObject({ details: { used: 1, allowed: 1 } });
      go();
      await making;
      expect(await errorOf(put("a", "quick"))).toMatchObject({ details: { used: 1, allowed: 1 } });
      await schedules.delete({ tenant: "a", id: "slow" });
      await put("a", "quick");
    });

    it("go with their tenant", async () => {
      const { bus, registry, schedules, put } = await onServer();
      await put("a", "s");
      await put("b", "s");
      await registry.delete("a");
      expect((await bus.kv.keys("schedules")).keys).toHaveLength(1);
      expect(await schedules.get({ tenant: "b", id: "s" })).toBeDefined();
      expect((await bus.kv.keys("schedule-gates")).keys).toHaveLength(1);
    });

    it("tick", async () => {
      const { bus, registry, tenants, queue, schedules } = await onServer();
      run(schedules);
      run(new Schedules({ bus, queue, tenants }));
      const startAtMs = Date.now();
      const times = { everyMs: 1_000, startAtMs };
      await schedules.put({ tenant: "a", id: "s", task, times, maxTicks: 3, catchUp: "all" });
      await expect
        .poll(async () => (await schedules.get({ tenant: "a", id: "s" }))?.ticks, {
          timeout: 9_000,
        })
        .toBe(3);
      const ticks = await submittedIn(bus, registry);
      expect(ticks).toHaveLength(3);
      expect(ticks.map((ms) => ms - (ticks[0] ?? 0))).toEqual([0, 1_000, 2_000]);
    });
  });
});
