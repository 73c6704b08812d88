import { check, checkEqual } from "../../assert.ts";
import { type ConformanceCase, needsVirtualTime } from "../../case.ts";
import {
  checkNothing,
  claimNow,
  claimOne,
  claimTimed,
  EMPTY,
  enqueueTexts,
  LONG_MS,
  pass,
  QUEUE,
  statsBecome,
  textsOf,
} from "./helpers.ts";
import { checkAtOnce, checkDue, later, lateness, range, timed } from "./timing.ts";

const DELAY_MS = 300;

/** `delayMs` and `runAtMs`. */
export const delayCases: readonly ConformanceCase[] = [
  {
    id: "JQ-DELAY-001",
    title: "A delayed job is handed out when it is due, not before, on its first attempt",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      // The claim waits before the job is there, and another one while it is delayed.
      for (const early of [true, false]) {
        const before = early ? later(claimOne(other)) : undefined;
        const { span } = await timed(clock, () =>
          bus.jobs.enqueue(QUEUE, { payload: "a", delayMs: DELAY_MS }),
        );
        await checkNothing(bus, "right after the enqueue");
        const job = await (before ?? claimOne(other));
        checkDue(context, span, DELAY_MS, "the hand-out");
        checkEqual(job.attempt, 1, "attempt");
        await job.ack();
      }
    },
  },
  {
    id: "JQ-DELAY-002",
    title: "runAtMs is a time of the wall clock; a time that is over is now",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      // Long enough that the others are claimed before, also on a slow machine.
      const delayMs = 1_000;
      const now = clock.now();
      const { span } = await timed(clock, () =>
        bus.jobs.enqueue(QUEUE, { payload: "soon", runAtMs: now + delayMs }),
      );
      await bus.jobs.enqueue(QUEUE, { payload: "past", runAtMs: now - 60_000 });
      await bus.jobs.enqueue(QUEUE, { payload: "epoch", runAtMs: 0 });
      await bus.jobs.enqueue(QUEUE, { payload: "zero", delayMs: 0 });
      checkEqual(textsOf(await claimNow(bus)), ["past", "epoch", "zero"], "what is ready");
      const job = await claimOne(bus);
      checkDue(context, span, delayMs, "the hand-out");
      checkEqual([textsOf([job])[0], job.attempt], ["soon", 1], "the job and its attempt");
    },
  },
  {
    id: "JQ-DELAY-003",
    title: "Jobs come in the order in which they fall due, not in that of their enqueueing",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["third"], { delayMs: 1_300 });
      await enqueueTexts(bus, ["first"], { delayMs: 300 });
      await enqueueTexts(bus, ["second"], { delayMs: 800 });
      const order: string[] = [];
      for (const _job of range(3)) order.push(...textsOf([await claimOne(bus)]));
      checkEqual(order, ["first", "second", "third"], "the order");
    },
  },
  {
    id: "JQ-DELAY-004",
    title: "Among jobs that are ready a delayed one has the place of its enqueueing",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a"]);
      await enqueueTexts(bus, ["b"], { delayMs: DELAY_MS });
      await enqueueTexts(bus, ["c"]);
      await pass(context, DELAY_MS);
      checkEqual(textsOf(await claimNow(bus)), ["a", "b", "c"], "the order");
    },
  },
  {
    id: "JQ-DELAY-005",
    title: "A waiting claim takes a ready job at once while many delayed ones wait",
    contract: "jobs",
    level: "L3",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      await bus.jobs.enqueueMany(
        QUEUE,
        range(1_500).map((index) => ({ payload: `${index}`, delayMs: LONG_MS + index })),
      );
      // Whoever claims first may have to put 1,500 jobs aside.
      await checkNothing(bus, "while all jobs are delayed");
      const waiting = later(claimTimed(context, other));
      await clock.sleep(100);
      const from = clock.monotonic();
      await enqueueTexts(bus, ["ready"]);
      const { job, span } = await waiting;
      checkAtOnce(context, { from, to: span.to }, "the hand-out");
      checkEqual(textsOf([job]), ["ready"], "the job");
      await checkNothing(bus, "besides the delayed ones");
      checkEqual((await bus.jobs.stats(QUEUE)).delayed, 1_500, "delayed");
    },
  },
  {
    id: "JQ-DELAY-006",
    title: "A delay counts once: given back or left, the job does not wait for it again",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      await enqueueTexts(bus, ["a"], { delayMs: DELAY_MS });
      const job = await claimOne(bus);
      const from = clock.monotonic();
      await job.nak();
      const second = await claimTimed(context, bus, { leaseMs: 100 });
      checkAtOnce(context, { from, to: clock.monotonic() }, "the return after a nak");
      checkEqual(second.job.attempt, 2, "attempt");
      const third = await claimOne(bus);
      check(
        clock.monotonic() - second.span.to < 100 + context.toleranceMs,
        "the return after a lease came late",
      );
      checkEqual(third.attempt, 3, "attempt");
    },
  },
  {
    id: "JQ-DELAY-007",
    title: "100 jobs with random delays come once each, none early, none late",
    contract: "jobs",
    level: "L3",
    async run(context) {
      const { bus, clock, random } = context;
      const dueFrom = new Map<string, number>();
      const dueTo = new Map<string, number>();
      for (const index of range(100)) {
        const delayMs = Math.floor(random.next() * 800);
        const payload = `${index}`;
        const { span } = await timed(clock, () => bus.jobs.enqueue(QUEUE, { payload, delayMs }));
        dueFrom.set(payload, span.from + delayMs);
        dueTo.set(payload, span.to + delayMs);
      }
      const filled = clock.monotonic();
      const problems: string[] = [];
      const seen: string[] = [];
      while (seen.length < 100) {
        const jobs = await claimNow(bus, 20, { waitMs: 2_000 });
        const now = clock.monotonic();
        check(jobs.length > 0, `only ${seen.length} jobs came`);
        for (const job of jobs) {
          const [text = ""] = textsOf([job]);
          seen.push(text);
          if (now < (dueFrom.get(text) ?? 0) - 2) problems.push(`${text} came early`);
          // What fell due while jobs were still enqueued waited for the first claim.
          const latest = Math.max(dueTo.get(text) ?? 0, filled) + lateness(context);
          if (now > latest) problems.push(`${text} came ${now - latest} ms late`);
          if (job.attempt !== 1) problems.push(`${text} came on attempt ${job.attempt}`);
          await job.ack();
        }
      }
      checkEqual(problems, [], "problems");
      checkEqual(new Set(seen).size, 100, "different jobs");
      await statsBecome(context, bus, EMPTY);
    },
  },
  {
    id: "JQ-DELAY-008",
    title: "A delay of eight hours is eight hours, for an enqueue and for a nak",
    contract: "jobs",
    level: "L2",
    requires: [needsVirtualTime],
    timeoutMs: 80_000_000,
    async run(context) {
      const { bus, clock } = context;
      const delayMs = 28_800_000;
      const { span } = await timed(clock, () => bus.jobs.enqueue(QUEUE, { payload: "a", delayMs }));
      await clock.sleep(delayMs - 1_000);
      await checkNothing(bus, "a second before it is due");
      const job = await claimOne(bus);
      checkDue(context, span, delayMs, "the hand-out");
      const nak = await timed(clock, () => job.nak({ delayMs }));
      const again = await claimOne(bus, { waitMs: 2 * delayMs });
      checkDue(context, nak.span, delayMs, "the return");
      checkEqual(again.attempt, 2, "attempt");
    },
  },
];
