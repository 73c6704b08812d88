import { afterEach, describe, expect, it } from "vitest";
import { TenantRegistry } from "../../src/index.ts";
import { errorOf, newNamespace, onEachBackend } from "../support/backends.ts";
import { setUpTasks } from "../support/task-setup.ts";

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const PLACE = { storageBucket: "test-bucket", storagePrefix: "tenant-1/db" };

// Rows of kyu-coord (K) and of Shiioo (S) that say the same of the registry stand side by side. S13 to S15
// are about what a tenant stores: see the tests of views in coordination/test/tenants.
await onEachBackend((open) => {
  async function withRegistry(): Promise<TenantRegistry> {
    return new TenantRegistry(await open(newNamespace()));
  }

  describe("the tenant registry", () => {
    it("K8: gives the places that were registered", async () => {
      const registry = await withRegistry();
      await registry.register({ id: "tenant-1", name: "one", resources: PLACE });
      expect((await registry.get("tenant-1"))?.resources).toMatchObject(PLACE);
      expect(await registry.has("tenant-1")).toBe(true);
    });

    it("S1: gives the id and the name that were registered", async () => {
      const registry = await withRegistry();
      await registry.register({ id: "test_tenant", name: "Test Tenant" });
      const found = await registry.get("test_tenant");
      expect(found).toMatchObject({ id: "test_tenant", name: "Test Tenant" });
    });

    it("K9, S2: refuses a second one of the same id, and keeps the first", async () => {
      const registry = await withRegistry();
      const first = await registry.register({ id: "a", name: "first" });
      const again = await errorOf(registry.register({ id: "a", name: "second" }));
      expect(again).toMatchObject({ code: "CONFLICT", details: { tenant: "a" } });
      expect(await registry.get("a")).toEqual(first);
      expect(await registry.count()).toBe(1);
    });

    it("S3: renames, and says when", async () => {
      let nowMs = 1_000;
      const clock = { now: () => nowMs } as never;
      const registry = new TenantRegistry(await open(newNamespace()), { clock });
      const before = await registry.register({ id: "a", name: "Name" });
      nowMs = 2_000;
      await registry.update("a", { name: "Updated Name" });
      const after = await registry.get("a");
      expect(after?.name).toBe("Updated Name");
      expect(after?.updatedAtMs).toBeGreaterThan(before.updatedAtMs);
    });

    it("K10, S4: a deleted one is not there any more; one that never was is nothing", async () => {
      const registry = await withRegistry();
      const made = await registry.register({ id: "a", name: "a", resources: PLACE });
      expect(await registry.delete("a")).toMatchObject({ id: "a", resources: made.resources });
      expect(await registry.has("a")).toBe(false);
      expect(await registry.get("a")).toBeUndefined();
      expect(await registry.count()).toBe(0);
      expect(await registry.delete("a")).toBeUndefined();
    });

    it("K11: changes the memory budget; one that is not there cannot be changed", async () => {
      const registry = await withRegistry();
      await registry.register({ id: "a", name: "a" });
      const patch = { resources: { memoryBytes: 1_073_741_824 } };
      await registry.update("a", patch);
      const { resources } = (await registry.get("a")) as { resources: object };
      expect(resources).toMatchObject({ memoryBytes: 1_073_741_824, connections: 64 });
      const missing = await errorOf(registry.update("b", patch));
      expect(missing).toMatchObject({ code: "NOT_FOUND", details: { tenant: "b" } });
    });

    it("K12: counts and lists what was registered", async () => {
      const registry = await withRegistry();
      for (const id of ["b", "c", "a"]) await registry.register({ id, name: id });
      expect(await registry.count()).toBe(3);
      const { tenants } = await registry.list();
      expect(tenants.map(({ id }) => id)).toEqual(["a", "b", "c"]);
    });

    it("K13: gives 536,870,912 bytes and 64 connections where nothing is said", async () => {
      const registry = await withRegistry();
      const { resources } = await registry.register({ id: "a", name: "a" });
      expect(resources).toEqual({ memoryBytes: 536_870_912, connections: 64 });
    });

    it("S5: suspends and activates", async () => {
      const registry = await withRegistry();
      const { status } = await registry.register({ id: "a", name: "a" });
      const statuses: (string | undefined)[] = [status];
      await registry.suspend("a");
      statuses.push((await registry.get("a"))?.status);
      await registry.activate("a");
      statuses.push((await registry.get("a"))?.status);
      expect(statuses).toEqual(["active", "suspended", "active"]);
    });

    it("S6: lists those that are active", async () => {
      const registry = await withRegistry();
      for (const id of ["first", "second"]) await registry.register({ id, name: id });
      await registry.suspend("second");
      const { tenants } = await registry.list({ status: "active" });
      expect(tenants.map(({ id }) => id)).toEqual(["first"]);
    });

    it("S9: gives back every value that a tenant is registered with", async () => {
      const registry = await withRegistry();
      const input = {
        name: "Acme Corporation",
        description: "Main tenant for Acme Corp",
        quotas: {
          running: 50,
          perDay: 5_000,
          scheduled: 100,
          storedBytes: 53_687_091_200,
          perMinute: 5_000,
        },
        settings: { retentionDays: 365, audit: true },
        metadata: { industry: "technology", tier: "enterprise" },
      };
      const made = await registry.register(input);
      expect(made).toMatchObject({ ...input, status: "active" });
      expect(made.createdAtMs).toBe(made.updatedAtMs);
      expect(await registry.get(made.id)).toEqual(made);
    });

    it("S10: changes the one quota that is named", async () => {
      const registry = await withRegistry();
      const { quotas } = await registry.register({ id: "a", name: "a" });
      await registry.update("a", { quotas: { scheduled: 200 } });
      expect((await registry.get("a"))?.quotas).toEqual({ ...quotas, scheduled: 200 });
    });

    it("S16: refuses ids that lead elsewhere, and does nothing", async () => {
      const { registry, tasks, bus } = await setUpTasks(open, cleanups);
      const before = await registry.get("a");
      const refused = { code: "INVALID_ARGUMENT", details: { field: "tenant" } };
      for (const id of ["..", "a/b", "", "a.b", "*", ">"]) {
        for (const work of [
          registry.register({ id, name: "x" }),
          registry.get(id),
          registry.update(id, { name: "x" }),
          registry.suspend(id),
          registry.delete(id),
          tasks.submit({ tenant: id, type: "work" }),
          tasks.stats(id),
          tasks.usage(id),
          tasks.purge(id),
          tasks.dead.list(id),
        ]) {
          expect(await errorOf(work as Promise<unknown>), JSON.stringify(id)).toMatchObject(
            refused,
          );
        }
      }
      expect(await registry.count()).toBe(1);
      expect(await registry.get("a")).toEqual(before);
      expect(await bus.jobs.stats("tasks.q")).toMatchObject({ ready: 0 });
    });
  });

  describe("a tenant that is suspended", () => {
    it("S12: cannot submit, and nothing is queued", async () => {
      const { registry, tasks, tenants } = await setUpTasks(open, cleanups);
      await registry.suspend("a");
      await expect.poll(() => tenants.peek("a")?.status).toBe("suspended");
      expect(await errorOf(tasks.submit({ tenant: "a", type: "work" }))).toMatchObject({
        code: "PERMISSION_DENIED",
        details: { tenant: "a", status: "suspended" },
      });
      const { ready, delayed, leased } = await tasks.stats("a");
      expect([ready, delayed, leased]).toEqual([0, 0, 0]);
    });
  });

  describe("the context of a request", () => {
    // Here it is the task: its handler sees whose it is, and by which id and key.
    it("S8: has its tenant, an id of its own, and the key that was given", async () => {
      const { pool, tasks } = await setUpTasks(open, cleanups);
      const seen: object[] = [];
      await pool(({ id, tenant, dedupKey }) => void seen.push({ id, tenant, dedupKey })).start();
      const one = { tenant: "a", type: "work" };
      const first = await tasks.submit(one);
      await first.result({ timeoutMs: 10_000 });
      const second = await tasks.submit({ ...one, dedupKey: "request-1" });
      await second.result({ timeoutMs: 10_000 });
      expect(first.id).not.toBe(second.id);
      expect(seen).toEqual([
        { id: first.id, tenant: "a", dedupKey: undefined },
        { id: second.id, tenant: "a", dedupKey: "request-1" },
      ]);
    });
  });
});
