import { describe, expect, it } from "vitest";
import type { NewStep } from "../src/generator/draft.ts";
import { Ticks } from "../src/guards.ts";
import { scriptOf } from "./support/worlds.ts";

const PUBLISH: NewStep = { op: "publish", bus: 0, subject: "a" };
const NAK: NewStep = { op: "settle", owner: "d", pick: 0, how: "nak" };

function poll(durable: string): NewStep {
  return { op: "poll", bus: 0, durable, subject: "a", options: {} };
}

/** The ticks in which steps are run. */
function ticksOf(...steps: readonly NewStep[]): number[] {
  const ticks = new Ticks();
  return scriptOf(...steps).steps.map((step) => ticks.place(step));
}

describe("Ticks", () => {
  it("puts steps that have nothing to do with each other into one tick", () => {
    expect(ticksOf(PUBLISH, poll("d"), { op: "get", bus: 0, bucket: "b", key: "k" })).toEqual([
      0, 0, 0,
    ]);
  });

  it("moves on by what is waited", () => {
    expect(ticksOf(PUBLISH, { op: "wait", ticks: 3 }, PUBLISH)).toEqual([0, 3, 3]);
  });

  it("lets a settle arrive before its durable is looked at again, and no other", () => {
    expect(ticksOf(poll("d"), NAK, poll("d"))).toEqual([0, 0, 1]);
    expect(ticksOf(poll("d"), NAK, poll("e"))).toEqual([0, 0, 0]);
  });

  it("knows the durable of a subscription by the name of the subscription", () => {
    const ticks = ticksOf(
      { op: "subscribe", bus: 0, name: "sub", durable: "d", subject: "a", options: {} },
      { op: "wait", ticks: 1 },
      { op: "settle", owner: "sub", pick: 0, how: "nak" },
      poll("d"),
    );
    expect(ticks).toEqual([0, 1, 1, 2]);
  });

  it("lets a job that was given back arrive before the queue is claimed from", () => {
    const ticks = ticksOf(
      { op: "job", queue: "q", pick: 0, how: "nak" },
      { op: "claim", bus: 0, queue: "q.two" },
      { op: "claim", bus: 0, queue: "q" },
    );
    expect(ticks).toEqual([0, 0, 1]);
  });

  it("runs nothing beside a bus that opens or closes", () => {
    expect(ticksOf(PUBLISH, { op: "closeBus", bus: 1 }, PUBLISH)).toEqual([0, 1, 2]);
    expect(ticksOf({ op: "openBus", bus: 1 }, PUBLISH)).toEqual([0, 1]);
  });

  it("has no more steps in a tick than a server has time for", () => {
    const ticks = ticksOf(...Array.from({ length: 60 }, () => PUBLISH));
    for (const tick of new Set(ticks)) {
      expect(ticks.filter((one) => one === tick).length).toBeLessThan(20);
    }
  });
});
