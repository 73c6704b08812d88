import { type Bus, toText } from "@busbar/core";
import { describe, expect, it } from "vitest";
import {
  TenantDirectory,
  TenantRegistry,
  tenantViewCleaner,
  TenantViews,
} from "../../src/index.ts";
import { errorOf, newNamespace, onEachBackend } from "../support/backends.ts";

await onEachBackend((openOn) => {
  async function setUp(namespace = newNamespace()): Promise<{
    readonly bus: Bus;
    readonly tenants: TenantRegistry;
    readonly views: TenantViews;
  }> {
    const bus = await openOn(namespace);
    const tenants = new TenantRegistry(bus, { cleaners: [tenantViewCleaner(bus)] });
    const views = new TenantViews(bus, await TenantDirectory.open(tenants));
    return { bus, tenants, views };
  }

  const closed = async (view: Bus): Promise<void> => {
    for await (const { type } of view.status()) if (type === "closed") return;
  };

  describe("TenantViews.forTenant", () => {
    it("S13: what one tenant stores is invisible to another, in every contract", async () => {
      const { bus, tenants, views } = await setUp();
      for (const id of ["a", "b"]) await tenants.register({ id, name: id });
      const [a, b] = [await views.forTenant("a"), await views.forTenant("b")];
      const heard: string[] = [];
      for (const one of [a, b, bus]) {
        await one.rpc.serve("who", () => (one === a ? "a" : one === b ? "b" : "app"));
        const listener = await one.pubsub.listen(">");
        void (async () => {
          for await (const { payload } of listener) heard.push(toText(payload));
        })();
      }
      await a.pubsub.publish("s", "of a");
      await a.kv.put("bucket", "k", "of a");
      await a.jobs.enqueue("q", { payload: "of a" });
      for (const other of [b, bus]) {
        expect((await other.kv.keys("bucket")).keys).toEqual([]);
        expect((await other.jobs.stats("q")).ready).toBe(0);
      }
      expect((await b.storage()).objects).toBe(0);
      expect((await a.storage()).objects).toBe(3);
      for (const [one, name] of [
        [a, "a"],
        [b, "b"],
        [bus, "app"],
      ] as const) {
        expect(toText((await one.rpc.request("who", "")).payload)).toBe(name);
      }
      await expect.poll(() => heard).toEqual(["of a"]);
      const again = await views.forTenant("a");
      expect(toText((await again.kv.get("bucket", "k"))?.value ?? new Uint8Array())).toBe("of a");
    });

    it("is refused for a tenant that is unknown or not active", async () => {
      const { tenants, views } = await setUp();
      expect(await errorOf(views.forTenant("a"))).toMatchObject({
        code: "NOT_FOUND",
        details: { tenant: "a" },
      });
      await tenants.register({ id: "a", name: "a" });
      const view = await views.forTenant("a");
      await view.kv.put("bucket", "k", "v");
      for (const change of ["suspend", "disable"] as const) {
        await tenants[change]("a");
        await expect
          .poll(async () => (await errorOf(views.forTenant("a"))) as object)
          .toMatchObject({ code: "PERMISSION_DENIED", details: { tenant: "a" } });
      }
      await tenants.activate("a");
      await expect
        .poll(() =>
          views.forTenant("a").then(
            () => "a view",
            () => "none",
          ),
        )
        .toBe("a view");
      // Nothing of it is lost.
      expect((await (await views.forTenant("a")).kv.get("bucket", "k"))?.value.length).toBe(1);
    });

    it("gives a view that is closed when its tenant stops being active, and no other one", async () => {
      const { bus, tenants, views } = await setUp();
      for (const id of ["a", "b", "c"]) await tenants.register({ id, name: id });
      const [a, b, c] = await Promise.all(["a", "b", "c"].map((id) => views.forTenant(id)));
      await tenants.suspend("a");
      await closed(a as Bus);
      await tenants.delete("b");
      await closed(b as Bus);
      expect(await errorOf((b as Bus).kv.put("bucket", "k", "v"))).toMatchObject({
        code: "CLOSED",
      });
      await c?.kv.put("bucket", "k", "v");
      await bus.kv.put("bucket", "k", "v");
      await views.close();
      await closed(c as Bus);
      await bus.kv.put("bucket", "k", "v");
    });

    it("leads a later tenant of the same id elsewhere, whatever is left of the one before", async () => {
      const { bus, tenants, views } = await setUp();
      await tenants.register({ id: "a", name: "old" });
      const late = await views.forTenant("a");
      await late.kv.put("bucket", "k", "old");
      await new TenantRegistry(bus).delete("a");
      await closed(late);
      await tenants.register({ id: "a", name: "new" });
      const view = await views.forTenant("a");
      expect(await view.kv.get("bucket", "k")).toBeUndefined();
    });

    it("S16: an id that is no id is refused, and nothing is made", async () => {
      const { bus, views } = await setUp();
      const before = await bus.storage();
      for (const id of ["..", "a/b", "", "a.b", "*", ">", "a--b", "-a"]) {
        const error = await errorOf(views.forTenant(id));
        expect(error).toMatchObject({ code: id === "a--b" ? "NOT_FOUND" : "INVALID_ARGUMENT" });
        expect(await errorOf(views.storage(id))).toMatchObject({
          code: Reflect.get(error, "code"),
        });
      }
      expect(await bus.storage()).toEqual(before);
    });
  });

  describe("tenantViewCleaner", () => {
    it("S14: removes what a deleted tenant has stored, and leaves another one alone", async () => {
      const { bus, tenants, views } = await setUp();
      for (const id of ["a", "a-b"]) await tenants.register({ id, name: id });
      for (const id of ["a", "a-b"]) {
        await using view = await views.forTenant(id);
        await view.pubsub.publish("s", "m");
        await view.kv.put("bucket", "k", "v");
        await view.jobs.enqueue("q", { payload: "v" });
      }
      const { objects } = await bus.storage();
      const deleted = await tenants.delete("a");
      const left = await bus.forNamespace(`t-${deleted?.storageId}`);
      expect(await left.storage()).toEqual({ objects: 0, bytes: 0 });
      // Its record leaves a trace.
      expect((await bus.storage()).objects).toBe(objects - 3);
      expect((await views.storage("a-b")).objects).toBe(3);
    });

    it("may be called again, and by several at once", async () => {
      const { bus, tenants, views } = await setUp();
      const tenant = await tenants.register({ id: "a", name: "a" });
      const view = await views.forTenant("a");
      await view.kv.put("bucket", "k", "v");
      const cleaner = tenantViewCleaner(bus);
      await Promise.all([cleaner, cleaner, cleaner].map((one) => one.clean(tenant)));
      await cleaner.clean(tenant);
      expect(await view.storage()).toEqual({ objects: 0, bytes: 0 });
    });

    it("leaves a later tenant of the same id with nothing of the one before", async () => {
      const { tenants, views } = await setUp();
      const old = await tenants.register({ id: "a", name: "old" });
      const late = await views.forTenant("a");
      await late.kv.put("bucket", "k", "old");
      await late.jobs.enqueue("q", { payload: "old", dedupKey: "key" });
      await tenants.delete("a");
      const fresh = await tenants.register({ id: "a", name: "new" });
      expect(fresh.storageId).not.toBe(old.storageId);
      await closed(late);
      await expect
        .poll(async () => {
          await using view = await views.forTenant("a").catch(() => undefined);
          return (await view?.storage())?.objects;
        })
        .toBe(0);
      const view = await views.forTenant("a");
      expect(await view.kv.get("bucket", "k")).toBeUndefined();
      expect((await view.jobs.enqueue("q", { payload: "new", dedupKey: "key" })).duplicate).toBe(
        false,
      );
    });
  });

  describe("TenantViews.storage", () => {
    it("S15: counts each object once: none, then two of 100 and 200 bytes", async () => {
      const { tenants, views } = await setUp();
      await tenants.register({ id: "a", name: "a" });
      await tenants.register({ id: "b", name: "b" });
      expect(await views.storage("a")).toEqual({ objects: 0, bytes: 0 });
      await using view = await views.forTenant("a");
      await view.kv.put("blobs", "one", new Uint8Array(100));
      await view.kv.put("blobs", "two", new Uint8Array(200));
      const stored = await views.storage("a");
      expect(stored.objects).toBe(2);
      expect(stored.bytes).toBeGreaterThanOrEqual(300);
      expect(stored.bytes).toBeLessThan(1_000);
      expect(await views.storage("b")).toEqual({ objects: 0, bytes: 0 });
      // A suspended tenant's storage is its own as before.
      await tenants.suspend("a");
      expect(await views.storage("a")).toEqual(stored);
    });
  });
});
