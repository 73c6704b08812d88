import { check, checkEqual, checkOptionRefused } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  claimNow,
  claimOne,
  drain,
  EMPTY,
  enqueueTexts,
  LONG_MS,
  pass,
  QUEUE,
  textsOf,
} from "./helpers.ts";
import { checkAtOnce, checkDue, later, range, timed } from "./timing.ts";

const LEASE_MS = 150;

/** `maxPriority`. */
export const maxPriorityCases: readonly ConformanceCase[] = [
  {
    id: "JQ-PRIO-007",
    title:
      "A claim with maxPriority takes this priority and lower ones; the others wait, uncounted",
    contract: "jobs",
    level: "L0",
    async run({ bus }) {
      for (const priority of [0, 9, 3, 4, 9, 0]) {
        await enqueueTexts(bus, [`${priority}`], { priority });
      }
      checkEqual(textsOf(await claimNow(bus, 1, { maxPriority: 3 })), ["3"], "the first job");
      const low = await claimNow(bus, 10, { maxPriority: 3 });
      checkEqual(textsOf(low), ["0", "0"], "the jobs of a batch");
      checkEqual(await claimNow(bus, 10, { maxPriority: 3 }), [], "when none of them is left");
      checkEqual(await bus.jobs.stats(QUEUE), { ...EMPTY, ready: 3, leased: 3 }, "the stats");
      const rest = await claimNow(bus);
      checkEqual(textsOf(rest), ["9", "9", "4"], "what any claim takes");
      checkEqual(
        rest.map(({ attempt }) => attempt),
        [1, 1, 1],
        "their attempts",
      );
    },
  },
  {
    id: "JQ-PRIO-008",
    title: "maxPriority 0 takes the lowest only, 9 takes all, and each in between what it says",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      for (const maxPriority of range(10)) {
        const queue = `up-to-${maxPriority}`;
        for (const priority of range(10)) {
          await enqueueTexts(bus, [`${priority}`], { priority }, queue);
        }
        const expected = range(maxPriority + 1).map(String);
        const jobs = await claimNow(bus, 100, { maxPriority }, queue);
        checkEqual(textsOf(jobs), expected.toReversed(), `the jobs up to ${maxPriority}`);
      }
    },
  },
  {
    id: "JQ-PRIO-009",
    title: "A waiting claim with maxPriority leaves higher jobs to those that wait behind it",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      const low = later(claimOne(other, { maxPriority: 4, waitMs: LONG_MS }));
      await clock.sleep(50);
      const any = later(claimOne(bus, { waitMs: LONG_MS }));
      await clock.sleep(50);
      for (const [waiting, priority] of [
        [any, 5],
        [low, 4],
      ] as const) {
        const from = clock.monotonic();
        await enqueueTexts(bus, [`${priority}`], { priority });
        checkEqual(textsOf([await waiting]), [`${priority}`], "the job of a waiting claim");
        checkAtOnce(context, { from, to: clock.monotonic() }, "the hand-out");
      }
    },
  },
  {
    id: "JQ-PRIO-010",
    title: "A claim that waits with maxPriority hears of priorities that come into use meanwhile",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      for (const [maxPriority, tooHigh, fits] of [
        [5, 7, 5],
        [5, 6, 2],
        [3, 4, 1],
      ] as const) {
        const waiting = later(claimOne(bus, { maxPriority, waitMs: LONG_MS }));
        await clock.sleep(50);
        await enqueueTexts(other, ["too high"], { priority: tooHigh });
        await clock.sleep(50);
        const from = clock.monotonic();
        await enqueueTexts(other, ["fits"], { priority: fits });
        const job = await waiting;
        checkAtOnce(context, { from, to: clock.monotonic() }, "the hand-out");
        checkEqual([textsOf([job])[0], job.priority], ["fits", fits], "the job");
        await job.ack({ confirm: true });
      }
      checkEqual(await drain(bus), ["too high", "too high", "too high"], "the rest");
    },
  },
  {
    id: "JQ-PRIO-011",
    title: "A wait with maxPriority is in vain where only higher ones are ready, and ends in time",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a", "b"], { priority: 7 });
      const { value: none, span: atOnce } = await timed(context.clock, () =>
        claimNow(bus, 10, { maxPriority: 6 }),
      );
      checkEqual(none, [], "the jobs of a claim that does not wait");
      checkAtOnce(context, atOnce, "its answer");
      const { value, span } = await timed(context.clock, () =>
        claimNow(bus, 10, { maxPriority: 6, waitMs: 300 }),
      );
      checkEqual(value, [], "the jobs of a claim that waits");
      checkDue(context, { from: span.from, to: span.from }, 300, "the end of the wait");
      const jobs = await claimNow(bus);
      checkEqual(
        jobs.map(({ attempt }) => attempt),
        [1, 1],
        "the attempts of the jobs that were passed over",
      );
    },
  },
  {
    id: "JQ-PRIO-012",
    title:
      "Delayed, naked and left jobs come to a claim with maxPriority only if they are low enough",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      for (const priority of [2, 6]) {
        await enqueueTexts(bus, [`naked ${priority}`, `left ${priority}`], { priority });
        const [naked] = await claimNow(bus, 1);
        await claimNow(bus, 1, { leaseMs: LEASE_MS });
        await naked?.nak({ delayMs: LEASE_MS });
        await enqueueTexts(bus, [`delayed ${priority}`], { priority, delayMs: LEASE_MS });
      }
      const low = ["delayed 2", "left 2", "naked 2"];
      const seen: string[] = [];
      while (seen.length < 3) {
        const [job] = await claimNow(bus, 1, { maxPriority: 5, waitMs: 10_000 });
        check(job, "no job was handed out");
        seen.push(...textsOf([job]));
        await job.ack({ confirm: true });
      }
      checkEqual(seen.toSorted(), low, "the low jobs");
      await pass(context, LEASE_MS);
      checkEqual(await claimNow(bus, 10, { maxPriority: 5 }), [], "when they are done");
      const high = await claimNow(bus);
      checkEqual(textsOf(high).toSorted(), ["delayed 6", "left 6", "naked 6"], "the high jobs");
    },
  },
  {
    id: "JQ-PRIO-013",
    title: "A maxPriority that is not allowed is refused, and takes no job",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      await enqueueTexts(bus, ["a"]);
      // From programs that are not type-checked.
      for (const maxPriority of [-1, 10, 1.5, Number.NaN, "3", null] as number[]) {
        const claim = () => bus.jobs.claim(QUEUE, { workerId: "w", maxPriority });
        await checkOptionRefused(claim, "maxPriority");
      }
      checkEqual((await claimOne(bus)).attempt, 1, "attempt");
    },
  },
];
