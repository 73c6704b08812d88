import { toText } from "@busbar/core";
import { check, checkEqual, checkOptionRefused } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkNothing,
  claimNow,
  claimOne,
  deadLettersBecome,
  drain,
  EMPTY,
  enqueueTexts,
  LONG_MS,
  QUEUE,
  statsBecome,
  textsOf,
} from "./helpers.ts";
import { checkAtOnce, checkDue, later, range, timed } from "./timing.ts";

const LEASE_MS = 150;

/** `giveBack`. */
export const giveBackCases: readonly ConformanceCase[] = [
  {
    id: "JQ-BACK-001",
    title: "giveBack gives the job back at once, with the same attempt, and a fence that grows",
    contract: "jobs",
    level: "L0",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["a"]);
      let job = await claimOne(bus);
      for (const round of range(6)) {
        const fence: number = job.fence;
        const from = clock.monotonic();
        await job.giveBack();
        job = await claimOne(round % 2 === 0 ? other : bus);
        checkAtOnce(context, { from, to: clock.monotonic() }, "the return of the job");
        checkEqual([toText(job.payload), job.attempt], ["a", 1], "the job and its attempt");
        check(job.fence > fence, `fence ${job.fence} comes after ${fence}`);
      }
      await job.ack({ confirm: true });
      await checkNothing(bus, "after the ack");
      checkEqual(await bus.jobs.stats(QUEUE), EMPTY, "the stats");
    },
  },
  {
    id: "JQ-BACK-002",
    title:
      "giveBack with a delay gives the job back after it, not before, longer or shorter than its lease",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      for (const [leaseMs, delayMs] of [
        [100, 500],
        [LONG_MS, 300],
      ] as const) {
        await enqueueTexts(bus, ["a"]);
        const job = await claimOne(bus, { leaseMs });
        const { span } = await timed(clock, () => job.giveBack({ delayMs }));
        await checkNothing(bus, "right after it was given back");
        const again = await claimOne(other);
        checkDue(context, span, delayMs, `the return after a lease of ${leaseMs}`);
        checkEqual([again.id, again.attempt], [job.id, 1], "the job and its attempt");
        await again.ack();
      }
    },
  },
  {
    id: "JQ-BACK-003",
    title: "The last attempt that is given back is not dead, and is handed out again",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a"], { maxAttempts: 1 });
      for (const delayMs of [0, 50, 0]) {
        const job = await claimOne(bus);
        checkEqual(job.attempt, 1, "attempt");
        await job.giveBack({ delayMs });
      }
      checkEqual(await bus.jobs.deadLetters.count(QUEUE), 0, "dead letters");
      const job = await claimOne(bus);
      checkEqual(job.attempt, 1, "attempt");
      await job.nak();
      const [letter] = await deadLettersBecome(context, bus, 1);
      checkEqual([letter?.attempts, letter?.reason], [1, "max attempts"], "the dead letter");
      await checkNothing(bus, "after the only attempt");
    },
  },
  {
    id: "JQ-BACK-004",
    title: "Naks and lapses use up attempts as ever, whatever is given back in between",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a"], { maxAttempts: 3 });
      const attempts: number[] = [];
      const claim = async (leaseMs: number = LONG_MS) => {
        const job = await claimOne(bus, { leaseMs });
        attempts.push(job.attempt);
        return job;
      };
      await (await claim()).giveBack();
      await (await claim()).nak();
      await (await claim()).giveBack({ delayMs: 20 });
      await claim(LEASE_MS);
      await (await claim()).giveBack();
      await (await claim()).nak({ reason: "enough" });
      checkEqual(attempts, [1, 1, 2, 2, 3, 3], "the attempts");
      const [letter] = await deadLettersBecome(context, bus, 1);
      checkEqual([letter?.attempts, letter?.reason], [3, "enough"], "the dead letter");
    },
  },
  {
    id: "JQ-BACK-005",
    title: "What is given back comes before those of its priority that nobody had yet",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      await enqueueTexts(bus, ["low 1", "low 2", "low 3"]);
      await enqueueTexts(bus, ["high 1", "high 2", "high 3"], { priority: 5 });
      const [first, second, third] = await claimNow(bus, 3);
      await first?.giveBack();
      await second?.giveBack();
      // The confirmed ack comes after what was sent before it.
      await third?.ack({ confirm: true });
      const again = await claimNow(bus, 4);
      checkEqual(textsOf(again), ["high 1", "high 2", "low 1", "low 2"], "the order");
      await again[3]?.giveBack();
      await again[0]?.ack({ confirm: true });
      checkEqual(await drain(bus), ["low 2", "low 3"], "the order after another one");
    },
  },
  {
    id: "JQ-BACK-006",
    title: "A giveBack with a delay that is not allowed is refused, and the job is still held",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      await enqueueTexts(bus, ["a"]);
      const job = await claimOne(bus);
      for (const delayMs of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
        await checkOptionRefused(() => job.giveBack({ delayMs }), "delayMs");
      }
      await checkNothing(bus, "what the refused calls gave back");
      await job.heartbeat();
      await job.ack({ confirm: true });
      checkEqual(await bus.jobs.stats(QUEUE), EMPTY, "the stats");
    },
  },
  {
    id: "JQ-BACK-007",
    title: "A waiting claim gets a job that another worker gives back without an attempt",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["a"]);
      const job = await claimOne(bus);
      const waiting = later(claimOne(other, { waitMs: LONG_MS }));
      await clock.sleep(100);
      const from = clock.monotonic();
      await job.giveBack();
      const again = await waiting;
      checkAtOnce(context, { from, to: clock.monotonic() }, "the hand-out");
      checkEqual([again.id, again.attempt], [job.id, 1], "the job and its attempt");
    },
  },
  {
    id: "JQ-BACK-008",
    title: "What is given back counts as ready, with a delay as delayed; a pause holds it",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["now", "later", "held"]);
      const [now, late] = await claimNow(bus, 3);
      await bus.jobs.pause(QUEUE);
      await now?.giveBack();
      await late?.giveBack({ delayMs: LONG_MS });
      const paused = { ready: 1, delayed: 1, leased: 1, dead: 0, paused: true };
      await statsBecome(context, bus, paused);
      await checkNothing(bus, "a claim while paused");
      await bus.jobs.resume(QUEUE);
      const jobs = await claimNow(bus);
      checkEqual(textsOf(jobs), ["now"], "the jobs after resume");
      checkEqual(await bus.jobs.stats(QUEUE), { ...EMPTY, delayed: 1, leased: 2 }, "the stats");
    },
  },
  {
    id: "JQ-BACK-009",
    title:
      "Jobs that are given back again and again stay at their first attempt and end all the same",
    contract: "jobs",
    level: "L3",
    async run(context) {
      const { bus, random } = context;
      const buses = [bus, await context.open()];
      const texts = range(20).map((index) => `${index}`);
      await enqueueTexts(bus, texts, { maxAttempts: 1 });
      const fences = new Map<string, number>();
      const done: string[] = [];
      await context.until("all jobs are acked", async () => {
        const one = buses[Math.floor(random.next() * 2)] as typeof bus;
        for (const job of await claimNow(one, 1 + Math.floor(random.next() * 5))) {
          checkEqual(job.attempt, 1, "attempt");
          check(job.fence > (fences.get(job.id) ?? 0), `fence ${job.fence} of job ${job.id}`);
          fences.set(job.id, job.fence);
          if (random.next() < 0.8) {
            await job.giveBack({ delayMs: random.next() < 0.7 ? 0 : random.next() * 30 });
          } else {
            await job.ack({ confirm: true });
            done.push(toText(job.payload));
          }
        }
        return done.length >= texts.length;
      });
      checkEqual(done.toSorted(), texts.toSorted(), "the jobs, each once");
      checkEqual(await bus.jobs.stats(QUEUE), EMPTY, "the stats");
    },
  },
];
