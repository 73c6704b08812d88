import { check, checkCode, checkEqual, checkOptionRefused, checkRange } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkNothing,
  claimNow,
  claimOne,
  claimTimed,
  EMPTY,
  enqueueTexts,
  LONG_MS,
  pass,
  statsBecome,
} from "./helpers.ts";
import { checkDue, later, range, ROUNDING_MS, timed } from "./timing.ts";

/** `heartbeat` of a claimed job. */
export const heartbeatCases: readonly ConformanceCase[] = [
  {
    id: "JQ-BEAT-001",
    title: "A heartbeat renews the lease from now, for the time of the claim",
    contract: "jobs",
    level: "L0",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["a"]);
      const job = await claimOne(bus, { leaseMs: 500 });
      const waiting = later(claimOne(other));
      await clock.sleep(300);
      const { span } = await timed(clock, () => job.heartbeat());
      checkRange(
        job.lease.expiresAtMs - clock.now(),
        500 * 0.7,
        500 + ROUNDING_MS,
        "the time that is left",
      );
      const again = await waiting;
      checkDue(context, span, 500, "the end of the renewed lease");
      checkEqual(again.attempt, 2, "attempt");
    },
  },
  {
    id: "JQ-BEAT-002",
    title: "A heartbeat with another leaseMs makes the lease longer, or shorter",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["longer"]);
      const longer = await claimOne(bus, { leaseMs: 200 });
      const long = await timed(clock, () => longer.heartbeat({ leaseMs: 900 }));
      await claimOne(other);
      checkDue(context, long.span, 900, "the end of the longer lease");
      await enqueueTexts(bus, ["shorter"]);
      const shorter = await claimOne(bus, { leaseMs: LONG_MS });
      const short = await timed(clock, () => shorter.heartbeat({ leaseMs: 200 }));
      const again = await claimOne(other);
      checkDue(context, short.span, 200, "the end of the shorter lease");
      checkEqual([again.id, again.attempt], [shorter.id, 2], "the job and its attempt");
      await checkOptionRefused(() => again.heartbeat({ leaseMs: 10 }), "leaseMs");
      await again.ack({ confirm: true });
    },
  },
  {
    id: "JQ-BEAT-003",
    title: "Heartbeats keep a job far beyond its lease, on its first attempt, until it is acked",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["a"]);
      const job = await claimOne(bus, { leaseMs: 700 });
      const { lost } = job.lease;
      for (const _beat of range(14)) {
        await clock.sleep(150);
        await job.heartbeat();
        await checkNothing(other, "what another bus can claim");
      }
      checkEqual([job.lease.lost.aborted, lost.aborted], [false, false], "lost");
      await job.ack({ confirm: true });
      await pass(context, 700);
      await checkNothing(other, "after the ack");
      checkEqual(await bus.jobs.stats("mail"), EMPTY, "the stats");
    },
  },
  {
    id: "JQ-BEAT-004",
    title: "A heartbeat of one job of a batch renews that one only",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      await enqueueTexts(bus, ["a", "b", "c"]);
      const claimed = await timed(clock, () => claimNow(bus, 3, { leaseMs: 300 }));
      const [a, b, c] = claimed.value;
      check(a && b && c, "not all were handed out");
      const beat = await timed(clock, () => b.heartbeat({ leaseMs: 1_000 }));
      const first = await claimOne(bus);
      checkDue(context, claimed.span, 300, "the end of the lease");
      const second = await claimOne(bus);
      checkEqual([first.id, second.id], [a.id, c.id], "the jobs without a heartbeat");
      const third = await claimOne(bus);
      checkDue(context, beat.span, 1_000, "the end of the renewed lease");
      checkEqual(third.id, b.id, "the job with a heartbeat");
    },
  },
  {
    id: "JQ-BEAT-005",
    title: "A heartbeat of a settled job fails with ALREADY_SETTLED and revives nothing",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["ack", "nak", "dead"]);
      const [acked, naked, dead] = await claimNow(bus, 3, { leaseMs: 300 });
      check(acked && naked && dead, "not all were handed out");
      await acked.ack();
      await naked.nak({ delayMs: LONG_MS });
      await dead.deadLetter("no use");
      for (const job of [acked, naked, dead]) {
        await checkCode(() => job.heartbeat(), "ALREADY_SETTLED", "a heartbeat after a settle");
      }
      await statsBecome(context, bus, { ready: 0, delayed: 1, leased: 0, dead: 1 });
      await pass(context, 300);
      await checkNothing(bus, "after the lease");
    },
  },
  {
    id: "JQ-BEAT-006",
    title: "lost follows the heartbeats: it fires at the end of the last one",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      await enqueueTexts(bus, ["a"]);
      const { job } = await claimTimed(context, bus, { leaseMs: 300 });
      const { lost } = job.lease;
      let lostAt: number | undefined;
      lost.addEventListener("abort", () => {
        lostAt = clock.monotonic();
      });
      await clock.sleep(150);
      const { span } = await timed(clock, () => job.heartbeat({ leaseMs: 600 }));
      await context.until(
        "lost has fired",
        () => lostAt !== undefined,
        600 + 2 * context.toleranceMs,
      );
      checkRange(
        (lostAt ?? 0) - span.from,
        600 * 0.75,
        600 + context.toleranceMs,
        "when lost fired after the heartbeat",
      );
    },
  },
  {
    id: "JQ-BEAT-007",
    title: "After a heartbeat with another leaseMs, one without has the time of the claim",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["a"]);
      const job = await claimOne(bus, { leaseMs: 300 });
      await job.heartbeat({ leaseMs: LONG_MS });
      const { span } = await timed(clock, () => job.heartbeat());
      await claimOne(other);
      checkDue(context, span, 300, "the end of the lease");
    },
  },
];
