import { type ClaimedJob, errorCode } from "@busbar/core";
import { check, checkCode, checkEqual, checkOptionRefused } from "../../assert.ts";
import type { CaseContext, ConformanceCase } from "../../case.ts";
import {
  checkNothing,
  claimNow,
  claimOne,
  deadLettersOf,
  drain,
  EMPTY,
  enqueueTexts,
  LONG_MS,
  pass,
  statsBecome,
  textsOf,
} from "./helpers.ts";
import { checkAtOnce, checkDue, later, outcomes, timed } from "./timing.ts";

const LEASE_MS = 200;

const SETTLES: Readonly<Record<string, (job: ClaimedJob) => Promise<void>>> = {
  ack: (job) => job.ack(),
  "confirmed ack": (job) => job.ack({ confirm: true }),
  nak: (job) => job.nak(),
  "delayed nak": (job) => job.nak({ delayMs: LONG_MS }),
  giveBack: (job) => job.giveBack(),
  "delayed giveBack": (job) => job.giveBack({ delayMs: LONG_MS }),
  deadLetter: (job) => job.deadLetter("no use"),
};

/** `ack`, `nak`, and that one of them counts. */
export const settleCases: readonly ConformanceCase[] = [
  {
    id: "JQ-ACK-001",
    title: "An acked job never comes again, also after its lease, confirmed or not",
    contract: "jobs",
    level: "L0",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["sent", "confirmed"]);
      const [sent, confirmed] = await claimNow(bus, 2, { leaseMs: LEASE_MS });
      await sent?.ack();
      await confirmed?.ack({ confirm: true });
      await pass(context, LEASE_MS);
      await enqueueTexts(bus, ["sentinel"]);
      checkEqual(textsOf(await claimNow(other)), ["sentinel"], "the jobs after the lease");
      await checkNothing(bus, "after the sentinel");
    },
  },
  {
    id: "JQ-ACK-002",
    title: "A confirmed ack has taken effect, for every bus",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["a", "b", "c"]);
      const jobs = await claimNow(bus, 3);
      await Promise.all(jobs.map((job) => job.ack({ confirm: true })));
      checkEqual(await other.jobs.stats("mail"), EMPTY, "the stats on another bus");
    },
  },
  {
    id: "JQ-ACK-003",
    title: "A second settle fails with ALREADY_SETTLED and changes nothing, whatever the two are",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      for (const [first, settle] of Object.entries(SETTLES)) {
        for (const [second, settleAgain] of Object.entries(SETTLES)) {
          const queue = `${first}-then-${second}`.replaceAll(" ", "_");
          await enqueueTexts(bus, ["a"], {}, queue);
          const job = await claimOne(bus, {}, queue);
          await settle(job);
          await checkCode(() => settleAgain(job), "ALREADY_SETTLED", `${first}, then ${second}`);
          await checkEnd(context, first, queue);
        }
      }
    },
  },
  {
    id: "JQ-ACK-004",
    title: "Of two settles at the same time one counts and the other fails with ALREADY_SETTLED",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const pairs = [
        ["ack", "nak"],
        ["nak", "ack"],
        ["ack", "deadLetter"],
        ["deadLetter", "ack"],
        ["nak", "deadLetter"],
        ["deadLetter", "deadLetter"],
        ["giveBack", "ack"],
        ["nak", "giveBack"],
        ["giveBack", "giveBack"],
      ] as const;
      for (const [first, second] of pairs) {
        const queue = `${first}-with-${second}`;
        await enqueueTexts(bus, ["a"], {}, queue);
        const job = await claimOne(bus, {}, queue);
        const settled = await Promise.allSettled([SETTLES[first]?.(job), SETTLES[second]?.(job)]);
        const { values, errors } = outcomes(settled);
        checkEqual(values.length, 1, `settles that counted, of ${first} and ${second}`);
        checkEqual(errors.map(errorCode), ["ALREADY_SETTLED"], `the other of ${first}, ${second}`);
        await checkEnd(context, settled[0]?.status === "fulfilled" ? first : second, queue);
      }
    },
  },
  {
    id: "JQ-ACK-005",
    title: "Each job of a batch is settled for itself",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["acked", "naked", "dead", "left", "late"]);
      const jobs = await claimNow(bus, 5, { leaseMs: 400 });
      await jobs[0]?.ack();
      await jobs[2]?.deadLetter("no use");
      await jobs[1]?.nak();
      await jobs[4]?.nak({ delayMs: LONG_MS });
      const [naked] = await claimNow(bus, 5, { waitMs: 2_000 });
      checkEqual([naked?.id, naked?.attempt], [jobs[1]?.id, 2], "the job that was given back");
      await pass(context, 400);
      const left = await claimNow(bus);
      checkEqual(textsOf(left), ["left"], "the job that was left");
      checkEqual(textsOf(await deadLettersOf(bus)), ["dead"], "the dead letters");
      await statsBecome(context, bus, { ready: 0, delayed: 1, leased: 2, dead: 1 });
    },
  },
  {
    id: "JQ-NAK-001",
    title: "nak gives the job back at once, with the next attempt, as often as it has attempts",
    contract: "jobs",
    level: "L0",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      await enqueueTexts(bus, ["a"], { maxAttempts: 5 });
      let job = await claimOne(bus);
      for (const attempt of [2, 3, 4, 5]) {
        const fence: number = job.fence;
        const from = clock.monotonic();
        await job.nak();
        job = await claimOne(attempt % 2 === 0 ? other : bus);
        checkAtOnce(context, { from, to: clock.monotonic() }, "the return of the job");
        checkEqual(job.attempt, attempt, "attempt");
        check(job.fence > fence, `fence ${job.fence} comes after ${fence}`);
      }
      await job.ack({ confirm: true });
      await checkNothing(bus, "after the ack");
    },
  },
  {
    id: "JQ-NAK-002",
    title:
      "nak with a delay gives the job back after it, not before, longer or shorter than its lease",
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
        const { span } = await timed(clock, () => job.nak({ delayMs }));
        await checkNothing(bus, "right after the nak");
        const again = await claimOne(other);
        checkDue(context, span, delayMs, `the return after a lease of ${leaseMs}`);
        checkEqual([again.id, again.attempt], [job.id, 2], "the job and its attempt");
        await again.ack();
      }
    },
  },
  {
    id: "JQ-NAK-003",
    title: "Jobs that are given back come before all that were enqueued later, in order",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      await enqueueTexts(bus, ["a", "b", "c", "d", "e"]);
      const [a, b, c, d] = await claimNow(bus, 4);
      for (const job of [a, b, c]) await job?.nak();
      // The confirmed ack comes after what was sent before it.
      await d?.ack({ confirm: true });
      checkEqual(await drain(bus), ["a", "b", "c", "e"], "the order");
    },
  },
  {
    id: "JQ-NAK-007",
    title: "Jobs that are given back come before those that nobody had yet",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      await enqueueTexts(bus, ["a", "b", "c", "d", "e"]);
      const [a, b, c, d] = await claimNow(bus, 4);
      await c?.nak();
      await a?.nak();
      await b?.nak();
      await d?.ack({ confirm: true });
      const order = await drain(bus);
      checkEqual(order.slice(0, 3).toSorted(), ["a", "b", "c"], "what comes first");
      checkEqual(order.slice(3), ["e"], "what comes after");
    },
  },
  {
    id: "JQ-NAK-004",
    title: "Two jobs with delays come back each at its own time",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      await enqueueTexts(bus, ["slow", "quick"]);
      const [slow, quick] = await claimNow(bus, 2);
      check(slow && quick, "not all were handed out");
      const second = await timed(clock, () => slow.nak({ delayMs: 600 }));
      const first = await timed(clock, () => quick.nak({ delayMs: 200 }));
      checkEqual((await claimOne(bus)).id, quick.id, "what comes first");
      checkDue(context, first.span, 200, "the quick one");
      checkEqual((await claimOne(bus)).id, slow.id, "what comes second");
      checkDue(context, second.span, 600, "the slow one");
    },
  },
  {
    id: "JQ-NAK-005",
    title: "A settle with an option that is not allowed is refused, and the job is still held",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      await enqueueTexts(bus, ["a"]);
      const job = await claimOne(bus);
      await checkOptionRefused(() => job.nak({ delayMs: -1 }), "delayMs");
      await checkOptionRefused(() => job.nak({ delayMs: Number.NaN }), "delayMs");
      const long = "x".repeat(257);
      await checkCode(() => job.nak({ reason: long }), "INVALID_ARGUMENT", "a long reason");
      await checkCode(() => job.deadLetter(long), "INVALID_ARGUMENT", "a long reason");
      await checkCode(() => job.deadLetter("a\r\nb: c"), "INVALID_ARGUMENT", "a line break");
      await checkNothing(bus, "what the refused settles gave back");
      await job.heartbeat();
      await job.ack({ confirm: true });
      checkEqual(await bus.jobs.stats("mail"), EMPTY, "the stats");
    },
  },
  {
    id: "JQ-NAK-006",
    title: "Many jobs that wait after a nak do not block the others",
    contract: "jobs",
    level: "L3",
    async run(context) {
      const { bus } = context;
      await bus.jobs.enqueueMany(
        "mail",
        Array.from({ length: 1_200 }, (_, index) => ({ payload: `${index}` })),
      );
      let naked = 0;
      while (naked < 1_200) {
        const jobs = await claimNow(bus, 200, { waitMs: 2_000 });
        check(jobs.length > 0, `nothing is handed out beyond ${naked} delayed jobs`);
        await Promise.all(jobs.map((job) => job.nak({ delayMs: LONG_MS })));
        naked += jobs.length;
      }
      const waiting = later(claimOne(bus));
      await enqueueTexts(bus, ["free"]);
      checkEqual(textsOf([await waiting]), ["free"], "the job that need not wait");
      await statsBecome(context, bus, { ready: 0, delayed: 1_200, leased: 1 });
    },
  },
];

/** Fails unless a job that was settled in this way is where it belongs, once. */
async function checkEnd(context: CaseContext, settle: string, queue: string): Promise<void> {
  const { bus } = context;
  if (settle === "nak" || settle === "giveBack") {
    const again = await claimOne(bus, {}, queue);
    checkEqual(again.attempt, settle === "nak" ? 2 : 1, `attempt after a ${settle}`);
    await again.ack();
  }
  const delayed = settle.startsWith("delayed") ? 1 : 0;
  const dead = settle === "deadLetter" ? 1 : 0;
  await statsBecome(context, bus, { ready: 0, delayed, leased: 0, dead }, queue);
  await checkNothing(bus, `what was settled by ${settle}`, queue);
}
