import { describe, expect, it } from "vitest";
import { simulate, type World } from "../../src/index.ts";

const play = <T>(scenario: (world: World) => Promise<T>, faults = {}) =>
  simulate({ seed: 1, faults, drain: false }, scenario);

describe("a view of a simulated process", () => {
  it("goes with its process: what it held stays held until its time is over", async () => {
    await play(async (world) => {
      const process = world.process("p", async ({ bus }) => {
        const view = await bus.forNamespace("a");
        await view.kv.lease("b", "k", { ttlMs: 1_000, owner: "p" });
      });
      await process.done;
      const view = await world.bus.forNamespace("a");
      process.kill();
      const lease = view.kv.lease("b", "k", { ttlMs: 1_000 });
      await expect(lease).rejects.toMatchObject({ code: "LEASE_HELD", details: { owner: "p" } });
      const startMs = world.clock.monotonic();
      await view.kv.lease("b", "k", { ttlMs: 1_000, waitMs: 10_000 });
      expect(world.clock.monotonic() - startMs).toBeGreaterThan(500);
    });
  });

  it("is cut off with its process, hears of it, and goes on", async () => {
    const seen: string[] = [];
    await play(async (world) => {
      const process = world.process("p");
      const view = await process.bus.forNamespace("a");
      void (async () => {
        for await (const { type } of view.status()) seen.push(type);
      })();
      await world.sleep(10);
      world.partition("p");
      const writing = view.kv.put("b", "k", "v");
      await world.sleep(1_000);
      expect([...process.parked].map(({ op }) => op)).toEqual(["kv.put"]);
      expect(seen).toEqual(["connected", "disconnected"]);
      world.mend();
      await writing;
      const other = await world.bus.forNamespace("a");
      expect((await other.kv.get("b", "k"))?.value.length).toBe(1);
      await view.close();
      await world.sleep(1);
      expect(seen).toEqual(["connected", "disconnected", "connected", "closed"]);
    });
  });

  it("shares the delays of its process: what is sent first arrives first", async () => {
    const faults = { delayMs: [1, 50] as const };
    await play(async (world) => {
      const process = world.process("p");
      const view = await process.bus.forNamespace("a");
      const listener = await (await world.bus.forNamespace("a")).pubsub.listen("s");
      const heard: string[] = [];
      void (async () => {
        for await (const { payload } of listener) heard.push(String.fromCharCode(...payload));
      })();
      for (const text of ["1", "2", "3", "4", "5"]) {
        await (Number(text) % 2 ? view : await process.bus.forNamespace("a")).pubsub.notify(
          "s",
          text,
        );
      }
      await world.until("all are heard", () => heard.length === 5);
      expect(heard).toEqual(["1", "2", "3", "4", "5"]);
    }, faults);
  });
});
