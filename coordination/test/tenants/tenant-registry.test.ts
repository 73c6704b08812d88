import { type Bus, toBytes, VirtualClock } from "@busbar/core";
import { describe, expect, it } from "vitest";
import {
  type Tenant,
  type TenantEvent,
  TenantRegistry,
  type TenantRegistryOptions,
} from "../../src/index.ts";
import { errorOf, newNamespace, onEachBackend } from "../support/backends.ts";

await onEachBackend((openOn) => {
  async function registry(
    options: TenantRegistryOptions = {},
    namespace = newNamespace(),
  ): Promise<TenantRegistry> {
    return new TenantRegistry(await openOn(namespace), options);
  }

  async function withBus(): Promise<{ bus: Bus; tenants: TenantRegistry }> {
    const bus = await openOn(newNamespace());
    return { bus, tenants: new TenantRegistry(bus) };
  }

  describe("register", () => {
    it("gives what was asked for and the defaults for the rest", async () => {
      const tenants = await registry();
      const made = await tenants.register({ id: "test_tenant", name: "Test Tenant" });
      expect(made).toMatchObject({
        id: "test_tenant",
        name: "Test Tenant",
        description: "",
        status: "active",
        metadata: {},
        fields: {},
        weight: 1,
        settings: { retentionDays: 90, audit: true },
        quotas: {
          running: 10,
          perDay: 1_000,
          perMinute: 1_000,
          scheduled: 50,
          queued: null,
          storedBytes: 10_000_000_000,
          payloadBytes: null,
        },
        resources: { memoryBytes: 536_870_912, connections: 64 },
      });
      expect(made.createdAtMs).toBe(made.updatedAtMs);
      expect(await tenants.get("test_tenant")).toEqual(made);
      expect(await tenants.has("test_tenant")).toBe(true);
      expect(await tenants.has("another")).toBe(false);
    });

    it("keeps every field", async () => {
      const tenants = await registry();
      const input = {
        id: "acme",
        name: "Acme",
        description: "makes everything",
        region: "eu-west",
        metadata: { plan: "gold" },
        weight: 4,
        settings: { retentionDays: 365, audit: false },
        quotas: {
          running: 50,
          perDay: 5_000,
          perMinute: 5_000,
          scheduled: 100,
          queued: 20_000,
          storedBytes: 53_687_091_200,
          payloadBytes: 1_000,
        },
        resources: {
          memoryBytes: 1_073_741_824,
          connections: 8,
          storageBucket: "test-bucket",
          storagePrefix: "tenant-1/db",
          cacheFolder: "/var/cache/acme",
        },
        fields: { contract: { until: "2030-01-01", seats: [1, 2] }, trial: false },
      };
      await tenants.register(input);
      expect(await tenants.get("acme")).toMatchObject(input);
    });

    it("refuses an id that is taken, and keeps what is there", async () => {
      const tenants = await registry();
      const first = await tenants.register({ id: "a", name: "first" });
      const error = await errorOf(tenants.register({ id: "a", name: "second" }));
      expect(error).toMatchObject({ code: "CONFLICT", details: { tenant: "a" } });
      expect(await tenants.get("a")).toEqual(first);
    });

    it("makes ids where none is given, each another one", async () => {
      const tenants = await registry();
      const made = await Promise.all(
        Array.from({ length: 20 }, (_, index) => tenants.register({ name: `n${index}` })),
      );
      expect(new Set(made.map(({ id }) => id)).size).toBe(20);
      expect(new Set(made.map(({ storageId }) => storageId)).size).toBe(20);
      expect(await tenants.count()).toBe(20);
    });

    it("lets one of many through who take an id at the same time", async () => {
      const namespace = newNamespace();
      const all = await Promise.all(Array.from({ length: 5 }, () => registry({}, namespace)));
      const outcomes = await Promise.allSettled(
        all.map((tenants, index) => tenants.register({ id: "a", name: `n${index}` })),
      );
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    });
  });

  describe("a wrong id or field", () => {
    it("is refused before anything is written", async () => {
      const { bus, tenants } = await withBus();
      for (const id of ["..", "a/b", "", "a.b", "*", ">", "-a", "a b", "ä", "a".repeat(65)]) {
        const calls: Promise<unknown>[] = [
          tenants.register({ id, name: "n" }),
          tenants.get(id),
          tenants.update(id, {}),
          tenants.suspend(id),
          tenants.delete(id),
        ];
        for (const call of calls) {
          expect(await errorOf(call)).toMatchObject({
            code: "INVALID_ARGUMENT",
            details: { field: "tenant" },
          });
        }
      }
      expect((await bus.kv.keys("tenants")).keys).toEqual([]);
    });

    it("is named, with what is wrong with it", async () => {
      const tenants = await registry();
      const bad = {
        name: "",
        weight: 0,
        quotas: { running: -1, perHour: 1 },
        settings: { retentionDays: "90" },
      };
      const error = await errorOf(tenants.register(bad as never));
      expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
      const { issues } = (error as never as { details: { issues: { path: string }[] } }).details;
      expect(issues.map(({ path }) => path).toSorted()).toEqual(
        ["name", "quotas", "quotas.running", "settings.retentionDays", "weight"].toSorted(),
      );
      expect(await tenants.count()).toBe(0);
    });

    it("is refused in a patch too, which then changes nothing", async () => {
      const tenants = await registry();
      const made = await tenants.register({ id: "a", name: "n" });
      const wrong: object[] = [
        { name: "" },
        { metadata: "abc" },
        { metadata: { plan: 1 } },
        { quotas: { running: 1.5 } },
        { quotas: [1] },
        { status: "disabled" },
        { storageId: "aaaaaaaaaaaa" },
        { resources: { memoryBytes: null } },
        { fields: { at: new Date(0) } },
      ];
      for (const patch of wrong) {
        expect(await errorOf(tenants.update("a", patch))).toMatchObject({
          code: "INVALID_ARGUMENT",
        });
      }
      expect(await tenants.get("a")).toEqual(made);
    });
  });

  describe("update", () => {
    it("changes what is named and nothing else", async () => {
      const tenants = await registry();
      const made = await tenants.register({ id: "a", name: "n", metadata: { plan: "gold" } });
      const { quotas } = await tenants.update("a", { quotas: { scheduled: 200 } });
      expect(quotas).toEqual({ ...made.quotas, scheduled: 200 });
      const renamed = await tenants.update("a", { name: "Updated Name" });
      expect(renamed).toEqual({
        ...made,
        name: "Updated Name",
        quotas,
        updatedAtMs: renamed.updatedAtMs,
        revision: renamed.revision,
      });
      expect(renamed.updatedAtMs).toBeGreaterThanOrEqual(made.updatedAtMs);
      expect(renamed.revision).toBeGreaterThan(made.revision);
      expect(await tenants.get("a")).toEqual(renamed);
    });

    it("takes null for unlimited, and for what is to be removed; undefined is nothing", async () => {
      const tenants = await registry();
      await tenants.register({
        id: "a",
        name: "n",
        region: "eu",
        metadata: { plan: "gold", since: "2020" },
        resources: { storageBucket: "b" },
        fields: { x: 1, y: 2 },
      });
      const changed = await tenants.update("a", {
        name: undefined,
        region: null,
        metadata: { plan: null, size: "big" },
        quotas: { running: null, perDay: undefined },
        resources: { storageBucket: null, memoryBytes: 1_073_741_824 },
        fields: { x: null },
      });
      expect(changed.name).toBe("n");
      expect(changed.region).toBeUndefined();
      expect(changed.metadata).toEqual({ since: "2020", size: "big" });
      expect([changed.quotas.running, changed.quotas.perDay]).toEqual([null, 1_000]);
      expect(changed.resources).toEqual({ memoryBytes: 1_073_741_824, connections: 64 });
      expect(changed.fields).toEqual({ y: 2 });
      expect(await tenants.get("a")).toEqual(changed);
    });

    it("loses none of many changes that are made at the same time", async () => {
      const namespace = newNamespace();
      const all = await Promise.all(Array.from({ length: 4 }, () => registry({}, namespace)));
      await all[0]?.register({ id: "a", name: "n" });
      await Promise.all(
        all.flatMap((tenants, writer) =>
          Array.from({ length: 8 }, (_, index) =>
            tenants.update("a", { metadata: { [`w${writer}-${index}`]: "x" } }),
          ),
        ),
      );
      const tenant = await all[1]?.get("a");
      expect(Object.keys(tenant?.metadata ?? {})).toHaveLength(32);
    });

    it("of a certain revision changes no other one", async () => {
      const tenants = await registry();
      const { revision } = await tenants.register({ id: "a", name: "n" });
      await tenants.update("a", { weight: 2 }, { revision });
      const error = await errorOf(tenants.update("a", { weight: 3 }, { revision }));
      expect(error).toMatchObject({ code: "CONFLICT", details: { expected: revision } });
      expect((await tenants.get("a"))?.weight).toBe(2);
    });

    it("needs a tenant", async () => {
      const tenants = await registry();
      for (const call of [tenants.update("a", { weight: 2 }), tenants.suspend("a")]) {
        expect(await errorOf(call)).toMatchObject({
          code: "NOT_FOUND",
          details: { tenant: "a" },
        });
      }
      expect(await tenants.count()).toBe(0);
    });

    it("does not let time go back, whatever the clocks of two processes say", async () => {
      const namespace = newNamespace();
      const ahead = await registry({ clock: new VirtualClock({ startAtMs: 9_000 }) }, namespace);
      const behind = await registry({ clock: new VirtualClock({ startAtMs: 5_000 }) }, namespace);
      await ahead.register({ id: "a", name: "n" });
      expect((await behind.update("a", { weight: 2 })).updatedAtMs).toBe(9_000);
    });
  });

  describe("the status", () => {
    const active = async (tenants: TenantRegistry): Promise<string[]> =>
      (await tenants.list({ status: "active" })).tenants.map(({ id }) => id);

    it("goes from active to suspended and back, as often as one likes", async () => {
      const tenants = await registry();
      for (const id of ["a", "b"]) await tenants.register({ id, name: id });
      const suspended = await tenants.suspend("b");
      expect(suspended.status).toBe("suspended");
      expect(await active(tenants)).toEqual(["a"]);
      // Twice is the same as once: nothing is written.
      expect(await tenants.suspend("b")).toEqual(suspended);
      expect((await tenants.activate("b")).status).toBe("active");
      expect(await active(tenants)).toEqual(["a", "b"]);
    });

    it("goes to disabled, from where only activate leads back", async () => {
      const tenants = await registry();
      await tenants.register({ id: "a", name: "a" });
      expect((await tenants.disable("a")).status).toBe("disabled");
      expect(await errorOf(tenants.suspend("a"))).toMatchObject({
        code: "CONFLICT",
        details: { tenant: "a", status: "disabled" },
      });
      expect((await tenants.update("a", { name: "still here" })).status).toBe("disabled");
      expect((await tenants.activate("a")).status).toBe("active");
    });
  });

  describe("list", () => {
    it("gives every tenant once, page by page, by id", async () => {
      const tenants = await registry();
      const ids = Array.from({ length: 25 }, (_, index) => `t${String(index).padStart(2, "0")}`);
      await Promise.all(ids.map((id) => tenants.register({ id, name: id })));
      const pages: string[][] = [];
      let after: string | undefined;
      do {
        const page = await tenants.list({ limit: 10, after });
        pages.push(page.tenants.map(({ id }) => id));
        after = page.next;
      } while (after !== undefined);
      expect(pages.map(({ length }) => length)).toEqual([10, 10, 5]);
      expect(pages.flat()).toEqual(ids);
      expect(await tenants.count()).toBe(25);
      const all: string[] = [];
      for await (const { id } of tenants.all()) all.push(id);
      expect(all).toEqual(ids);
    });

    it("fills a page with those of a status, however few they are", async () => {
      const tenants = await registry();
      const ids = Array.from({ length: 30 }, (_, index) => `t${String(index).padStart(2, "0")}`);
      await Promise.all(ids.map((id) => tenants.register({ id, name: id })));
      // Some stand side by side: a page of keys may hold more of them than there is room for.
      const few = [0, 2, 3, 20, 27].map((index) => ids[index] as string);
      for (const id of few) await tenants.suspend(id);
      const pages: string[][] = [];
      let after: string | undefined;
      do {
        const page = await tenants.list({ status: "suspended", limit: 2, after });
        pages.push(page.tenants.map(({ id }) => id));
        after = page.next;
      } while (after !== undefined);
      expect(pages).toEqual([few.slice(0, 2), few.slice(2, 4), few.slice(4)]);
    });

    it("refuses a limit that is out of range", async () => {
      const tenants = await registry();
      for (const limit of [0, 1_001, 1.5]) {
        expect(await errorOf(tenants.list({ limit }))).toBeInstanceOf(RangeError);
      }
    });
  });

  describe("delete", () => {
    it("calls the cleaners in their order, and gives what the tenant was", async () => {
      const calls: string[] = [];
      const cleaner = (name: string) => ({
        name,
        clean: async ({ id, status }: Tenant) => void calls.push(`${name} ${id} ${status}`),
      });
      const tenants = await registry({ cleaners: [cleaner("tasks"), cleaner("storage")] });
      const made = await tenants.register({ id: "a", name: "n" });
      await tenants.register({ id: "b", name: "stays" });
      const deleted = await tenants.delete("a");
      expect(deleted).toMatchObject({ id: "a", name: "n", storageId: made.storageId });
      expect(calls).toEqual(["tasks a deleting", "storage a deleting"]);
      expect(await tenants.get("a")).toBeUndefined();
      expect(await tenants.count()).toBe(1);
      expect(await tenants.delete("a")).toBeUndefined();
      expect(calls).toHaveLength(2);
    });

    it("goes on after it was interrupted, and lets nothing else happen before", async () => {
      const namespace = newNamespace();
      const failing = {
        name: "tasks",
        clean: async () => {
          throw new Error("the process ends here");
        },
      };
      const first = await registry({ cleaners: [failing] }, namespace);
      await first.register({ id: "a", name: "n" });
      expect((await errorOf(first.delete("a"))).message).toBe("the process ends here");
      expect((await first.get("a"))?.status).toBe("deleting");
      for (const call of [
        first.activate("a"),
        first.suspend("a"),
        first.update("a", { weight: 2 }),
        first.register({ id: "a", name: "again" }),
      ]) {
        expect(await errorOf(call)).toMatchObject({ code: "CONFLICT" });
      }
      const cleaned: string[] = [];
      const clean = async ({ id }: Tenant) => void cleaned.push(id);
      const second = await registry({ cleaners: [{ name: "tasks", clean }] }, namespace);
      expect(await second.resumeDeletes()).toEqual(["a"]);
      expect(cleaned).toEqual(["a"]);
      expect(await second.get("a")).toBeUndefined();
      expect(await second.resumeDeletes()).toEqual([]);
    });

    it("that is late does not reach a later tenant of the same id", async () => {
      const namespace = newNamespace();
      let go = (): void => undefined;
      const slow = {
        name: "slow",
        clean: () =>
          new Promise<void>((resolve) => {
            go = resolve;
          }),
      };
      const late = await registry({ cleaners: [slow] }, namespace);
      const quick = await registry({}, namespace);
      const old = await quick.register({ id: "a", name: "old" });
      const deleting = late.delete("a");
      await expect.poll(async () => (await quick.get("a"))?.status).toBe("deleting");
      await quick.delete("a");
      const fresh = await quick.register({ id: "a", name: "new" });
      expect(fresh.storageId).not.toBe(old.storageId);
      go();
      expect(await deleting).toMatchObject({ storageId: old.storageId });
      expect(await quick.get("a")).toEqual(fresh);
    });
  });

  describe("watch", () => {
    it("gives what is there, then every change, and ends with its signal", async () => {
      const tenants = await registry();
      await tenants.register({ id: "a", name: "n" });
      const ending = new AbortController();
      const events: TenantEvent[] = [];
      const watching = (async () => {
        for await (const event of tenants.watch({ signal: ending.signal })) events.push(event);
      })();
      await expect.poll(() => events.at(-1)?.type).toBe("initialDone");
      await tenants.suspend("a");
      await tenants.delete("a");
      await expect.poll(() => events.at(-1)?.type).toBe("delete");
      ending.abort();
      await watching;
      expect(
        events.map((event) => (event.type === "put" ? event.tenant.status : event.type)),
      ).toEqual(["active", "initialDone", "suspended", "deleting", "delete"]);
    });
  });

  it("refuses a record that something else has written", async () => {
    const { bus, tenants } = await withBus();
    await bus.kv.put("tenants", "a", toBytes(JSON.stringify({ version: 2, name: "n" })));
    expect(await errorOf(tenants.get("a"))).toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
