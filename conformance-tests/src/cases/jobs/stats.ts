import { check, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkNothing,
  claimNow,
  claimOne,
  EMPTY,
  enqueueTexts,
  LONG_MS,
  pass,
  QUEUE,
  statsBecome,
  textsOf,
} from "./helpers.ts";
import { checkAtOnce, later, range } from "./timing.ts";

/** `stats`, `pause` and `resume`. */
export const statsCases: readonly ConformanceCase[] = [
  {
    id: "JQ-STATS-001",
    title: "The counts are exact through the life of jobs: each is in one of the four",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const check = async (ready: number, delayed: number, leased: number, dead: number) => {
        for (const one of [bus, other]) {
          await statsBecome(context, one, { ready, delayed, leased, dead, paused: false });
        }
      };
      await check(0, 0, 0, 0);
      await enqueueTexts(bus, ["a", "b", "c", "d", "e"]);
      await enqueueTexts(bus, ["later"], { delayMs: LONG_MS });
      await enqueueTexts(bus, ["high"], { priority: 7 });
      await check(6, 1, 0, 0);
      const [high, a, b, c] = await claimNow(bus, 4);
      await check(2, 1, 4, 0);
      await high?.heartbeat();
      await check(2, 1, 4, 0);
      await high?.ack();
      await check(2, 1, 3, 0);
      await a?.nak({ delayMs: LONG_MS });
      await check(2, 2, 2, 0);
      await b?.deadLetter("no use");
      await check(2, 2, 1, 1);
      const rest = await claimNow(bus);
      await check(0, 2, 3, 1);
      rest.push(...(c ? [c] : []));
      for (const job of rest) await job.ack();
      await check(0, 2, 0, 1);
      await bus.jobs.deadLetters.replay(QUEUE, b?.id ?? "");
      await check(1, 2, 0, 0);
    },
  },
  {
    id: "JQ-STATS-002",
    title: "A lease that is over still counts as leased until somebody claims; a due job as ready",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a", "b"], { maxAttempts: 3 });
      await enqueueTexts(bus, ["soon"], { delayMs: 1_000 });
      await claimNow(bus, 2, { leaseMs: 150 });
      await statsBecome(context, bus, { ready: 0, delayed: 1, leased: 2 });
      await pass(context, 1_000);
      await statsBecome(context, bus, { ready: 1, delayed: 0, leased: 2 });
      checkEqual(textsOf(await claimNow(bus, 2)), ["a", "b"], "the jobs");
      await statsBecome(context, bus, { ready: 1, delayed: 0, leased: 2 });
    },
  },
  {
    id: "JQ-STATS-004",
    title: "A job that was given back without a delay counts as ready, with one as delayed",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a", "b", "c"]);
      const [a, b] = await claimNow(bus, 2);
      await b?.nak({ delayMs: LONG_MS });
      await a?.nak();
      await statsBecome(context, bus, { ready: 2, delayed: 1, leased: 0 });
      checkEqual(textsOf(await claimNow(bus)), ["a", "c"], "what is ready");
    },
  },
  {
    id: "JQ-STATS-005",
    title: "A job that is purged while a worker has it is counted no more, given back or not",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      await enqueueTexts(bus, ["purged", "purged too"]);
      const jobs = await claimNow(bus, 2);
      checkEqual(await bus.jobs.purge(QUEUE), 2, "purged");
      await jobs[0]?.nak();
      await jobs[1]?.nak({ delayMs: 60_000 });
      await enqueueTexts(bus, ["new"]);
      const { ready, delayed, leased } = await bus.jobs.stats(QUEUE);
      checkEqual({ ready, delayed, leased }, { ready: 1, delayed: 0, leased: 0 }, "the counts");
    },
  },
  {
    id: "JQ-STATS-006",
    title: "Every job whose enqueue has resolved is counted, while others enqueue and work",
    contract: "jobs",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      let [enqueued, settled, isOver] = [0, 0, false];
      const work = async (): Promise<void> => {
        while (!isOver) {
          await Promise.all(
            range(8).map(async () => {
              await other.jobs.enqueue(QUEUE, { payload: "" });
              enqueued += 1;
            }),
          );
          const jobs = await claimNow(other, 4);
          // Counted before: what is being settled may be counted or not.
          settled += jobs.length;
          await Promise.all(jobs.map((job) => job.ack({ confirm: true })));
        }
      };
      const working = later(work());
      for (let look = 0; look < 500; look++) {
        const before = enqueued;
        const { ready, delayed, leased } = await bus.jobs.stats(QUEUE);
        const least = before - settled;
        check(
          ready + delayed + leased >= least,
          `${ready + delayed + leased} jobs are counted where ${least} are enqueued and not settled`,
        );
      }
      isOver = true;
      await working;
    },
  },
  {
    id: "JQ-STATS-003",
    title: "A queue that nobody used has zeros, and asking does not change that",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      checkEqual(await bus.jobs.stats("unused"), EMPTY, "the stats");
      checkEqual(await bus.jobs.stats("unused"), EMPTY, "the stats again");
    },
  },
  {
    id: "JQ-PAUSE-001",
    title: "While a queue is paused claims get nothing, also those that wait; resume wakes them",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      await enqueueTexts(bus, ["a", "b"]);
      await bus.jobs.pause(QUEUE);
      checkEqual(await bus.jobs.stats(QUEUE), { ...EMPTY, ready: 2, paused: true }, "the stats");
      await checkNothing(bus, "a claim while paused");
      checkEqual(textsOf(await claimNow(bus, 1, { waitMs: 200 })), [], "a claim that waits");
      const waiting = later(claimOne(bus));
      await clock.sleep(50);
      const from = clock.monotonic();
      await bus.jobs.resume(QUEUE);
      const job = await waiting;
      checkAtOnce(context, { from, to: clock.monotonic() }, "the hand-out after resume");
      checkEqual([textsOf([job])[0], job.attempt], ["a", 1], "the job and its attempt");
      checkEqual((await bus.jobs.stats(QUEUE)).paused, false, "paused");
    },
  },
  {
    id: "JQ-PAUSE-002",
    title: "A claim that waited before the pause gets nothing that is enqueued after it",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const waiting = later(claimNow(bus, 1, { waitMs: 600 }));
      await clock.sleep(50);
      await bus.jobs.pause(QUEUE);
      await enqueueTexts(bus, ["a"]);
      checkEqual(textsOf(await waiting), [], "the claim that waited");
      await bus.jobs.resume(QUEUE);
      const job = await claimOne(bus);
      checkEqual(job.attempt, 1, "attempt");
    },
  },
  {
    id: "JQ-PAUSE-003",
    title: "While a queue is paused, leased jobs go on: heartbeat, ack, nak and deadLetter work",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["ack", "nak", "dead", "lapse"]);
      const [ack, nak, dead, lapse] = await claimNow(bus, 4);
      check(ack && nak && dead && lapse, "not all were handed out");
      await bus.jobs.pause(QUEUE);
      await ack.heartbeat();
      await ack.ack({ confirm: true });
      await nak.nak();
      await dead.deadLetter("no use");
      await lapse.heartbeat({ leaseMs: 100 });
      await statsBecome(context, bus, { dead: 1, paused: true });
      await pass(context, 100);
      await checkNothing(bus, "a claim while paused");
      await bus.jobs.resume(QUEUE);
      const jobs = await claimNow(bus, 10, { waitMs: 2_000 });
      if (jobs.length === 1) jobs.push(...(await claimNow(bus, 10, { waitMs: 2_000 })));
      checkEqual(textsOf(jobs).toSorted(), ["lapse", "nak"], "the jobs after resume");
      checkEqual(
        jobs.map(({ attempt }) => attempt),
        [2, 2],
        "attempts",
      );
    },
  },
  {
    id: "JQ-PAUSE-004",
    title: "A pause holds on other buses, those opened later too, and of this queue only",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["a"]);
      await enqueueTexts(bus, ["free"], {}, "other");
      // The other bus knows the queue before it is paused.
      await (await claimOne(other)).nak();
      await bus.jobs.pause(QUEUE);
      const late = await context.open();
      for (const one of [other, late]) {
        await statsBecome(context, one, { paused: true });
        await context.until("the bus hands out nothing", async () => {
          const [job] = await claimNow(one, 1);
          await job?.nak();
          return job === undefined;
        });
        await checkNothing(one, "a claim while paused");
      }
      checkEqual(textsOf(await claimNow(other, 1, {}, "other")), ["free"], "the other queue");
      const waiting = later(claimOne(other));
      await late.jobs.resume(QUEUE);
      checkEqual(textsOf([await waiting]), ["a"], "the job after resume on a third bus");
    },
  },
  {
    id: "JQ-PAUSE-005",
    title: "Pause and resume are idempotent, and a queue can be paused before its first use",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await bus.jobs.resume(QUEUE);
      await bus.jobs.pause(QUEUE);
      await bus.jobs.pause(QUEUE);
      await enqueueTexts(bus, ["a"]);
      await enqueueTexts(bus, ["soon"], { delayMs: 100 });
      await pass(context, 100);
      await checkNothing(bus, "a claim while paused");
      await statsBecome(context, bus, { ready: 2, delayed: 0, paused: true });
      await bus.jobs.resume(QUEUE);
      await bus.jobs.resume(QUEUE);
      checkEqual(textsOf(await claimNow(bus)), ["a", "soon"], "the jobs");
    },
  },
  {
    id: "JQ-PAUSE-006",
    title: "A claim that starts after pause has resolved gets nothing, round after round",
    contract: "jobs",
    level: "L3",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(
        bus,
        range(100).map((index) => `${index}`),
      );
      const seen: string[] = [];
      for (const round of range(20)) {
        const racing = later(claimNow(bus, 2));
        await bus.jobs.pause(QUEUE);
        await checkNothing(bus, `a claim after pause, in round ${round}`);
        seen.push(...textsOf(await racing));
        await bus.jobs.resume(QUEUE);
        seen.push(...textsOf(await claimNow(bus, 2)));
      }
      seen.push(...textsOf(await claimNow(bus)));
      checkEqual(
        seen,
        range(100).map((index) => `${index}`),
        "the jobs, each once",
      );
    },
  },
];
