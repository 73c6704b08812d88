import { MemoryServer } from "@busbar/bus-memory";
import { openBus } from "@busbar/core";
import { describe, expect, it, vi } from "vitest";
import { Lanes } from "../../src/tasks/lanes.ts";

describe("who watches lanes", () => {
  it("is told that messages were lost when more come at once than it can keep", async () => {
    const bus = await openBus({ backend: "memory", server: new MemoryServer() });
    const lanes = new Lanes(bus, "q");
    const [submitted, missed] = [vi.fn(), vi.fn()];
    const nothing = (): void => undefined;
    const watch = await lanes.watch({
      submitted,
      missed,
      found: nothing,
      gone: nothing,
      due: nothing,
      freed: nothing,
      cancelled: nothing,
      paused: nothing,
      failed: nothing,
    });
    lanes.wake("lane", 1);
    await expect.poll(() => submitted.mock.calls).toEqual([["lane", 1]]);
    expect(missed).not.toHaveBeenCalled();
    const many = Array.from({ length: 70_000 }, () => bus.pubsub.notify("tasks.q.wake.lane", "1"));
    await Promise.all(many);
    await expect.poll(() => missed.mock.calls.length).toBeGreaterThan(0);
    await watch.close();
    await bus.close();
  });
});
