import { toText } from "@busbar/core";
import { check, checkCode, checkEqual, checkOptionRefused } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkNothing,
  claimNow,
  claimOne,
  EMPTY,
  enqueueTexts,
  LONG_MS,
  notOnce,
  QUEUE,
  statsBecome,
  textsOf,
} from "./helpers.ts";
import { bounded, checkAtOnce, range, timed } from "./timing.ts";

/** Claims that need not wait. */
export const claimCases: readonly ConformanceCase[] = [
  {
    id: "JQ-CLAIM-001",
    title: "A claim of an empty queue, or of one that nobody used, gives an empty array at once",
    contract: "jobs",
    level: "L0",
    async run(context) {
      const { bus } = context;
      const unused = await timed(context.clock, () => claimNow(bus, 10, {}, "unused"));
      checkEqual(unused.value, [], "jobs of an unused queue");
      checkAtOnce(context, unused.span, "the claim of an unused queue");
      await enqueueTexts(bus, ["a"]);
      await (await claimOne(bus)).ack({ confirm: true });
      const empty = await timed(context.clock, () => claimNow(bus, 1));
      checkEqual(empty.value, [], "jobs of an empty queue");
      checkAtOnce(context, empty.span, "the claim of an empty queue");
    },
  },
  {
    id: "JQ-CLAIM-002",
    title: "A claim takes up to max jobs, all different, in order, and leaves the rest to others",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const texts = range(12).map((index) => `${index}`);
      await enqueueTexts(bus, texts);
      const first = await claimNow(bus, 5);
      checkEqual(textsOf(first), texts.slice(0, 5), "the first five");
      // A bus must not keep what it did not hand out.
      const second = await claimNow(other, 5);
      checkEqual(textsOf(second), texts.slice(5, 10), "the next five, on another bus");
      const third = await claimNow(bus, 5);
      checkEqual(textsOf(third), texts.slice(10), "the rest");
      const all = [...first, ...second, ...third];
      checkEqual(new Set(all.map(({ id }) => id)).size, 12, "different ids");
      checkEqual(
        all.every(({ attempt }) => attempt === 1),
        true,
        "every attempt is 1",
      );
    },
  },
  {
    id: "JQ-CLAIM-003",
    title: "A claim of many with time to wait returns at once with the few that are ready",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a", "b", "c"]);
      const { value, span } = await timed(context.clock, () =>
        claimNow(bus, 100, { waitMs: 10_000 }),
      );
      checkEqual(textsOf(value), ["a", "b", "c"], "the jobs");
      checkAtOnce(context, span, "the claim");
    },
  },
  {
    id: "JQ-CLAIM-004",
    title: "A claimed job is nobody else's while its lease lasts",
    contract: "jobs",
    level: "L0",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["a"]);
      const job = await claimOne(bus, { workerId: "first" });
      await checkNothing(bus, "on the same bus");
      await checkNothing(other, "on another bus");
      await job.ack({ confirm: true });
      await checkNothing(other, "after the ack");
      await statsBecome(context, other, EMPTY);
    },
  },
  {
    id: "JQ-CLAIM-005",
    title: "A job that was enqueued is ready for the next claim, also on another bus",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      for (const round of range(20)) {
        const [producer, worker] = round % 2 === 0 ? [bus, other] : [other, bus];
        await enqueueTexts(producer, [`${round}`]);
        const jobs = await claimNow(worker, 1);
        checkEqual(textsOf(jobs), [`${round}`], "the job, without waiting");
        await jobs[0]?.ack();
      }
    },
  },
  {
    id: "JQ-CLAIM-006",
    title: "A worker id that is no plain name is refused with INVALID_ARGUMENT, and takes nothing",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      await enqueueTexts(bus, ["a"]);
      for (const workerId of ["", "two words", "a*", "a.>", ".a", "ü", "x".repeat(129)]) {
        await checkCode(
          () => bus.jobs.claim(QUEUE, { workerId }),
          "INVALID_ARGUMENT",
          `workerId ${JSON.stringify(workerId)}`,
        );
      }
      const job = await claimOne(bus, { workerId: "host-1.worker_2" });
      checkEqual(job.attempt, 1, "attempt");
    },
  },
  {
    id: "JQ-CLAIM-007",
    title: "Options out of their range are refused, and take nothing",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      await enqueueTexts(bus, ["a"]);
      const refused = [
        ["max", { max: 0 }],
        ["max", { max: 1_001 }],
        ["max", { max: 1.5 }],
        ["leaseMs", { leaseMs: 0 }],
        ["leaseMs", { leaseMs: 49 }],
        ["leaseMs", { leaseMs: 86_400_001 }],
        ["waitMs", { waitMs: -1 }],
        ["waitMs", { waitMs: Number.NaN }],
      ] as const;
      for (const [field, options] of refused) {
        await checkOptionRefused(() => bus.jobs.claim(QUEUE, { workerId: "w", ...options }), field);
      }
      checkEqual((await claimOne(bus)).attempt, 1, "attempt");
    },
  },
  {
    id: "JQ-CLAIM-008",
    title: "Eight workers on two buses get 500 jobs, each job once",
    contract: "jobs",
    level: "L3",
    async run(context) {
      const { bus, random } = context;
      const buses = [bus, await context.open()];
      const texts = range(500).map((index) => `${index}`);
      await bus.jobs.enqueueMany(
        QUEUE,
        texts.map((payload) => ({ payload })),
      );
      const seen: string[] = [];
      const worker = async (index: number): Promise<void> => {
        const one = buses[index % 2] as typeof bus;
        const next = bounded("claims of a worker");
        for (;;) {
          next();
          const max = 1 + Math.floor(random.next() * 20);
          const jobs = await claimNow(one, max, { workerId: `worker-${index}` });
          check(jobs.length <= max, `${jobs.length} jobs for a claim of ${max}`);
          if (jobs.length === 0) return;
          for (const job of jobs) {
            checkEqual(job.attempt, 1, "attempt");
            seen.push(toText(job.payload));
            await job.ack();
          }
        }
      };
      await Promise.all(range(8).map(worker));
      checkEqual(notOnce(seen), {}, "jobs that came not once");
      checkEqual(seen.length, 500, "jobs");
      await statsBecome(context, bus, EMPTY);
    },
  },
  {
    id: "JQ-CLAIM-009",
    title: "2,000 jobs can be in the hands of workers at a time, and more is handed out",
    contract: "jobs",
    level: "L3",
    async run(context) {
      const { bus } = context;
      await bus.jobs.enqueueMany(
        QUEUE,
        range(2_000).map((index) => ({ payload: `${index}` })),
      );
      const jobs = [];
      while (jobs.length < 2_000) {
        const some = await claimNow(bus, 500, { leaseMs: 2 * LONG_MS, waitMs: 2_000 });
        check(some.length > 0, `nothing is handed out beyond ${jobs.length} leased jobs`);
        jobs.push(...some);
      }
      checkEqual(new Set(jobs.map(({ id }) => id)).size, 2_000, "different jobs");
      await enqueueTexts(bus, ["one more"]);
      const more = await claimOne(bus);
      checkEqual(toText(more.payload), "one more", "the job after 2,000 leased ones");
    },
  },
];
