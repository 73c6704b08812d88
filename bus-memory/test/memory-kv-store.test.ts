import { describe, expect, it } from "vitest";
import { world } from "./support.ts";

describe("MemoryKvStore", () => {
  it("lets a value end with its TTL, and nothing older come to light", async () => {
    const { clock, open, server } = world();
    await using bus = await open();
    await bus.kv.ensureBucket("b", { history: 3 });
    await bus.kv.put("b", "k", "one");
    await bus.kv.put("b", "k", "two", { ttlMs: 1_000 });
    await clock.advance(999);
    expect(await bus.kv.get("b", "k")).toBeDefined();
    await clock.advance(1);
    expect(await bus.kv.get("b", "k")).toBeUndefined();
    expect(await bus.kv.history("b", "k")).toEqual([]);
    expect((await bus.kv.keys("b")).keys).toEqual([]);
    expect(await bus.kv.create("b", "k", "three")).toBe(3);
    // An overwritten value takes its end with it.
    await bus.kv.put("b", "l", "short", { ttlMs: 10 });
    await bus.kv.put("b", "l", "for ever");
    expect(server.stats().pendingDeadlines).toBe(1);
    await clock.advance(100);
    expect(await bus.kv.history("b", "l")).toHaveLength(1);
  });

  it("lets every value of a bucket with a TTL end in its own time", async () => {
    const { clock, open } = world();
    await using bus = await open();
    await bus.kv.ensureBucket("b", { history: 5, ttlMs: 1_000 });
    for (const value of ["one", "two", "three"]) {
      await bus.kv.put("b", "k", value);
      await clock.advance(400);
    }
    expect(await bus.kv.history("b", "k")).toHaveLength(2);
    await bus.kv.delete("b", "k");
    await clock.runUntilIdle();
    expect(await bus.kv.history("b", "k")).toEqual([]);
  });

  it("walks many keys in pages while others come and go", async () => {
    const { open } = world();
    await using bus = await open();
    const wanted = Array.from({ length: 1_000 }, (_, index) => `a.${index}`);
    for (const key of wanted) await bus.kv.put("b", key, "x");
    for (const key of ["A", "a-b", "a", "a/1", "b.1"]) await bus.kv.put("b", key, "x");
    const walked: string[] = [];
    let after: string | undefined;
    do {
      const options = { key: "a.*", limit: 64, ...(after === undefined ? {} : { after }) };
      const page = await bus.kv.keys("b", options);
      walked.push(...page.keys);
      after = page.next;
      await bus.kv.put("b", `a.${walked.length}.x`, "other");
      await bus.kv.delete("b", "b.1");
    } while (after !== undefined);
    expect(walked).toEqual(wanted.toSorted());
  });

  it("counts the bytes of a bucket", async () => {
    const { open } = world();
    await using bus = await open();
    await bus.kv.ensureBucket("b", { maxBytes: 10 });
    await bus.kv.put("b", "k", "12345");
    await bus.kv.put("b", "k", "123456789");
    const full = { code: "LIMIT_EXCEEDED" };
    await expect(bus.kv.put("b", "k", "1234567890")).rejects.toMatchObject(full);
    await expect(bus.kv.put("b", "l", "")).rejects.toMatchObject(full);
    await bus.kv.delete("b", "k");
    await bus.kv.put("b", "l", "12345678");
  });

  it("keeps a fence growing over release, loss and other keys", async () => {
    const { clock, open } = world();
    await using bus = await open();
    const fences: number[] = [];
    for (let round = 0; round < 5; round++) {
      const lease = await bus.kv.lease("b", "k", { ttlMs: 100 });
      fences.push(lease.fence);
      if (round % 2 === 0) await lease.release();
      else await clock.advance(100);
    }
    expect(fences).toEqual(fences.toSorted((a, b) => a - b));
    expect(new Set(fences).size).toBe(5);
    // A lease makes no bucket; a look at a value does.
    expect(await bus.kv.deleteBucket("b")).toBe(false);
    expect(await bus.kv.get("b", "k")).toBeUndefined();
    expect(await bus.kv.deleteBucket("b")).toBe(true);
  });
});
