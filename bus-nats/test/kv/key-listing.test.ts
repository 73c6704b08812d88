import { expect, it } from "vitest";
import { open } from "../support/buses.ts";
import { onEachServer, useServer } from "../support/servers.ts";

await onEachServer((binary) => {
  const context = useServer({ binary });

  it("walks 20,000 keys in pages in a time that does not grow with their number", async () => {
    const bus = await open(context.server.url);
    const keys = Array.from({ length: 20_000 }, (_, index) => `j.${index % 10}.${index}`);
    for (let from = 0; from < keys.length; from += 1_000) {
      await Promise.all(keys.slice(from, from + 1_000).map((key) => bus.kv.put("b", key, "v")));
    }
    const started = performance.now();
    const first = await bus.kv.keys("b", { limit: 100 });
    const firstMs = performance.now() - started;
    const walked = [...first.keys];
    const restStarted = performance.now();
    for (let after = first.next; after !== undefined; ) {
      const page = await bus.kv.keys("b", { limit: 100, after });
      walked.push(...page.keys);
      after = page.next;
    }
    const restMs = performance.now() - restStarted;
    expect(walked).toEqual(keys.sort());
    // 199 further pages; listing everything for each would take 199 times as long as the first.
    expect(restMs).toBeLessThan(50 * firstMs);
  }, 60_000);

  it("sees what changes between two pages, also by others", async () => {
    const namespace = `t-${Math.floor(performance.now() * 1_000)}`;
    const bus = await open(context.server.url, { namespace });
    const other = await open(context.server.url, { namespace });
    for (const key of ["a", "b", "c", "d", "e"]) await bus.kv.put("b", key, "v");
    const first = await bus.kv.keys("b", { limit: 2 });
    await other.kv.delete("b", "c");
    await other.kv.put("b", "cc", "v");
    await other.kv.put("b", "aa", "v");
    const second = await bus.kv.keys("b", { limit: 2, after: first.next as string });
    await other.kv.put("b", "f", "v");
    await other.kv.delete("b", "f");
    const third = await bus.kv.keys("b", { limit: 2, after: second.next as string });
    expect([first.keys, second.keys, third.keys]).toEqual([["a", "b"], ["cc", "d"], ["e"]]);
    expect(third.next).toBeUndefined();
  });

  it("leaves out what a bucket's time or a removal of the bucket has ended between two pages", async () => {
    const bus = await open(context.server.url);
    await bus.kv.ensureBucket("b", { ttlMs: 400 });
    for (const key of ["a", "b", "c", "d"]) await bus.kv.put("b", key, "v");
    const first = await bus.kv.keys("b", { limit: 2 });
    await expect.poll(() => bus.kv.get("b", "d"), { interval: 20 }).toBeUndefined();
    await bus.kv.put("b", "e", "v");
    expect((await bus.kv.keys("b", { after: first.next as string })).keys).toEqual(["e"]);
    const again = await bus.kv.keys("b", { limit: 1 });
    expect(again).toEqual({ keys: ["e"], next: undefined });
    for (const key of ["f", "g"]) await bus.kv.put("b", key, "v");
    const page = await bus.kv.keys("b", { limit: 2 });
    await bus.kv.deleteBucket("b");
    await bus.kv.put("b", "z", "v");
    expect((await bus.kv.keys("b", { after: page.next as string })).keys).toEqual(["z"]);
  });
});
