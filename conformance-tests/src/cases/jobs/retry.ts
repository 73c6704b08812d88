import { toText } from "@busbar/core";
import { check, checkEqual } from "../../assert.ts";
import { type ConformanceCase, needsSoundRedelivery } from "../../case.ts";
import {
  checkNothing,
  claimAll,
  claimNow,
  deadLettersBecome,
  deadLettersOf,
  EMPTY,
  enqueueTexts,
  notOnce,
  pass,
  QUEUE,
  statsBecome,
  textsOf,
} from "./helpers.ts";
import { later, range } from "./timing.ts";

const LEASE_MS = 120;

/** Attempts, and what comes after the last one. */
export const retryCases: readonly ConformanceCase[] = [
  {
    id: "JQ-RETRY-001",
    title:
      "A job that kills its worker every time is dead-lettered after maxAttempts, without a nak",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const { id } = await bus.jobs.enqueue(QUEUE, { payload: "poison", maxAttempts: 3 });
      const attempts: number[] = [];
      await context.until("the job is in the dead letters", async () => {
        for (const job of await claimNow(bus, 1, { leaseMs: LEASE_MS })) attempts.push(job.attempt);
        return (await bus.jobs.deadLetters.count(QUEUE)) > 0;
      });
      checkEqual(attempts, [1, 2, 3], "the attempts that workers saw");
      const [letter, ...more] = await deadLettersOf(bus);
      checkEqual(more.length, 0, "further dead letters");
      checkEqual([letter?.id, letter?.attempts], [id, 3], "the dead letter and its attempts");
      checkEqual(letter?.reason, "max attempts", "the reason");
      await pass(context, LEASE_MS);
      await checkNothing(bus, "after the last attempt");
      await statsBecome(context, bus, { ...EMPTY, dead: 1 });
    },
  },
  {
    id: "JQ-RETRY-002",
    title: "With maxAttempts 1 a job is handed out once, however it ends",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["lapsed", "naked", "acked"], { maxAttempts: 1 });
      const [lapsed, naked, acked] = await claimNow(bus, 3, { leaseMs: LEASE_MS });
      checkEqual(lapsed?.maxAttempts, 1, "maxAttempts");
      await acked?.ack();
      await naked?.nak();
      await pass(context, LEASE_MS);
      await checkNothing(bus, "after the only attempt");
      const letters = await deadLettersBecome(context, bus, 2);
      checkEqual(textsOf(letters).toSorted(), ["lapsed", "naked"], "the dead letters");
      checkEqual(
        letters.map(({ attempts, reason }) => `${attempts} ${reason}`),
        ["1 max attempts", "1 max attempts"],
        "attempts and reasons",
      );
      await checkNothing(bus, "after the dead letters");
    },
  },
  {
    id: "JQ-RETRY-003",
    title: "nak on the last attempt dead-letters with its reason, whatever its delay",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a", "b"], { maxAttempts: 2 });
      for (const job of await claimNow(bus, 2)) await job.nak({ reason: "the first time" });
      const again = await claimAll(bus, 2);
      const [a, b] = [again.get("a"), again.get("b")];
      checkEqual([a?.attempt, b?.attempt], [2, 2], "attempts");
      await a?.nak({ reason: "no route to the host" });
      await b?.nak({ reason: "later", delayMs: 60_000 });
      const letters = await deadLettersBecome(context, bus, 2);
      checkEqual(
        letters.map((one) => `${toText(one.payload)}: ${one.reason}, ${one.attempts}`),
        ["a: no route to the host, 2", "b: later, 2"],
        "the dead letters",
      );
      checkEqual(await bus.jobs.stats(QUEUE), { ...EMPTY, dead: 2 }, "the stats");
    },
  },
  {
    id: "JQ-RETRY-004",
    title: "Each job has its own maxAttempts, and lapses and naks count alike",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await bus.jobs.enqueue(QUEUE, { payload: "two", maxAttempts: 2 });
      await bus.jobs.enqueue(QUEUE, { payload: "four", maxAttempts: 4 });
      const seen: string[] = [];
      await context.until("both are in the dead letters", async () => {
        for (const job of await claimNow(bus, 10, { leaseMs: LEASE_MS })) {
          seen.push(`${toText(job.payload)} ${job.attempt} of ${job.maxAttempts}`);
          if (job.attempt % 2 === 0) await job.nak();
        }
        return (await bus.jobs.deadLetters.count(QUEUE)) === 2;
      });
      checkEqual(
        seen.toSorted(),
        ["four 1 of 4", "four 2 of 4", "four 3 of 4", "four 4 of 4", "two 1 of 2", "two 2 of 2"],
        "what workers saw",
      );
      const letters = await deadLettersOf(bus);
      checkEqual(
        letters.map((one) => `${toText(one.payload)} ${one.attempts}`).toSorted(),
        ["four 4", "two 2"],
        "the dead letters",
      );
    },
  },
  {
    id: "JQ-RETRY-005",
    title: "A poison job in a batch of ten dead-letters itself and none of its neighbours",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const texts = range(10).map((index) => `${index}`);
      await enqueueTexts(bus, texts, { maxAttempts: 2 });
      const acked: string[] = [];
      for (const _attempt of range(2)) {
        for (const job of await claimNow(bus, 10, { waitMs: 2_000 })) {
          const text = toText(job.payload);
          if (text === "4") await job.nak({ reason: "poison" });
          else {
            acked.push(text);
            await job.ack();
          }
        }
      }
      const letters = await deadLettersBecome(context, bus, 1);
      checkEqual(textsOf(letters), ["4"], "the dead letters");
      checkEqual(notOnce(acked), {}, "jobs that came not once");
      checkEqual(
        acked.toSorted(),
        texts.filter((text) => text !== "4"),
        "the neighbours",
      );
      await checkNothing(bus, "after all");
      await statsBecome(context, bus, { ...EMPTY, dead: 1 });
    },
  },
  {
    id: "JQ-RETRY-006",
    title: "With many claimers on two buses each dead job is handed out and dead-lettered once",
    contract: "jobs",
    level: "L3",
    requires: [needsSoundRedelivery],
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const texts = range(40).map((index) => `${index}`);
      await enqueueTexts(bus, texts, { maxAttempts: 1 });
      const seen: string[] = [];
      let over = false;
      const claimer = async (index: number): Promise<void> => {
        const one = buses[index % 2] as typeof bus;
        while (!over) {
          const jobs = await claimNow(one, 3, { leaseMs: 100, waitMs: 20 });
          await context.clock.sleep(1);
          seen.push(...textsOf(jobs));
          if (index % 3 === 0) for (const job of jobs) await job.nak().catch(() => undefined);
          if (index % 3 === 1) {
            for (const job of jobs) await job.deadLetter("no use").catch(() => undefined);
          }
        }
      };
      const claimers = later(Promise.all(range(6).map(claimer)));
      await context.until(
        "all are dead",
        async () => (await bus.jobs.deadLetters.count(QUEUE)) >= 40,
      );
      await pass(context, 100);
      over = true;
      await claimers;
      checkEqual(notOnce(seen), {}, "jobs that were handed out not once");
      checkEqual(seen.length, 40, "jobs that were handed out");
      const letters = await deadLettersOf(bus);
      checkEqual(notOnce(textsOf(letters)), {}, "jobs that are there not once");
      checkEqual(letters.length, 40, "dead letters");
      check(
        letters.every(({ attempts }) => attempts === 1),
        "a dead letter has another number of attempts",
      );
      await statsBecome(context, bus, { ...EMPTY, dead: 40 });
    },
  },
];
