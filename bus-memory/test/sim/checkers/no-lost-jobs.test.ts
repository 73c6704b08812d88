import type { ClaimedJob } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { DeadLetterStore } from "../../../src/engine/dead-letter-store.ts";
import { Queue } from "../../../src/engine/queue.ts";
import { noLostJobs, type ProcessContext, simulate, type World } from "../../../src/index.ts";
import { every, finding, plant, plantLeases } from "./planted.ts";
import { enqueued, given, JOB } from "./stories.ts";
import { finalVerdict, Story, verdict } from "./story.ts";

/** Claims, and settles each job in its own way. */
async function drain({ bus, signal, clock }: ProcessContext): Promise<void> {
  while (!signal.aborted) {
    const options = { workerId: "w", leaseMs: 1_000, waitMs: 1_000 };
    for (const job of await bus.jobs.claim("q", options)) {
      const number = Number(job.id) % 4;
      // Slow enough for a lease that is too short.
      await clock.sleep(700);
      await settle(job, number).catch(() => undefined);
    }
  }
}

async function settle(job: ClaimedJob, way: number): Promise<void> {
  if (way === 0 && job.attempt === 1) await job.nak();
  else if (way === 1) await job.deadLetter("no");
  else await job.ack({ confirm: true });
}

async function twoWorkers(world: World): Promise<void> {
  world.process("w1", drain);
  world.process("w2", drain);
  const { bus } = world.process("producer");
  for (let count = 1; count <= 12; count += 1) {
    await bus.jobs.enqueue("q", { payload: `p${count}`, headers: { n: `${count}` } });
  }
  await world.sleep(20_000);
}

/** Jobs of one attempt: each is given back twice and then acked, some are removed before. */
async function givenBackOrRemoved(world: World): Promise<void> {
  world.process("worker", async ({ bus, signal, clock }) => {
    const claims = new Map<string, number>();
    while (!signal.aborted) {
      for (const job of await bus.jobs.claim("q", { workerId: "w", waitMs: 1_000 })) {
        const count = (claims.get(job.id) ?? 0) + 1;
        claims.set(job.id, count);
        await clock.sleep(50);
        await (count < 3 ? job.giveBack() : job.ack({ confirm: true })).catch(() => undefined);
      }
    }
  });
  const { bus, clock } = world.process("producer");
  for (let count = 1; count <= 9; count += 1) {
    const { id } = await bus.jobs.enqueue("q", { payload: `p${count}`, maxAttempts: 1 });
    await clock.sleep(40);
    if (count % 3 === 0) await bus.jobs.remove("q", id);
  }
  await world.sleep(5_000);
}

const checkers = () => [noLostJobs()];

it("noLostJobs takes no offence at what is given back or removed", async () => {
  const checker = noLostJobs();
  const options = { seed: 7, checkers: () => [checker], drain: (world: World) => world.isAtRest() };
  await simulate(options, givenBackOrRemoved);
  expect(checker.counts).toMatchObject({ jobs: 9, retries: 0, afterLease: 0 });
  expect(checker.counts["givenBack"]).toBeGreaterThanOrEqual(12);
});

describe("noLostJobs finds in the engine", () => {
  it("an enqueue that stores nothing", async () => {
    const now = every(5);
    let lost = 0;
    plant(Queue.prototype, "enqueue", (right) => {
      return function lossy(this: Queue, ...job) {
        if (!now()) return right.apply(this, job);
        lost += 1;
        return { id: `lost-${lost}`, duplicate: false };
      };
    });
    expect(await finding(checkers, twoWorkers)).toMatch(
      /of 2 jobs without ack or dead letter, 0 are in the queue: lost-/,
    );
  });

  it("a dead letter that is not kept", async () => {
    plant(DeadLetterStore.prototype, "add", () => () => undefined);
    expect(await finding(checkers, twoWorkers)).toMatch(
      /of 3 jobs without ack or dead letter, 0 are in the queue/,
    );
  });

  it("an enqueue that stores twice", async () => {
    const now = every(5);
    plant(Queue.prototype, "enqueue", (right) => {
      return function doubling(this: Queue, ...job) {
        if (now()) right.apply(this, job);
        return right.apply(this, job);
      };
    });
    expect(await finding(checkers, twoWorkers)).toMatch(
      /no process enqueued it|more jobs were delivered than enqueued/,
    );
  });

  it("another payload", async () => {
    const now = every(5);
    plant(Queue.prototype, "enqueue", (right) => {
      return function garbling(this: Queue, payload, ...rest) {
        return right.call(this, now() ? new Uint8Array([120]) : payload, ...rest);
      };
    });
    expect(await finding(checkers, twoWorkers)).toMatch(/another payload|no process enqueued it/);
  });

  it("headers that were lost", async () => {
    plant(Queue.prototype, "enqueue", (right) => {
      return function bare(this: Queue, payload, content, delayMs) {
        return right.call(this, payload, { ...content, headers: {} }, delayMs);
      };
    });
    expect(await finding(checkers, twoWorkers)).toMatch(/other headers|no process enqueued it/);
  });

  it("a job that comes again after a confirmed ack", async () => {
    plant(Queue.prototype, "finish", () => {
      return function forgetful(this: Queue, lease) {
        this.retry(lease, 0, undefined);
      };
    });
    expect(await finding(checkers, twoWorkers)).toMatch(/was done for good with fence \d+ \(ack\)/);
  });

  it("a job that comes again after its dead letter", async () => {
    plant(Queue.prototype, "giveUp", (right) => {
      return function doubling(this: Queue, lease, reason) {
        right.call(this, lease, reason);
        this.replay(lease.job);
      };
    });
    expect(await finding(checkers, twoWorkers)).toMatch(/was done for good with fence \d+ \(dead/);
  });

  it("an attempt that does not count", async () => {
    plant(Queue.prototype, "retry", (right) => {
      return function uncounted(this: Queue, lease, ...rest) {
        lease.job.attempt = 0;
        right.call(this, lease, ...rest);
      };
    });
    expect(await finding(checkers, twoWorkers)).toMatch(/attempt 1 was handed out twice/);
  });

  it("a job that was given back and is lost", async () => {
    plant(Queue.prototype, "giveBack", () => {
      return function forgetful(this: Queue, lease) {
        this.finish(lease);
      };
    });
    expect(await finding(checkers, givenBackOrRemoved)).toMatch(/jobs without ack or dead letter/);
  });

  it("a removed job that comes again", async () => {
    plant(Queue.prototype, "remove", () => () => true);
    expect(await finding(checkers, givenBackOrRemoved)).toMatch(/was removed, .* and came again/);
  });

  it("a lease that ends too early", async () => {
    plantLeases(Queue.prototype, (request) => ({ ...request, leaseMs: request.leaseMs / 2 }));
    expect(await finding(checkers, twoWorkers)).toMatch(/without a cause: the lease of w\d .* ran/);
  });
});

describe("noLostJobs, what it says of", () => {
  it("an enqueue that was refused: nothing may come of it", () => {
    const story = new Story();
    const call = story.call("p", "jobs.enqueue", "q", { payload: "x" });
    expect(verdict(noLostJobs(), given(story.error(call, "INVALID_ARGUMENT")))).toMatch(
      /no process/,
    );
  });

  it("an enqueue that was never sent: nothing may come of it", () => {
    const story = new Story();
    const call = story.call("p", "jobs.enqueue", "q", { payload: "x" });
    story.error(call, "DISCONNECTED", { outcome: "notSent" });
    expect(verdict(noLostJobs(), given(story))).toMatch(/no process/);
  });

  it("an enqueue of unknown outcome: one job may come of it, however late, and not two", () => {
    const story = new Story();
    const call = story.call("p", "jobs.enqueue", "q", { payload: "x" });
    given(story.at(5_000).error(call, "TIMEOUT").at(60_000));
    expect(verdict(noLostJobs(), story)).toBeUndefined();
    given(story, { id: "2" });
    expect(verdict(noLostJobs(), story)).toMatch(/job 2 .* no process enqueued it/);
  });

  it("an enqueue of unknown outcome that nothing came of: it is not missed", async () => {
    const story = new Story();
    story.error(story.call("p", "jobs.enqueue", "q", { payload: "x" }), "TIMEOUT");
    story.call("killed", "jobs.enqueue", "q", { payload: "y" });
    story.note("killed", "killed");
    expect(await finalVerdict(noLostJobs(), story)).toEqual([]);
  });

  it("a delivery before the answer of its enqueue: it is that job, and no other id", () => {
    const story = new Story();
    const call = story.call("p", "jobs.enqueue", "q", { payload: "x" });
    given(story).result(call, { id: "1", duplicate: false });
    expect(verdict(noLostJobs(), story)).toBeUndefined();
    const other = new Story();
    const open = other.call("p", "jobs.enqueue", "q", { payload: "x" });
    given(other).result(open, { id: "9", duplicate: false });
    expect(verdict(noLostJobs(), other)).toMatch(/more jobs were delivered than enqueued/);
  });

  it("a duplicate: the job it names is missed like any other", async () => {
    const story = new Story();
    story.error(story.call("p", "jobs.enqueue", "q", { payload: "x", dedupKey: "k" }), "TIMEOUT");
    story.did("p", "jobs.enqueue", "q", {
      asked: { payload: "x", dedupKey: "k" },
      got: { id: "1", duplicate: true },
    });
    expect(await finalVerdict(noLostJobs(), story)).toMatchObject([/of 1 jobs without ack/]);
    const done = given(story).did("w", "job.ack", "q", { asked: { id: "1", fence: 1 } });
    expect(await finalVerdict(noLostJobs(), done)).toEqual([]);
  });

  it("enqueueMany: each of its jobs counts", async () => {
    const asked = { jobs: [{ payload: "x" }, { payload: "y" }] };
    const got = { jobs: ["1", "2"].map((id) => ({ id, duplicate: false })) };
    const story = new Story().did("p", "jobs.enqueueMany", "q", { asked, got });
    given(story).did("w", "job.ack", "q", { asked: { id: "1", fence: 1 } });
    expect(await finalVerdict(noLostJobs(), story)).toMatchObject([/of 1 jobs .*: 2 /]);
  });

  it("one id for two jobs", () => {
    const story = enqueued().did("p", "jobs.enqueue", "q", {
      asked: { payload: "y" },
      got: { id: "1", duplicate: false },
    });
    expect(verdict(noLostJobs(), story)).toMatch(/two enqueues were answered with the id 1/);
  });

  it("a job that is still in the queue: enough before a liveness phase, too little after it", async () => {
    const prepare = async (bus: {
      jobs: { enqueue(q: string, job: object): Promise<unknown> };
    }) => {
      await bus.jobs.enqueue("q", { payload: "x" });
    };
    expect(await finalVerdict(noLostJobs(), enqueued(), { drained: false, prepare })).toEqual([]);
    expect(await finalVerdict(noLostJobs(), enqueued(), { drained: true, prepare })).toMatchObject([
      /1 are in the queue: 1/,
    ]);
    expect(await finalVerdict(noLostJobs(), enqueued(), { drained: false })).toMatchObject([
      /0 are/,
    ]);
  });

  it("an ack that was refused: it is none", async () => {
    const story = given(enqueued());
    const ack = story.call("w", "job.ack", "q", { id: "1", fence: 1, confirm: true });
    story.error(ack, "LEASE_LOST");
    expect(await finalVerdict(noLostJobs(), story)).toMatchObject([/of 1 jobs without ack/]);
  });

  it("a worker that was killed with its ack under way: the job may be done, or come again", async () => {
    const story = given(enqueued());
    story.call("w", "job.ack", "q", { id: "1", fence: 1, confirm: true });
    story.note("w", "killed").note("w", "started 2", { rate: 1 });
    expect(await finalVerdict(noLostJobs(), story)).toEqual([]);
    given(story.at(1_000), { attempt: 2, fence: 2 });
    const checker = noLostJobs();
    expect(verdict(checker, story)).toBeUndefined();
    expect(checker.counts).toMatchObject({ executions: 2, afterLostSettle: 1 });
  });

  it("a confirmed ack: the job never comes again, but where a crash has lost it", () => {
    const acked = () =>
      given(enqueued())
        .at(100)
        .did("w", "job.ack", "q", { asked: { id: "1", fence: 1, confirm: true } });
    const again = { attempt: 2, fence: 2 };
    expect(verdict(noLostJobs(), given(acked().at(1_000), again))).toMatch(/done for good/);
    const crashed = (lostSettlesMs: number) =>
      given(acked().at(250).fault("server", "serverCrash", { lostSettlesMs }).at(1_000), again);
    expect(verdict(noLostJobs(), crashed(200))).toBeUndefined();
    expect(verdict(noLostJobs(), crashed(100))).toMatch(/done for good/);
  });

  it("an old delivery that was under way for long: it may arrive after the ack of a later one", () => {
    const story = given(enqueued().at(2_000), { attempt: 2, fence: 2 });
    story.did("w", "job.ack", "q", { asked: { id: "1", fence: 2, confirm: true } });
    expect(verdict(noLostJobs(), given(story, { leftMs: -1_000 }))).toBeUndefined();
  });

  it("more attempts than allowed, but for a replay", () => {
    const story = () =>
      new Story().did("p", "jobs.enqueue", "q", {
        asked: { payload: "x", maxAttempts: 1 },
        got: { id: "1", duplicate: false },
      });
    const second = (one: Story) => given(one.at(5_000), { attempt: 2, fence: 2 });
    expect(verdict(noLostJobs(), second(given(story())))).toMatch(/attempt 2, .* of at most 1/);
    const replayed = given(story()).did("p", "deadLetters.replay", "q", { asked: { id: "1" } });
    expect(verdict(noLostJobs(), given(replayed.at(5_000), { fence: 2 }))).toBeUndefined();
  });

  it("what came again while its lease ran, by the clock of the worker", () => {
    const story = (rate: number, atMs: number) =>
      // The worker has 900 ms left of 1,000: the lease was granted 100 ms of its time ago.
      given(enqueued().note("w", "started 1", { rate }).at(100), { leftMs: 900 })
        .at(atMs)
        .deliver("v", "job", "q", { ...JOB, attempt: 2, fence: 2 });
    expect(verdict(noLostJobs(), story(1, 999))).toMatch(/without a cause/);
    expect(verdict(noLostJobs(), story(1, 1_000))).toBeUndefined();
    // A clock of half the speed: it was granted 200 ms ago.
    expect(verdict(noLostJobs(), story(0.5, 899))).toMatch(/without a cause/);
    expect(verdict(noLostJobs(), story(0.5, 900))).toBeUndefined();
  });

  it("what was purged or discarded: it is not missed, what came after is", async () => {
    const purged = enqueued().did("p", "jobs.purge", "q");
    expect(await finalVerdict(noLostJobs(), purged)).toEqual([]);
    purged.did("p", "jobs.enqueue", "q", {
      asked: { payload: "y" },
      got: { id: "2", duplicate: false },
    });
    expect(await finalVerdict(noLostJobs(), purged)).toMatchObject([/of 1 jobs .*: 2 /]);
    const discarded = enqueued().did("p", "deadLetters.discard", "q", { asked: { id: "1" } });
    expect(await finalVerdict(noLostJobs(), discarded)).toEqual([]);
  });

  it("a write that a crash has lost: it is counted", async () => {
    const crashed = (atMs: number) =>
      enqueued().at(atMs).fault("server", "serverCrash", { lostWritesMs: 100 });
    const checker = noLostJobs();
    expect(await finalVerdict(checker, crashed(50))).toEqual([]);
    expect(checker.counts).toMatchObject({ lostWrites: 1 });
    expect(await finalVerdict(noLostJobs(), crashed(150))).toMatchObject([/of 1 jobs/]);
  });

  it("a job like one that a crash has lost: it may be done again", () => {
    const twice = (lostWritesMs: number): Story => {
      const story = new Story();
      story.error(story.call("p", "jobs.enqueue", "q", { payload: "x" }), "TIMEOUT");
      const ack = { asked: { id: "1", fence: 1, confirm: true } };
      given(story).at(10).did("w", "job.ack", "q", ack);
      story.at(20).fault("server", "serverCrash", { lostWritesMs }).at(100);
      story.did("p", "jobs.enqueue", "q", {
        asked: { payload: "x" },
        got: { id: "1", duplicate: false },
      });
      return given(story, { fence: 2 });
    };
    expect(verdict(noLostJobs(), twice(50))).toBeUndefined();
    expect(verdict(noLostJobs(), twice(0))).toMatch(/was done for good/);
  });

  it("an enqueue that is sent again after a crash has lost it: it may be given twice", () => {
    const story = (lostWritesMs: number): Story => {
      const begun = new Story();
      begun.call("p", "jobs.enqueue", "q", { payload: "x", dedupKey: "k" });
      given(begun, { id: "2" }).at(10).fault("server", "serverCrash", { lostWritesMs });
      return given(begun.at(20));
    };
    expect(verdict(noLostJobs(), story(50))).toBeUndefined();
    expect(verdict(noLostJobs(), story(0))).toMatch(/no process enqueued it/);
    expect(verdict(noLostJobs(), given(story(50), { id: "3" }))).toMatch(/no process enqueued it/);
  });
});
