import { describe, expect, it } from "vitest";
import { generate } from "../src/generator/generate.ts";
import type { Script, Step } from "../src/script.ts";
import { shrink, withPauses } from "../src/shrink.ts";
import { scriptOf, tell } from "./support/worlds.ts";

const TRIES = 1_000;

/** Whether steps with these operations come in this order. */
function inOrder(script: Script, ops: readonly Step["op"][]): boolean {
  const left = [...ops];
  for (const { op } of script.steps) if (op === left[0]) left.shift();
  return left.length === 0;
}

describe("shrink", () => {
  it("leaves the steps that it takes, and no other", async () => {
    const script = generate(4, { steps: 200 });
    const wanted = ["enqueue", "claim", "stats"] as const;
    expect(inOrder(script, wanted)).toBe(true);
    const fails = async (candidate: Script): Promise<boolean> => inOrder(candidate, wanted);
    const { steps } = await shrink(script, { fails, maxTries: TRIES });
    expect(steps.map(({ op }) => op)).toEqual(wanted);
  });

  it("takes options away, and makes numbers small", async () => {
    const script: Script = {
      ...scriptOf(
        { op: "wait", ticks: 4 },
        {
          op: "enqueue",
          bus: 1,
          queue: "q",
          job: { priority: 5, dedupKey: "key1", maxAttempts: 2, headers: { Kind: "job" } },
          size: "over",
        },
        { op: "job", queue: "q", pick: 3, how: "nak", delay: 1.45, reason: "not today" },
        { op: "enqueueMany", bus: 1, queue: "q", jobs: [{ priority: 1 }, {}, {}] },
      ),
      dedupWindow: 1.45,
    };
    const fails = async ({ steps }: Script): Promise<boolean> =>
      steps.length === 4 && steps[1]?.op === "enqueue" && steps[1].job.dedupKey !== undefined;
    const { dedupWindow, steps } = await shrink(script, { fails, maxTries: TRIES });
    expect(dedupWindow).toBeUndefined();
    expect(steps).toEqual([
      { id: 0, op: "wait", ticks: 1 },
      { id: 1, op: "enqueue", bus: 0, queue: "q", job: { dedupKey: "key1" } },
      { id: 2, op: "job", queue: "q", pick: 0, how: "nak" },
      { id: 3, op: "enqueueMany", bus: 0, queue: "q", jobs: [{ priority: 1 }] },
    ]);
  });

  it("keeps the numbers of steps, which are in their payloads", async () => {
    const script = generate(4, { steps: 60 });
    const last = script.steps.at(-1) as Step;
    const fails = async ({ steps }: Script): Promise<boolean> => steps.at(-1)?.id === last.id;
    expect((await shrink(script, { fails, maxTries: TRIES })).steps).toHaveLength(1);
  });

  it("returns a script that no part of fails", async () => {
    const script = scriptOf({ op: "wait", ticks: 1 }, { op: "stats", bus: 0, queue: "q" });
    const fails = async (candidate: Script): Promise<boolean> => candidate === script;
    expect(await shrink(script, { fails })).toBe(script);
  });

  it("tries no more scripts than it may, and as many at a time as it may", async () => {
    let running = 0;
    let most = 0;
    let tries = 0;
    await shrink(generate(4, { steps: 100 }), {
      maxTries: 50,
      concurrency: 5,
      fails: async () => {
        tries += 1;
        most = Math.max(most, ++running);
        await Promise.resolve();
        running -= 1;
        return false;
      },
    });
    expect(most).toBe(5);
    // The last ones are tried together.
    expect(tries).toBeLessThan(55);
    expect(tries).toBeGreaterThan(45);
  });
});

describe("withPauses", () => {
  it("turns the ticks between steps into steps, which stay when others go", async () => {
    const script = scriptOf(
      { op: "publish", bus: 0, subject: "a" },
      { op: "poll", bus: 0, durable: "d", subject: "a", options: {} },
      { op: "wait", ticks: 2 },
      { op: "settle", owner: "d", pick: 0, how: "nak" },
      { op: "poll", bus: 0, durable: "d", subject: "a", options: {} },
    );
    const { entries } = await tell(script);
    const paused = withPauses(script, entries);
    expect(paused.steps.map((step) => (step.op === "wait" ? step.ticks : step.op))).toEqual([
      "publish",
      "poll",
      2,
      "settle",
      1,
      "poll",
    ]);
    const ids = paused.steps.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const again = await tell(paused);
    expect(again.entries.filter(({ outcome }) => outcome !== null)).toEqual(
      entries.filter(({ outcome }) => outcome !== null),
    );
  });
});
