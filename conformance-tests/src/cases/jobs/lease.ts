import { errorCode, toText } from "@busbar/core";
import { check, checkEqual, checkRange } from "../../assert.ts";
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
import { checkDue, range, ROUNDING_MS } from "./timing.ts";

const LEASE_MS = 300;

/** The lease of a claimed job: how long it lasts, and what comes after it. */
export const leaseCases: readonly ConformanceCase[] = [
  {
    id: "JQ-LEASE-001",
    title: "A job that is not settled is handed out again after its lease, not before, attempt 2",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["a"]);
      const { job, span } = await claimTimed(context, bus, { leaseMs: LEASE_MS });
      await checkNothing(other, "right after the claim");
      const again = await claimOne(other);
      checkDue(context, span, LEASE_MS, "the second hand-out");
      check(
        clock.now() >= job.lease.expiresAtMs - ROUNDING_MS,
        "the first worker still believed the job to be its own",
      );
      checkEqual([again.id, again.attempt], [job.id, 2], "the job and its attempt");
      checkEqual(toText(again.payload), "a", "the payload");
      checkEqual(again.enqueuedAtMs, job.enqueuedAtMs, "enqueuedAtMs");
      check(again.fence > job.fence, `fence ${again.fence} comes after ${job.fence}`);
    },
  },
  {
    id: "JQ-LEASE-002",
    title: "Who does not wait gets the job after its lease too",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a", "b"]);
      checkEqual(textsOf(await claimNow(bus, 2, { leaseMs: LEASE_MS })), ["a", "b"], "the jobs");
      await pass(context, LEASE_MS);
      const again = await claimNow(bus, 10);
      checkEqual(textsOf(again), ["a", "b"], "the jobs after their lease, in order");
      checkEqual(
        again.map(({ attempt }) => attempt),
        [2, 2],
        "attempts",
      );
    },
  },
  {
    id: "JQ-LEASE-003",
    title: "Each claim has its own lease: one of 200 ms and one of 1,000 ms on the same queue",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["short", "long"]);
      const short = await claimTimed(context, bus, { leaseMs: 200 });
      const long = await claimTimed(context, bus, { leaseMs: 1_000 });
      checkEqual(textsOf([short.job, long.job]), ["short", "long"], "the jobs");
      const first = await claimOne(bus);
      checkDue(context, short.span, 200, "the end of the short lease");
      checkEqual(toText(first.payload), "short", "what comes first");
      const second = await claimOne(bus);
      checkDue(context, long.span, 1_000, "the end of the long lease");
      checkEqual(toText(second.payload), "long", "what comes second");
    },
  },
  {
    id: "JQ-LEASE-004",
    title: "A short lease after a long one ends before it, also on another bus",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["long", "short"]);
      const long = await claimTimed(context, bus, { leaseMs: 900 });
      const short = await claimTimed(context, other, { leaseMs: 150 });
      const first = await claimOne(bus);
      checkDue(context, short.span, 150, "the end of the short lease");
      checkEqual(first.id, short.job.id, "what comes first");
      const second = await claimOne(bus);
      checkDue(context, long.span, 900, "the end of the long lease");
      checkEqual(second.id, long.job.id, "what comes second");
    },
  },
  {
    id: "JQ-LEASE-005",
    title: "A lease of 50 ms is 50 ms: neither nothing nor a second",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a"], { maxAttempts: 10 });
      for (const round of range(3)) {
        const { job, span } = await claimTimed(context, bus, { leaseMs: 50 });
        checkEqual(job.attempt, 2 * round + 1, "attempt");
        const next = await claimOne(bus);
        checkDue(context, span, 50, "the end of the lease");
        checkEqual(next.attempt, 2 * round + 2, "the next attempt");
        await next.nak();
      }
    },
  },
  {
    id: "JQ-LEASE-006",
    title: "An expired job is found while fresh ones keep arriving",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      await enqueueTexts(bus, ["victim"]);
      const { span } = await claimTimed(context, bus, { leaseMs: LEASE_MS });
      await enqueueTexts(
        bus,
        range(30).map((index) => `fresh ${index}`),
      );
      const limitMs = LEASE_MS + context.toleranceMs + 500;
      for (;;) {
        await enqueueTexts(bus, ["fresh"]);
        const job = await claimOne(bus);
        await job.ack();
        if (toText(job.payload) === "victim") {
          checkEqual(job.attempt, 2, "attempt");
          break;
        }
        const waitedMs = clock.monotonic() - span.from;
        check(waitedMs < limitMs, `the expired job was not found within ${waitedMs} ms`);
        await clock.sleep(5);
      }
      check((await bus.jobs.stats(QUEUE)).ready > 0, "the queue ran empty: this shows nothing");
    },
  },
  {
    id: "JQ-LEASE-007",
    title: "expiresAtMs is the time of the claim and its lease, less a margin at most",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      await enqueueTexts(bus, ["a", "b"]);
      for (const leaseMs of [500, 20_000]) {
        const sentAt = clock.now();
        const job = await claimOne(bus, { leaseMs });
        checkRange(
          job.lease.expiresAtMs,
          sentAt + leaseMs * 0.75,
          clock.now() + leaseMs + ROUNDING_MS,
          `expiresAtMs of a lease of ${leaseMs} ms`,
        );
      }
    },
  },
  {
    id: "JQ-LEASE-008",
    title: "lost fires when the lease is over, with LEASE_LOST, before another worker has the job",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["a"]);
      const { job, span } = await claimTimed(context, bus, { leaseMs: 500 });
      const { lost } = job.lease;
      checkEqual(lost.aborted, false, "lost right after the claim");
      let lostAt: number | undefined;
      lost.addEventListener("abort", () => {
        lostAt = clock.monotonic();
      });
      await claimOne(other);
      checkEqual(job.lease.lost.aborted, true, "lost when another worker has the job");
      await context.until("lost has fired", () => lostAt !== undefined, context.toleranceMs);
      const afterMs = (lostAt ?? 0) - span.from;
      checkRange(afterMs, 500 * 0.75, 500 + context.toleranceMs, "when lost fired");
      checkEqual(errorCode(lost.reason), "LEASE_LOST", "the reason");
    },
  },
  {
    id: "JQ-LEASE-009",
    title: "lost read for the first time after the end has fired already",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a"]);
      const job = await claimOne(bus, { leaseMs: 100 });
      await pass(context, 100);
      checkEqual(job.lease.lost.aborted, true, "lost");
      checkEqual(errorCode(job.lease.lost.reason), "LEASE_LOST", "the reason");
    },
  },
  {
    id: "JQ-LEASE-010",
    title: "lost never fires for a job that was settled in time",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a", "b", "c"]);
      const jobs = await claimNow(bus, 3, { leaseMs: LEASE_MS });
      const signals = jobs.map(({ lease }) => lease.lost);
      await jobs[0]?.ack();
      await jobs[1]?.nak({ delayMs: LONG_MS });
      await jobs[2]?.deadLetter("no use");
      await pass(context, LEASE_MS);
      checkEqual(
        signals.map(({ aborted }) => aborted),
        [false, false, false],
        "lost after ack, nak and deadLetter",
      );
      checkEqual(jobs[0]?.lease.lost.aborted, false, "lost, read after the ack");
    },
  },
  {
    id: "JQ-LEASE-011",
    title: "A lease longer than the default is honoured",
    contract: "jobs",
    level: "L2",
    requires: [needsVirtualTime],
    timeoutMs: 300_000,
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["minute", "default"]);
      const minute = await claimTimed(context, bus, { leaseMs: 60_000 });
      const normal = { from: clock.monotonic(), to: clock.monotonic() };
      const [job] = await bus.jobs.claim(QUEUE, { workerId: "worker" });
      checkEqual(job && toText(job.payload), "default", "the second job");
      const first = await claimOne(other, { waitMs: 120_000 });
      checkDue(context, normal, 30_000, "the end of the default lease");
      checkEqual(toText(first.payload), "default", "what comes first");
      await first.ack();
      await clock.sleep(29_000);
      await checkNothing(other, "after 59 seconds");
      await minute.job.heartbeat();
      const beat = { from: clock.monotonic(), to: clock.monotonic() };
      const again = await claimOne(other, { waitMs: 120_000 });
      checkDue(context, beat, 60_000, "the end of the long lease");
      checkEqual(again.id, minute.job.id, "what comes second");
    },
  },
  {
    id: "JQ-LEASE-012",
    title: "A job whose worker's bus was closed comes back after its lease: neither lost nor early",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["acked", "left"]);
      const [acked] = await claimNow(other, 1, { leaseMs: 400 });
      const { job, span } = await claimTimed(context, other, { leaseMs: 400 });
      await acked?.ack();
      await other.close({ drainMs: 0 });
      const again = await claimOne(bus);
      checkDue(context, span, 400, "the second hand-out");
      checkEqual([again.id, again.attempt], [job.id, 2], "the job and its attempt");
      await again.ack();
      await pass(context, 400);
      await checkNothing(bus, "an ack before close was lost");
      await statsBecome(context, bus, EMPTY);
    },
  },
  {
    id: "JQ-LEASE-013",
    title: "Watching lost leaves nothing behind when the job is settled",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a", "b", "c"]);
      // Until the leases end is longer than leaks are given to go away.
      const jobs = await claimNow(bus, 3, { leaseMs: LONG_MS });
      const signals = jobs.map(({ lease }) => lease.lost);
      await jobs[0]?.ack();
      await jobs[1]?.nak({ delayMs: LONG_MS });
      await jobs[2]?.deadLetter("no use");
      checkEqual(
        signals.map(({ aborted }) => aborted),
        [false, false, false],
        "lost",
      );
    },
  },
];
