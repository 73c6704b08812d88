import { type Bus, openBus, toText } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { FencedBucket } from "../../src/index.ts";
import { errorOf, newNamespace, onEachBackend } from "../support/backends.ts";

await onEachBackend((openOn) => {
  describe("a fenced bucket", () => {
    it("takes values of the highest fence so far, and refuses smaller ones with CONFLICT", async () => {
      const bucket = new FencedBucket({ bus: await openOn(newNamespace()), bucket: "b" });
      expect(await bucket.get("k")).toBeUndefined();
      const one = bucket.guard(5);
      const revision = await one.put("k", "a\nb");
      expect(await bucket.get("k")).toMatchObject({ fence: 5, revision });
      expect(toText((await one.get("k"))?.value ?? new Uint8Array())).toBe("a\nb");
      await one.put("k", new Uint8Array());
      const two = bucket.guard(9);
      await two.put("k", "c");
      const refused = { code: "CONFLICT", details: { key: "k", fence: 5, highest: 9 } };
      expect(await errorOf(one.put("k", "d"))).toMatchObject(refused);
      expect(await errorOf(one.get("k"))).toMatchObject(refused);
      expect(await errorOf(one.delete("k"))).toMatchObject(refused);
      expect(toText((await bucket.get("k"))?.value ?? new Uint8Array())).toBe("c");
    });

    it("refuses smaller fences from the moment of the first read, and for ever after a delete", async () => {
      const bucket = new FencedBucket({ bus: await openOn(newNamespace()), bucket: "b" });
      await bucket.guard(1).put("k", "a");
      expect(await bucket.guard(2).get("k")).toMatchObject({ fence: 2 });
      expect(await errorOf(bucket.guard(1).put("k", "b"))).toMatchObject({ code: "CONFLICT" });
      expect(await bucket.guard(3).get("empty")).toBeUndefined();
      expect(await errorOf(bucket.guard(2).put("empty", "b"))).toMatchObject({ code: "CONFLICT" });
      await bucket.guard(4).delete("k");
      expect(await bucket.get("k")).toBeUndefined();
      expect(await errorOf(bucket.guard(3).put("k", "b"))).toMatchObject({ code: "CONFLICT" });
    });

    it("keeps the highest of many fences that come at the same time", async () => {
      const namespace = newNamespace();
      const buckets = await Promise.all(
        [1, 2, 3].map(async () => new FencedBucket({ bus: await openOn(namespace), bucket: "b" })),
      );
      const fences = Array.from({ length: 30 }, (_, index) => index + 1);
      await Promise.allSettled(
        fences.map(async (fence) => buckets[fence % 3]?.guard(fence).put("k", `${fence}`)),
      );
      const entry = await buckets[0]?.get("k");
      expect([entry?.fence, toText(entry?.value ?? new Uint8Array())]).toEqual([30, "30"]);
    });
  });
});

describe("a fence", () => {
  it("has to be a number from 1 on", async () => {
    await using bus: Bus = await openBus();
    const bucket = new FencedBucket({ bus, bucket: "b" });
    for (const fence of [0, -1, 1.5, Number.NaN, "1" as unknown as number]) {
      expect(() => bucket.guard(fence)).toThrow(/fence must be/);
    }
  });
});
