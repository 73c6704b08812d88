import { describe, expect, it } from "vitest";
import { clearScripts, scriptOf, tell } from "./support/worlds.ts";

/** Half-way between the windows of two ticks, where nothing is run. */
const HALF = 0.45;

describe("referenceOf", () => {
  it("tells the same of a script each time", async () => {
    for await (const { script, reference } of clearScripts(60)) {
      expect(await tell(script)).toEqual(reference);
    }
  });

  it("tells something of each step, in ticks that only grow", async () => {
    for await (const { script, reference } of clearScripts(60)) {
      const ticks = reference.entries.map(({ tick }) => tick);
      expect(ticks).toHaveLength(script.steps.length);
      expect(ticks).toEqual([...ticks].sort((a, b) => a - b));
    }
  });

  it("is clear if what runs out does so between two windows", async () => {
    const { isClear, entries } = await tell(leaseOf(1 + HALF));
    expect(isClear).toBe(true);
    expect(entries.at(-1)?.outcome).toMatchObject([{ body: "s0@0", attempt: 2 }]);
  });

  it("is not clear if something runs out while steps are run", async () => {
    expect((await tell(leaseOf(2))).isClear).toBe(false);
  });

  it("is not clear if a step ends what would run out a little later in the same window", async () => {
    const endedAt = (ticks: number) =>
      tell(
        scriptOf(
          { op: "enqueue", bus: 0, queue: "q", job: {} },
          { op: "claim", bus: 0, queue: "q", lease: 2.1 },
          { op: "wait", ticks },
          { op: "job", queue: "q", pick: 0, how: "ack" },
        ),
      );
    expect((await endedAt(1)).isClear).toBe(true);
    expect((await endedAt(2)).isClear).toBe(false);
  });

  it("is clear if what runs out then does so when all is over", async () => {
    const { steps } = leaseOf(20);
    expect((await tell({ seed: 0, steps })).isClear).toBe(true);
  });

  it("does not let a step see whether something that is not awaited was quick", async () => {
    const { entries } = await tell(
      scriptOf(
        { op: "publish", bus: 0, subject: "a" },
        { op: "poll", bus: 0, durable: "d", subject: "a", options: { from: "all" } },
        { op: "settle", owner: "d", pick: 0, how: "nak" },
        { op: "poll", bus: 0, durable: "d", subject: "a", options: { from: "all" } },
      ),
    );
    expect(entries.map(({ tick }) => tick)).toEqual([0, 0, 0, 1]);
  });
});

/** A job whose lease runs out, and a claim after that. */
function leaseOf(lease: number): ReturnType<typeof scriptOf> {
  return scriptOf(
    { op: "enqueue", bus: 0, queue: "q", job: {} },
    { op: "claim", bus: 0, queue: "q", lease },
    { op: "wait", ticks: 3 },
    { op: "claim", bus: 0, queue: "q" },
  );
}
