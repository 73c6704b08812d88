import { VirtualClock } from "@busbar/core";
import { beforeEach, describe, expect, it } from "vitest";
import { Lane } from "../../src/tasks/lane.ts";
import { PRIORITIES } from "../../src/tasks/task-wire.ts";

describe("what a lane knows of its tasks", () => {
  let clock: VirtualClock;
  let lane: Lane;

  beforeEach(() => {
    clock = new VirtualClock();
    lane = new Lane({ name: "lane", tenant: "t" }, clock, () => undefined);
  });

  function claim(max: number, brought: number): void {
    lane.claiming(max)(brought);
  }

  it("is nothing at first, and after any claim that brought all it asked for", () => {
    expect(lane.mayHaveTasks).toBe(true);
    lane.submitted(1);
    claim(3, 3);
    expect(lane.mayHaveTasks).toBe(true);
  });

  it("is that it has none once a claim brought fewer", () => {
    claim(3, 2);
    expect(lane.mayHaveTasks).toBe(false);
  });

  it("is from then on how many were submitted and not claimed", () => {
    claim(1, 0);
    lane.submitted(3);
    claim(2, 2);
    expect(lane.mayHaveTasks).toBe(true);
    claim(1, 1);
    expect(lane.mayHaveTasks).toBe(false);
  });

  it("counts those that were submitted while a claim was under way", () => {
    claim(1, 0);
    const brought = lane.claiming(5);
    lane.submitted(1);
    brought(0);
    expect(lane.mayHaveTasks).toBe(true);
  });

  it("is not believed for longer than a second", async () => {
    claim(1, 0);
    await clock.advance(999);
    expect(lane.mayHaveTasks).toBe(false);
    await clock.advance(1);
    expect(lane.mayHaveTasks).toBe(true);
  });

  it("is nothing once it is to be looked at, also while a claim is under way", () => {
    claim(1, 0);
    lane.look();
    expect(lane.mayHaveTasks).toBe(true);
    const brought = lane.claiming(1);
    lane.look();
    brought(0);
    expect(lane.mayHaveTasks).toBe(true);
  });

  it("says for how many slots it has room: no more than it may have tasks", async () => {
    expect(lane.room).toBe(Number.POSITIVE_INFINITY);
    claim(1, 0);
    expect(lane.room).toBe(0);
    lane.submitted(3);
    expect(lane.room).toBe(3);
    lane.reserved = 2;
    expect(lane.room).toBe(1);
    lane.reserved = 0;
    // Not counted for long: one more than it knows of, which tells whether there are others.
    await clock.advance(1_000);
    expect(lane.room).toBe(4);
    claim(4, 3);
    expect(lane.room).toBe(0);
    await clock.advance(1_000);
    claim(1, 1);
    expect(lane.room).toBe(Number.POSITIVE_INFINITY);
  });

  it("is why it asks for lower priorities first only where some tasks are left behind", () => {
    expect(lane.aged(20)).toEqual([PRIORITIES.normal, PRIORITIES.low]);
    claim(1, 0);
    lane.submitted(20);
    expect(lane.aged(20)).toEqual([]);
    lane.submitted(1);
    expect(lane.aged(20)).toEqual([PRIORITIES.normal, PRIORITIES.low]);
  });
});
