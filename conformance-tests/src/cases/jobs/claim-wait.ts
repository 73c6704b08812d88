import { type ClaimedJob, toText } from "@busbar/core";
import { check, checkCode, checkEqual } from "../../assert.ts";
import { type ConformanceCase, needsSoundRedelivery } from "../../case.ts";
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
import { checkAtOnce, checkDue, later, range, within } from "./timing.ts";

/** Claims that wait, and how waiting ends. */
export const claimWaitCases: readonly ConformanceCase[] = [
  {
    id: "JQ-WAIT-001",
    title: "A waiting claim gets a job that is enqueued later at once, from any bus",
    contract: "jobs",
    level: "L0",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      for (const producer of [bus, other]) {
        const waiting = later(claimOne(bus, { waitMs: LONG_MS }));
        await clock.sleep(100);
        const from = clock.monotonic();
        await enqueueTexts(producer, ["late"]);
        const job = await waiting;
        checkAtOnce(context, { from, to: clock.monotonic() }, "the hand-out");
        checkEqual(toText(job.payload), "late", "the job");
        checkEqual(job.attempt, 1, "attempt");
        await job.ack();
      }
    },
  },
  {
    id: "JQ-WAIT-002",
    title: "A claim that waits in vain gives an empty array when waitMs is over, not before",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      for (const waitMs of [300, 50]) {
        const from = context.clock.monotonic();
        checkEqual(await claimNow(bus, 1, { waitMs }), [], "the jobs");
        checkDue(context, { from, to: from }, waitMs, "the end of the wait");
      }
    },
  },
  {
    id: "JQ-WAIT-003",
    title:
      "A claim whose wait is over takes nothing later: the job goes to the next claim, attempt 1",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      for (const round of range(5)) {
        checkEqual(await claimNow(bus, 10, { waitMs: 60 }), [], "the jobs of a claim in vain");
        await enqueueTexts(bus, [`${round}`]);
        const jobs = await claimNow(other, 10);
        checkEqual(textsOf(jobs), [`${round}`], "the jobs of the next claim");
        checkEqual(jobs[0]?.attempt, 1, "attempt");
        await jobs[0]?.ack();
      }
    },
  },
  {
    id: "JQ-WAIT-004",
    title: "An aborted wait rejects with the signal's reason, and neither takes nor spoils a job",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      for (const round of range(5)) {
        const control = new AbortController();
        const reason = new Error(`stop ${round}`);
        const waiting = later(
          claimOne(bus, { waitMs: LONG_MS, signal: control.signal }).catch(
            (error: unknown) => error,
          ),
        );
        await clock.sleep(30);
        const from = clock.monotonic();
        control.abort(reason);
        const outcome = await waiting;
        checkAtOnce(context, { from, to: clock.monotonic() }, "the end of the wait");
        check(outcome === reason, `the claim came to ${String(outcome)}`);
        await enqueueTexts(bus, [`${round}`]);
        const jobs = await claimNow(other, 10);
        checkEqual(textsOf(jobs), [`${round}`], "the jobs of the next claim");
        checkEqual(jobs[0]?.attempt, 1, "attempt");
        await jobs[0]?.ack();
      }
    },
  },
  {
    id: "JQ-WAIT-005",
    title: "A signal that was aborted before takes nothing; one aborted later takes nothing back",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const reason = new Error("too late");
      await enqueueTexts(bus, ["a"]);
      const refused = await claimOne(bus, { signal: AbortSignal.abort(reason) }).catch(
        (error: unknown) => error,
      );
      check(refused === reason, `the claim came to ${String(refused)}`);
      const control = new AbortController();
      const job = await claimOne(bus, { signal: control.signal });
      checkEqual(job.attempt, 1, "attempt");
      control.abort(reason);
      await job.heartbeat();
      await job.ack({ confirm: true });
    },
  },
  {
    id: "JQ-WAIT-006",
    title: "Of several waiting claims each new job wakes one, and no job is lost or doubled",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      const waiting = range(6).map((index) =>
        later(
          claimNow(index % 2 === 0 ? bus : other, 1, { waitMs: 800, workerId: `worker-${index}` }),
        ),
      );
      await clock.sleep(100);
      await enqueueTexts(bus, ["a", "b", "c"]);
      const results = await Promise.all(waiting);
      const texts = results.flatMap((jobs) => textsOf(jobs));
      checkEqual(texts.toSorted(), ["a", "b", "c"], "the jobs of all claims");
      checkEqual(results.filter((jobs) => jobs.length === 0).length, 3, "claims in vain");
    },
  },
  {
    id: "JQ-WAIT-007",
    title: "A waiting claim gets a job that another worker gives back",
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
      await job.nak();
      const again = await waiting;
      checkAtOnce(context, { from, to: clock.monotonic() }, "the hand-out");
      checkEqual([again.id, again.attempt], [job.id, 2], "the job and its attempt");
    },
  },
  {
    id: "JQ-WAIT-008",
    title: "Closing a bus ends its waiting claims with CLOSED; what comes later is for others",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      const waiting = later(claimNow(other, 10, { waitMs: LONG_MS }));
      await clock.sleep(50);
      const closing = other.close({ drainMs: 0 });
      await checkCode(within(context, waiting, "the end of the claim"), "CLOSED", "the claim");
      await closing;
      await enqueueTexts(bus, ["a"]);
      const jobs = await claimNow(bus, 10);
      checkEqual(textsOf(jobs), ["a"], "the jobs of the next claim");
      checkEqual(jobs[0]?.attempt, 1, "attempt");
      await checkCode(() => claimNow(other), "CLOSED", "a claim after close");
    },
  },
  {
    id: "JQ-WAIT-009",
    title: "Claims that are aborted while jobs come in lose none and burn no attempt",
    contract: "jobs",
    level: "L3",
    requires: [needsSoundRedelivery],
    async run(context) {
      const { bus, clock, random } = context;
      const other = await context.open();
      const rounds = 60;
      const done: string[] = [];
      const take = async (signal: AbortSignal): Promise<void> => {
        const claiming = claimNow(bus, 3, { waitMs: LONG_MS, signal });
        for (const job of await claiming.catch((error: unknown) => noneIfAborted(error, signal))) {
          checkEqual(job.attempt, 1, "attempt");
          done.push(toText(job.payload));
          await job.ack({ confirm: true });
        }
      };
      for (const round of range(rounds)) {
        const control = new AbortController();
        const taking = later(take(control.signal));
        if (random.next() < 0.5) await clock.sleep(random.next() * 3);
        const enqueuing = enqueueTexts(other, [`${round}`]);
        if (random.next() < 0.7) await clock.sleep(random.next() * 3);
        control.abort();
        await Promise.all([taking, enqueuing]);
      }
      await context.until("all jobs were seen", async () => {
        // Given back by an aborted claim, they are ready again at once, not after their lease.
        for (const job of await claimNow(other, 10)) {
          checkEqual(job.attempt, 1, "attempt of a job that was given back");
          done.push(toText(job.payload));
          await job.ack({ confirm: true });
        }
        return done.length >= rounds;
      });
      checkEqual(notOnce(done), {}, "jobs that came not once");
      checkEqual(done.length, rounds, "jobs");
      await checkNothing(bus, "after all were acked");
      await statsBecome(context, bus, EMPTY, QUEUE);
    },
  },
  {
    id: "JQ-WAIT-010",
    title: "What an aborted claim had in hand comes again in its order",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock, random } = context;
      for (const round of range(20)) {
        // One that was handed out before may take longer to give back than one that is new.
        const expected = [`again ${round}`, `new ${round}`];
        await enqueueTexts(bus, expected.slice(0, 1));
        await (await claimOne(bus)).nak();
        await enqueueTexts(bus, expected.slice(1));
        const control = new AbortController();
        const { signal } = control;
        const claiming = claimNow(bus, 2, { waitMs: LONG_MS, signal });
        const taking = later<ClaimedJob[]>(
          claiming.catch((error: unknown) => noneIfAborted(error, signal)),
        );
        await clock.sleep(random.next() * 2);
        control.abort();
        const jobs = await taking;
        while (jobs.length < 2) jobs.push(await claimOne(bus, { waitMs: LONG_MS }));
        checkEqual(textsOf(jobs), expected, "jobs");
        for (const job of jobs) await job.ack({ confirm: true });
      }
    },
  },
];

function noneIfAborted(error: unknown, signal: AbortSignal): never[] {
  check(error === signal.reason, `the claim rejected with ${String(error)}`);
  return [];
}
