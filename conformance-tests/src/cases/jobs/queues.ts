import { type ClaimedJob, errorCode } from "@busbar/core";
import { check, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkNothing,
  claimNow,
  claimOne,
  deadLettersBecome,
  EMPTY,
  enqueueTexts,
  LONG_MS,
  pass,
  QUEUE,
  statsBecome,
  textsOf,
} from "./helpers.ts";
import { checkAtOnce, later, range } from "./timing.ts";

/** `purge`, `deleteQueue`, and that queues are apart. */
export const queueCases: readonly ConformanceCase[] = [
  {
    id: "JQ-PURGE-001",
    title: "purge removes and counts what is ready, delayed and leased, and keeps dead letters",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["dead", "leased 1", "leased 2", "ready 1", "ready 2"]);
      await enqueueTexts(bus, ["high"], { priority: 8 });
      await enqueueTexts(bus, ["delayed"], { delayMs: 300 });
      await enqueueTexts(bus, ["other"], {}, "other");
      const [, dead, lapses] = await claimNow(bus, 4, { leaseMs: 300 });
      check(dead && lapses, "not all were handed out");
      await dead.deadLetter("no use");
      await deadLettersBecome(context, bus, 1);
      checkEqual(await bus.jobs.purge(QUEUE), 6, "the number of purged jobs");
      await statsBecome(context, bus, { ...EMPTY, dead: 1 });
      await checkNothing(bus, "right after the purge");
      await pass(context, 300);
      await checkNothing(bus, "after leases and delays");
      checkEqual(textsOf((await bus.jobs.deadLetters.list(QUEUE)).entries), ["dead"], "dead ones");
      checkEqual(await bus.jobs.purge(QUEUE), 0, "the number of a second purge");
      checkEqual(await bus.jobs.purge("unused"), 0, "the number of an unused queue");
      checkEqual(textsOf(await claimNow(bus, 10, {}, "other")), ["other"], "the other queue");
      await enqueueTexts(bus, ["new"]);
      checkEqual(textsOf(await claimNow(bus)), ["new"], "what comes after the purge");
    },
  },
  {
    id: "JQ-PURGE-004",
    title: "A claim after a purge ends when its time is over, whoever purged",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      for (const purger of [bus, other]) {
        await enqueueTexts(bus, ["low"]);
        await enqueueTexts(bus, ["high"], { priority: 9 });
        checkEqual(await purger.jobs.purge(QUEUE), 2, "the number of purged jobs");
        const from = clock.monotonic() + 50;
        checkEqual(await bus.jobs.claim(QUEUE, { workerId: "w", waitMs: 50 }), [], "the jobs");
        checkAtOnce(context, { from, to: clock.monotonic() }, "the end of the wait");
      }
    },
  },
  {
    id: "JQ-PURGE-002",
    title: "What workers do with purged jobs has no effect",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["ack", "nak", "late", "dead", "last", "beat", "back"], {
        maxAttempts: 1,
      });
      const jobs = await claimNow(bus, 7);
      checkEqual(await other.jobs.purge(QUEUE), 7, "the number of purged jobs");
      await enqueueTexts(other, ["new"]);
      const settled = await Promise.allSettled([
        jobs[0]?.ack({ confirm: true }),
        jobs[1]?.nak({ reason: "too late" }),
        jobs[2]?.nak({ delayMs: 10 }),
        jobs[3]?.deadLetter("too late"),
        jobs[4]?.ack(),
        jobs[5]?.heartbeat({ leaseMs: 100 }),
        jobs[6]?.giveBack(),
      ]);
      // Whether the worker is told is left open; what must not happen is that it matters.
      for (const one of settled) {
        if (one.status === "rejected") {
          checkEqual(errorCode(one.reason), "LEASE_LOST", "the code of a settle after purge");
        }
      }
      await pass(context, 100);
      checkEqual(await other.jobs.stats(QUEUE), { ...EMPTY, ready: 1 }, "the stats");
      checkEqual(await other.jobs.deadLetters.count(QUEUE), 0, "dead letters");
      checkEqual(textsOf(await claimNow(bus)), ["new"], "the jobs");
    },
  },
  {
    id: "JQ-PURGE-003",
    title: "A purge of a paused queue leaves it paused",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      await enqueueTexts(bus, ["a", "b"]);
      await bus.jobs.pause(QUEUE);
      checkEqual(await bus.jobs.purge(QUEUE), 2, "the number of purged jobs");
      await enqueueTexts(bus, ["c"]);
      await checkNothing(bus, "a claim while paused");
      await bus.jobs.resume(QUEUE);
      checkEqual(textsOf(await claimNow(bus)), ["c"], "the jobs");
    },
  },
  {
    id: "JQ-QUEUE-001",
    title: "deleteQueue removes jobs, dead letters and pause, and says whether there was a queue",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      checkEqual(await bus.jobs.deleteQueue("unused"), false, "an unused queue");
      await enqueueTexts(bus, ["dead", "leased", "ready"]);
      await enqueueTexts(bus, ["other"], {}, "other");
      const [dead] = await claimNow(bus, 2);
      await dead?.deadLetter("no use");
      await deadLettersBecome(context, bus, 1);
      await bus.jobs.pause(QUEUE);
      checkEqual(await bus.jobs.deleteQueue(QUEUE), true, "an existing queue");
      checkEqual(await bus.jobs.deleteQueue(QUEUE), false, "the same queue again");
      checkEqual(await bus.jobs.stats(QUEUE), EMPTY, "the stats");
      checkEqual(await bus.jobs.deadLetters.count(QUEUE), 0, "dead letters");
      await enqueueTexts(bus, ["new"]);
      checkEqual(textsOf(await claimNow(bus)), ["new"], "the jobs of the new queue");
      checkEqual(textsOf(await claimNow(bus, 10, {}, "other")), ["other"], "the other queue");
    },
  },
  {
    id: "JQ-QUEUE-002",
    title: "A queue that another bus removed is made again on use",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      for (const one of [bus, other]) {
        await enqueueTexts(one, ["old"]);
        await (await claimOne(one)).ack({ confirm: true });
      }
      await enqueueTexts(bus, ["old"]);
      checkEqual(await bus.jobs.deleteQueue(QUEUE), true, "the queue was there");
      checkEqual(textsOf(await claimNow(other)), [], "the jobs for the other bus");
      await enqueueTexts(other, ["new"], { priority: 3 });
      const job = await claimOne(bus);
      checkEqual([textsOf([job])[0], job.attempt], ["new", 1], "the job and its attempt");
      await job.ack({ confirm: true });
      checkEqual(await other.jobs.stats(QUEUE), EMPTY, "the stats");
    },
  },
  {
    id: "JQ-QUEUE-006",
    title: "A claim that waits while its queue is removed gets what is enqueued after that",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["dead"]);
      await (await claimOne(bus)).deadLetter("no use");
      await deadLettersBecome(context, bus, 1);
      const waiting = later(claimOne(other));
      await context.clock.sleep(50);
      await bus.jobs.pause(QUEUE);
      checkEqual(await bus.jobs.deleteQueue(QUEUE), true, "the queue was there");
      await enqueueTexts(bus, ["new"]);
      const job = await waiting;
      checkEqual([textsOf([job])[0], job.attempt], ["new", 1], "the job and its attempt");
      checkEqual(await bus.jobs.stats(QUEUE), { ...EMPTY, leased: 1 }, "the stats");
      checkEqual(await bus.jobs.deadLetters.count(QUEUE), 0, "dead letters");
    },
  },
  {
    id: "JQ-QUEUE-008",
    title: "A claim that waits while its queue is removed ends when its time is over",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      for (const remover of [bus, other]) {
        await claimNow(bus);
        const from = clock.monotonic() + 300;
        const waiting = later(bus.jobs.claim(QUEUE, { workerId: "w", waitMs: 300 }));
        await clock.sleep(50);
        checkEqual(await remover.jobs.deleteQueue(QUEUE), true, "the queue was there");
        checkEqual(await waiting, [], "the jobs");
        checkAtOnce(context, { from, to: clock.monotonic() }, "the end of the wait");
      }
    },
  },
  {
    id: "JQ-QUEUE-007",
    title: "What workers do with jobs of a removed queue has no effect on a queue made anew",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const settles: [string, (job: ClaimedJob) => Promise<void>][] = [
        ["ack", (job) => job.ack({ confirm: true })],
        ["nak", (job) => job.nak({ reason: "old" })],
        ["nak with a delay", (job) => job.nak({ delayMs: 60_000 })],
        ["giveBack", (job) => job.giveBack()],
        ["giveBack with a delay", (job) => job.giveBack({ delayMs: 60_000 })],
        ["deadLetter", (job) => job.deadLetter("old")],
        ["heartbeat", (job) => job.heartbeat({ leaseMs: 100 })],
      ];
      for (const [what, settle] of settles) {
        for (const [who, remover] of [
          ["its own bus", bus],
          ["another bus", other],
        ] as const) {
          const label = `${what} after ${who} removed the queue`;
          await enqueueTexts(bus, ["old"], { maxAttempts: 1 });
          const old = await claimOne(bus);
          checkEqual(await remover.jobs.deleteQueue(QUEUE), true, "the queue was there");
          await enqueueTexts(remover, ["new"], { maxAttempts: 1 });
          const job = await claimOne(bus);
          checkEqual(textsOf([job]), ["new"], `the job, ${label}`);
          await settle(old);
          await context.clock.sleep(what === "heartbeat" ? 200 : 20);
          checkEqual(await bus.jobs.stats(QUEUE), { ...EMPTY, leased: 1 }, `the stats, ${label}`);
          checkEqual(textsOf(await claimNow(other)), [], `the jobs for the other bus, ${label}`);
          await job.ack({ confirm: true });
          checkEqual(await bus.jobs.stats(QUEUE), EMPTY, `the stats at the end, ${label}`);
        }
      }
    },
  },
  {
    id: "JQ-QUEUE-003",
    title: "Queues with similar names are different queues",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const queues = ["q", "Q", "q.1", "q_1", "q-1", "q1", "q__1", "q--1", "q.1.1", "1", "dead"];
      for (const queue of queues) await enqueueTexts(bus, [queue], { priority: 1 }, queue);
      for (const queue of queues) {
        checkEqual(
          await bus.jobs.stats(queue),
          { ...EMPTY, ready: 1 },
          `the stats of ${queue} before the claim`,
        );
        const jobs = await claimNow(bus, 10, {}, queue);
        checkEqual(textsOf(jobs), [queue], `the jobs of ${queue}`);
        checkEqual(jobs[0]?.queue, queue, "queue");
        await jobs[0]?.deadLetter("no use");
        const letters = (await bus.jobs.deadLetters.list(queue)).entries;
        checkEqual(textsOf(letters), [queue], `the dead letters of ${queue}`);
      }
      checkEqual(await bus.jobs.deleteQueue("q.1"), true, "deleteQueue");
      for (const queue of queues.filter((name) => name !== "q.1")) {
        checkEqual(await bus.jobs.deadLetters.count(queue), 1, `${queue} after a removal`);
      }
    },
  },
  {
    id: "JQ-QUEUE-004",
    title: "Many queues may be used for the first time by many at once",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open(), await context.open()];
      await Promise.all(
        range(60).map((index) =>
          (buses[index % 3] as typeof bus).jobs.enqueue(`q${index % 4}`, {
            payload: `${index}`,
            priority: index % 5,
          }),
        ),
      );
      const seen: string[] = [];
      for (const queue of range(4)) {
        const jobs = await claimNow(buses[queue % 3] as typeof bus, 100, {}, `q${queue}`);
        checkEqual(jobs.length, 15, `jobs of q${queue}`);
        seen.push(...textsOf(jobs));
      }
      checkEqual(new Set(seen).size, 60, "different jobs");
    },
  },
  {
    id: "JQ-QUEUE-005",
    title: "A purge while jobs come in leaves either a job or nothing, and the counts agree",
    contract: "jobs",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      let purged = 0;
      const enqueuing = (async () => {
        for (const index of range(150)) await enqueueTexts(bus, [`${index}`]);
      })();
      for (const _purge of range(10)) purged += await other.jobs.purge(QUEUE);
      await enqueuing;
      const { ready } = await bus.jobs.stats(QUEUE);
      checkEqual(purged + ready, 150, "purged and ready jobs");
      checkEqual((await claimNow(bus, 1_000, { leaseMs: LONG_MS })).length, ready, "claimed jobs");
    },
  },
];
