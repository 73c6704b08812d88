import { describe, expect, it, vi } from "vitest";
import { defineBucket, typedBus, type KvEntry } from "../../src/index.ts";
import { fakeBus } from "./fake-bus.ts";
import { slowPointSchema } from "./schemas.ts";

const points = defineBucket({ bucket: "points", schema: slowPointSchema });

describe("TypedBucket", () => {
  it("writes and reads values", async () => {
    const { bus, log } = fakeBus();
    const bucket = typedBus(bus).bucket(points);
    expect(await bucket.get("a")).toBeUndefined();
    expect(await bucket.create("a", { x: "1", y: 2 })).toBe(1);
    expect(await bucket.cas("a", { x: 2, y: 2 }, 1)).toBe(2);
    expect(await bucket.put("a", { x: 3, y: 2 }, { ttlMs: 1_000 })).toBe(3);
    expect(await bucket.get("a")).toEqual({
      key: "a",
      value: { x: 3, y: 2 },
      revision: 3,
      createdAtMs: 1_000,
    });
    expect(await bucket.keys()).toEqual({ keys: ["a"], next: undefined });
    await bucket.delete("a");
    expect(log).toEqual(["create a", "cas a 1", 'put a {"ttlMs":1000}', "delete a"]);
  });

  it("refuses what does not fit, in every write, before anything is sent", async () => {
    const { bus, log } = fakeBus();
    const bucket = typedBus(bus).bucket(points);
    const bad = { x: 1 } as never;
    for (const write of [bucket.put("a", bad), bucket.create("a", bad), bucket.cas("a", bad, 0)]) {
      await expect(write).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        message: "the value for key a of bucket points is not allowed: y: must be a number",
      });
    }
    expect(log).toEqual([]);
  });

  it("rejects a stored value that does not fit", async () => {
    const { bus } = fakeBus();
    await bus.kv.put("points", "a", "secret");
    await expect(typedBus(bus).bucket(points).get("a")).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message:
        "the value of key a of bucket points (revision 1) is not allowed: not JSON (6 bytes)",
    });
  });
});

describe("TypedBucket.watch", () => {
  it("gives values, deletes and the marker", async () => {
    const { bus } = fakeBus();
    const bucket = typedBus(bus).bucket(points);
    await bucket.put("a", { x: 1, y: 2 });
    await using watch = await bucket.watch();
    await bucket.put("b", { x: 3, y: 4 });
    const seen: unknown[] = [];
    for await (const event of watch) {
      seen.push(event.type === "put" ? [event.key, event.value.x] : event.type);
      if (seen.length === 3) break;
    }
    expect(seen).toEqual([["a", 1], "initialDone", ["b", 3]]);
    await watch.close();
  });

  it("throws at a value that does not fit and is closed", async () => {
    const { bus, log } = fakeBus();
    await bus.kv.put("points", "a", "{}");
    const watch = await typedBus(bus).bucket(points).watch();
    const loop = async (): Promise<void> => {
      for await (const _ of watch);
    };
    await expect(loop()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(log.at(-1)).toBe("left");
  });

  it("goes on without it where somebody is told", async () => {
    const { bus } = fakeBus();
    await bus.kv.put("points", "a", "{}");
    const onInvalid = vi.fn<(error: Error, entry: KvEntry) => void>();
    const watch = await typedBus(bus).bucket(points).watch({ onInvalid });
    for await (const event of watch) {
      expect(event.type).toBe("initialDone");
      break;
    }
    expect(onInvalid.mock.calls.map(([, entry]) => entry.key)).toEqual(["a"]);
  });
});
