import type { KvEvent } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { next, take, world } from "./support.ts";

describe("MemoryWatch", () => {
  it("uses the bucket as its buffer when the program is far behind, with no gap", async () => {
    const { open } = world();
    await using bus = await open();
    const watch = await bus.kv.watch("b", { key: "k.*" });
    const total = 12_000;
    for (let index = 0; index < total; index++) {
      await bus.kv.put("b", `k.${index}`, String(index));
      await bus.kv.put("b", "noise", "x");
    }
    expect((await next(watch)).type).toBe("initialDone");
    const keys = (await take(watch, total)).map((event) => event.type === "put" && event.key);
    expect(keys).toEqual(Array.from({ length: total }, (_, index) => `k.${index}`));
    const waiting = next(watch);
    await bus.kv.put("b", "k.last", "x");
    expect(await waiting).toMatchObject({ key: "k.last" });
  });

  it("gives the last value of a key also if the ones before were skipped", async () => {
    const { open } = world();
    await using bus = await open();
    const watch = await bus.kv.watch("b");
    for (let index = 0; index < 10_000; index++) await bus.kv.put("b", "k", String(index));
    const last = await bus.kv.put("b", "k", "last");
    const revisions: number[] = [];
    for await (const event of watch) {
      if (event.type === "initialDone") continue;
      revisions.push(event.revision);
      if (event.revision === last) break;
    }
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    expect(revisions.length).toBeLessThan(10_001);
  });

  it("gives the values that were there at the start, also if they change before they are read", async () => {
    const { open } = world();
    await using bus = await open();
    for (const key of ["a", "b", "c"]) await bus.kv.put("b", key, "old");
    await bus.kv.delete("b", "b");
    const watch = await bus.kv.watch("b");
    await bus.kv.put("b", "a", "new");
    const events = await take(watch, 4);
    expect(events.map(brief)).toEqual(["put a 1", "put c 3", "initialDone", "put a 5"]);
  });

  it("fails when its bucket is deleted", async () => {
    const { open, server } = world();
    await using bus = await open();
    const watch = await bus.kv.watch("b");
    await next(watch);
    const waiting = next(watch);
    expect(await bus.kv.deleteBucket("b")).toBe(true);
    await expect(waiting).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(server.stats().watches).toBe(0);
  });
});

function brief(event: KvEvent): string {
  return event.type === "initialDone" ? event.type : `${event.type} ${event.key} ${event.revision}`;
}
