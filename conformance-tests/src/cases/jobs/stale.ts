import type { ClaimedJob } from "@busbar/core";
import { check, checkCode, checkEqual } from "../../assert.ts";
import type { ConformanceCase, Requirement } from "../../case.ts";
import {
  checkNothing,
  claimNow,
  claimOne,
  deadLettersBecome,
  deadLettersOf,
  EMPTY,
  enqueueTexts,
  LONG_MS,
  pass,
  QUEUE,
} from "./helpers.ts";
import { later, range, timed } from "./timing.ts";

const LEASE_MS = 150;

const needsRealTime: Requirement = {
  reason: "needs the machine's clock: it blocks the process",
  met: ({ harness }) => harness.time === undefined,
};

const CALLS: Readonly<Record<string, (job: ClaimedJob) => Promise<void>>> = {
  ack: (job) => job.ack(),
  "confirmed ack": (job) => job.ack({ confirm: true }),
  nak: (job) => job.nak(),
  "delayed nak": (job) => job.nak({ delayMs: LONG_MS }),
  giveBack: (job) => job.giveBack(),
  "delayed giveBack": (job) => job.giveBack({ delayMs: LONG_MS }),
  heartbeat: (job) => job.heartbeat(),
  deadLetter: (job) => job.deadLetter("stale"),
};

/** Workers whose lease is over change nothing any more. */
export const staleCases: readonly ConformanceCase[] = [
  {
    id: "JQ-STALE-001",
    title: "Once the lease is over, every call fails with LEASE_LOST, and the job comes again",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const names = Object.keys(CALLS);
      await enqueueTexts(bus, names);
      const jobs = await claimNow(bus, names.length, { leaseMs: LEASE_MS });
      await pass(context, LEASE_MS);
      for (const [index, name] of names.entries()) {
        const job = jobs[index] as ClaimedJob;
        await checkCode(() => CALLS[name]?.(job), "LEASE_LOST", `a late ${name}`);
      }
      const again = await claimNow(bus);
      checkEqual(
        again.map(({ id, attempt }) => [id, attempt]),
        jobs.map(({ id }) => [id, 2]),
        "the jobs and their attempts",
      );
      checkEqual(await deadLettersOf(bus), [], "the dead letters");
    },
  },
  {
    id: "JQ-STALE-002",
    title: "Once another worker has the job, every call of the first one fails with LEASE_LOST",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      for (const [name, call] of Object.entries(CALLS)) {
        const queue = `stale-${name}`.replaceAll(" ", "_");
        for (const next of [bus, other]) {
          await enqueueTexts(bus, ["a"], {}, queue);
          const first = await claimOne(bus, { leaseMs: LEASE_MS }, queue);
          const second = await claimOne(next, {}, queue);
          checkEqual([second.id, second.attempt], [first.id, 2], "the job and its attempt");
          await checkCode(() => call(first), "LEASE_LOST", `a stale ${name}`);
          await checkNothing(bus, `what a stale ${name} gave back`, queue);
          await second.heartbeat();
          checkEqual(
            await bus.jobs.stats(queue),
            { ...EMPTY, leased: 1 },
            `the stats after a stale ${name}`,
          );
          await second.ack({ confirm: true });
          checkEqual(await bus.jobs.stats(queue), EMPTY, "the stats after the second one's ack");
          checkEqual(await deadLettersOf(bus, queue), [], "the dead letters");
        }
      }
    },
  },
  {
    id: "JQ-STALE-003",
    title: "A stale heartbeat does not make the next worker's lease longer, nor a stale ack end it",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a"]);
      const first = await claimOne(bus, { leaseMs: LEASE_MS });
      const second = await claimOne(bus, { leaseMs: LEASE_MS });
      await checkCode(() => first.heartbeat({ leaseMs: LONG_MS }), "LEASE_LOST", "a heartbeat");
      await checkCode(() => first.ack(), "LEASE_LOST", "an ack");
      await pass(context, LEASE_MS);
      const third = await claimNow(bus);
      checkEqual(
        third.map(({ id, attempt }) => [id, attempt]),
        [[second.id, 3]],
        "the job and its attempt",
      );
      for (const stale of [first, second]) {
        await checkCode(() => stale.ack({ confirm: true }), "LEASE_LOST", "an ack");
      }
      await third[0]?.nak();
      const fourth = await claimOne(bus);
      checkEqual(fourth.attempt, 4, "attempt after a nak by the third worker");
    },
  },
  {
    id: "JQ-STALE-004",
    title: "Late calls of the last attempt fail too; the job is in the dead letters once",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a"], { maxAttempts: 1 });
      const job = await claimOne(bus, { leaseMs: LEASE_MS });
      await pass(context, LEASE_MS);
      await checkNothing(bus, "after the only attempt");
      const [letter] = await deadLettersBecome(context, bus, 1);
      check(letter, "no dead letter");
      for (const [name, call] of Object.entries(CALLS)) {
        await checkCode(() => call(job), "LEASE_LOST", `a late ${name}`);
      }
      checkEqual(
        (await deadLettersOf(bus)).map(({ reason }) => reason),
        [letter.reason],
        "the dead letters",
      );
      await checkNothing(bus, "after the late calls");
    },
  },
  {
    id: "JQ-STALE-005",
    title: "A worker whose process stood still finds its lease over before any timer has run",
    contract: "jobs",
    level: "L2",
    requires: [needsRealTime],
    async run(context) {
      const { bus, clock } = context;
      await enqueueTexts(bus, ["read", "unread"]);
      const { value: jobs, span } = await timed(clock, () => claimNow(bus, 2, { leaseMs: 100 }));
      const [read, unread] = jobs;
      check(read && unread, "not all were handed out");
      const { lost } = read.lease;
      while (clock.monotonic() < span.to + 100) {
        // The process stands still.
      }
      const late = [later(read.ack()), later(unread.ack())];
      checkEqual([read.lease.lost.aborted, lost.aborted], [true, true], "lost, in the same turn");
      for (const one of late) await checkCode(one, "LEASE_LOST", "an ack in the same turn");
      const again = await claimNow(bus, 2, { waitMs: 2_000 });
      check(again.length > 0, "the jobs do not come again");
    },
  },
  {
    id: "JQ-FENCE-001",
    title: "The fence of a job grows with every claim: after nak, after expiry, on any bus",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      await enqueueTexts(bus, ["a"], { maxAttempts: 20 });
      const fences: number[] = [];
      for (const round of range(8)) {
        const lapses = round % 3 === 0;
        const one = buses[round % 2] as typeof bus;
        const job = await claimOne(one, { leaseMs: lapses ? 100 : LONG_MS });
        checkEqual(job.attempt, round + 1, "attempt");
        fences.push(job.fence);
        await job.heartbeat();
        checkEqual(job.fence, fences.at(-1), "the fence after a heartbeat");
        if (!lapses) await job.nak();
      }
      for (const [index, fence] of fences.entries()) {
        const before = fences[index - 1] ?? 0;
        check(fence > before, `fence ${fence} comes after ${before}`);
      }
    },
  },
  {
    id: "JQ-FENCE-002",
    title: "A job that has the id of a dead one, after a replay, has a greater fence too",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a"]);
      const fences = new Map<string, number>();
      const claim = async (): Promise<ClaimedJob> => {
        const job = await claimOne(bus);
        const before = fences.get(job.id) ?? 0;
        check(job.fence > before, `fence ${job.fence} of job ${job.id} comes after ${before}`);
        fences.set(job.id, job.fence);
        return job;
      };
      for (const _round of range(3)) {
        await (await claim()).nak();
        const job = await claim();
        await job.deadLetter("enough");
        await deadLettersBecome(context, bus, 1);
        checkEqual(await bus.jobs.deadLetters.replay(QUEUE, job.id), true, "replay");
      }
      await (await claim()).ack();
    },
  },
];
