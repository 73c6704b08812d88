import { describe, expect, it } from "vitest";
import { Queue } from "../../../src/engine/queue.ts";
import { atMost, type ProcessContext, type World } from "../../../src/index.ts";
import { finding, plant, plantLeases } from "./planted.ts";
import { Story, verdict } from "./story.ts";

/** Works on `max` jobs at once, 700 ms each. */
function working(max: number): (context: ProcessContext) => Promise<void> {
  return async ({ bus, signal, clock }) => {
    while (!signal.aborted) {
      const options = { workerId: "w", leaseMs: 1_000, waitMs: 1_000, max };
      const jobs = await bus.jobs.claim("q", options);
      await clock.sleep(700);
      for (const job of jobs) await job.ack({ confirm: true }).catch(() => undefined);
    }
  };
}

async function twoWorkers(world: World, max: number): Promise<void> {
  for (const name of ["w1", "w2"]) world.process(name, working(max));
  const { bus } = world.process("producer");
  for (let count = 0; count < 12; count += 1) await bus.jobs.enqueue("q", { payload: "x" });
  await world.sleep(20_000);
}

describe("atMost finds in the engine", () => {
  it("a claim that gives more than it was asked for", async () => {
    plant(Queue.prototype, "claim", (right) => {
      return function generous(this: Queue, request) {
        return right.call(this, { ...request, max: request.max + 1 });
      };
    });
    const found = finding(
      () => [atMost(2, "q")],
      (world) => twoWorkers(world, 1),
    );
    expect(await found).toMatch(
      /queue q: 3 run at the same time, allowed are 2: job \d+ at w\d \(attempt 1, .*, job \d+ at w/,
    );
  });

  it("a job that two workers have", async () => {
    plantLeases(Queue.prototype, (request) => ({ ...request, leaseMs: request.leaseMs / 4 }));
    const one = () => [atMost(1, ({ id }) => `job ${id}`)];
    expect(await finding(one, (world) => twoWorkers(world, 1))).toMatch(
      /job \d+: 2 run at the same time, allowed are 1/,
    );
  });

  it("nothing where workers take what they may", async () => {
    const found = finding(
      () => [atMost(2, "q"), atMost(1, ({ id }) => id)],
      (world) => twoWorkers(world, 1),
    );
    await expect(found).rejects.toThrow("the planted bug was not found");
    const more = finding(
      () => [atMost(2, "q")],
      (world) => twoWorkers(world, 2),
    );
    expect(await more).toMatch(/queue q: \d run at the same time/);
  });
});

function given(story: Story, id: string, process = "w", facts: object = {}, queue = "q"): Story {
  const usual = { id, attempt: 1, fence: Number(id), leaseMs: 1_000, leftMs: 1_000, payload: "x" };
  return story.deliver(process, "job", queue, { ...usual, ...facts });
}

/** One job runs from 0 on; after `between` another one begins at `atMs`. */
function next(atMs: number, between: (story: Story) => unknown = () => undefined): Story {
  const story = given(new Story(), "1");
  between(story);
  return given(story.at(atMs), "2");
}

const checker = () => atMost(1, "q");
const TOO_MANY = /queue q: 2 run at the same time, allowed are 1: job 1 .*, job 2 /;

describe("atMost, what it says of", () => {
  it("two jobs at once: the limit decides, and the queue", () => {
    expect(verdict(checker(), next(999))).toMatch(TOO_MANY);
    expect(verdict(atMost(2, "q"), next(999))).toBeUndefined();
    const apart = given(given(new Story(), "1"), "2", "w", {}, "other");
    expect(verdict(checker(), apart)).toBeUndefined();
    expect(
      verdict(
        atMost(1, ({ process }) => process),
        given(next(0), "3", "v"),
      ),
    ).toMatch(/w: 2/);
    expect(
      verdict(
        atMost(1, () => undefined),
        next(0),
      ),
    ).toBeUndefined();
    expect(
      verdict(
        atMost(1, ({ queue }) => queue),
        apart,
      ),
    ).toBeUndefined();
  });

  it("a job that was settled: it is over when the settle is sent", () => {
    for (const settle of ["job.ack", "job.nak", "job.giveBack", "job.deadLetter"]) {
      const settled = (story: Story) => story.at(10).call("w", settle, "q", { id: "1", fence: 1 });
      expect(verdict(checker(), next(10, settled)), settle).toBeUndefined();
    }
    const other = (story: Story) => story.at(10).call("w", "job.ack", "q", { id: "1", fence: 7 });
    expect(verdict(checker(), next(10, other))).toMatch(TOO_MANY);
  });

  it("a settle that was refused: it still runs", () => {
    const refused = (code: string) => (story: Story) =>
      story.error(story.call("w", "job.ack", "q", { id: "1", fence: 1 }), code);
    expect(verdict(checker(), next(10, refused("INVALID_ARGUMENT")))).toMatch(TOO_MANY);
    expect(verdict(checker(), next(10, refused("TIMEOUT")))).toBeUndefined();
  });

  it("a process that ends: so do its jobs, and nobody else's", () => {
    for (const end of ["killed", "stopped", "bus.close", "started 2"]) {
      expect(
        verdict(
          checker(),
          next(10, (story) => story.note("w", end)),
        ),
        end,
      ).toBeUndefined();
    }
    expect(
      verdict(
        checker(),
        next(10, (story) => story.note("v", "killed")),
      ),
    ).toMatch(TOO_MANY);
    expect(
      verdict(
        checker(),
        next(10, (story) => story.note("w", "paused")),
      ),
    ).toMatch(TOO_MANY);
  });

  it("a lease that is over: by the clock of the worker, or by the server's", () => {
    expect(verdict(checker(), next(1_000))).toBeUndefined();
    const rated = (rate: number, atMs: number) =>
      given(given(new Story().note("w", "started 1", { rate }), "1").at(atMs), "2", "v");
    // A fast clock: the worker stops early.
    expect(verdict(checker(), rated(2, 499))).toMatch(TOO_MANY);
    expect(verdict(checker(), rated(2, 500))).toBeUndefined();
    // A slow one: the server has taken the job back.
    expect(verdict(checker(), rated(0.5, 999))).toMatch(TOO_MANY);
    expect(verdict(checker(), rated(0.5, 1_000))).toBeUndefined();
  });

  it("a lease that was renewed: it lasts longer, if that was confirmed", () => {
    const beat = (story: Story) => story.at(500).call("w", "job.heartbeat", "q", JOB);
    const renewed = (story: Story) => story.result(beat(story), { leftMs: 1_000 });
    expect(verdict(checker(), next(1_499, renewed))).toMatch(TOO_MANY);
    expect(verdict(checker(), next(1_500, renewed))).toBeUndefined();
    expect(verdict(checker(), next(1_000, beat))).toBeUndefined();
  });

  it("what arrives when its lease is over: it does not run", () => {
    const late = given(new Story(), "1", "w", { leftMs: -1 });
    expect(verdict(checker(), given(late, "2"))).toBeUndefined();
  });

  it("the most that ran: it is counted", () => {
    const counting = atMost(3, "q");
    verdict(counting, given(given(next(10).at(1_500), "3"), "4", "w", {}, "other"));
    expect(counting.counts).toEqual({ executions: 3, most: 2 });
    expect(counting.name).toBe("at most 3 running");
  });

  it("a limit that is none", () => {
    for (const limit of [0, 1.5, 1_000_001, Number.NaN]) {
      expect(() => atMost(limit, "q")).toThrow(/limit .*1.*1000000/);
    }
  });
});

const JOB = { id: "1", fence: 1 };
