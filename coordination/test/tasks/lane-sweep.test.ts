import { VirtualClock } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { Lane } from "../../src/tasks/lane.ts";
import { LaneSweep } from "../../src/tasks/lane-sweep.ts";

const LEASE_MS = 30_000;
const MINUTE_MS = 60_000;

function setUp(count: number) {
  const clock = new VirtualClock();
  const lanes = Array.from(
    { length: count },
    (_, index) => new Lane({ name: `lane${index}`, tenant: `t${index}` }, clock, () => undefined),
  );
  const looks: { readonly name: string; readonly atMs: number }[] = [];
  const sweep = new LaneSweep({
    clock,
    leaseMs: LEASE_MS,
    lanes: () => lanes,
    look: ({ name }) => looks.push({ name, atMs: clock.monotonic() }),
  });
  sweep.start();
  return { clock, lanes, looks, sweep };
}

describe("a sweep of lanes", () => {
  it("looks within a lease at each of 5,000 lanes that had work", async () => {
    const { clock, looks, sweep } = setUp(5_000);
    await clock.advance(LEASE_MS + 5_000);
    expect(new Set(looks.map(({ name }) => name)).size).toBe(5_000);
    sweep.stop();
    const before = looks.length;
    await clock.advance(MINUTE_MS);
    expect(looks.length).toBe(before);
  });

  it("looks at those that have none for ten minutes a hundred every five seconds", async () => {
    const { clock, lanes, looks, sweep } = setUp(1_000);
    await clock.advance(10 * MINUTE_MS + 5_000);
    looks.length = 0;
    lanes[7]?.hasWork();
    await clock.advance(50_000);
    const idle = looks.filter(({ name }) => name !== "lane7");
    expect(idle.length).toBe(1_000);
    expect(new Set(idle.map(({ name }) => name)).size).toBe(999);
    expect(looks.length - idle.length).toBe(10);
    sweep.stop();
  });
});
