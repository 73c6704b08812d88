import { toText } from "@busbar/core";
import { check, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkNothing,
  claimNow,
  claimOne,
  deadLettersBecome,
  EMPTY,
  enqueueTexts,
  QUEUE,
  statsBecome,
  textsOf,
} from "./helpers.ts";
import { later, outcomes, range } from "./timing.ts";

/** `deadLetters.replay`. */
export const replayCases: readonly ConformanceCase[] = [
  {
    id: "JQ-REPLAY-001",
    title: "replay puts the job back as it was, with all attempts to go, and removes the record",
    contract: "jobs",
    level: "L0",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const { id } = await bus.jobs.enqueue(QUEUE, {
        payload: "a",
        headers: { trace: "t-1" },
        maxAttempts: 2,
        priority: 6,
      });
      await (await claimOne(bus)).nak();
      await (await claimOne(bus)).nak({ reason: "no use" });
      await deadLettersBecome(context, bus, 1);
      checkEqual(await other.jobs.deadLetters.replay(QUEUE, id), true, "replay");
      checkEqual(await bus.jobs.deadLetters.count(QUEUE), 0, "the count of dead letters");
      checkEqual(await bus.jobs.deadLetters.get(QUEUE, id), undefined, "get");
      const job = await claimOne(bus);
      checkEqual(toText(job.payload), "a", "payload");
      checkEqual(job.headers.trace, "t-1", "the header");
      checkEqual([job.attempt, job.maxAttempts], [1, 2], "attempt and maxAttempts");
      checkEqual(job.priority, 6, "priority");
      await job.nak();
      const again = await claimOne(bus);
      checkEqual(again.attempt, 2, "the next attempt");
      await again.ack({ confirm: true });
      checkEqual(await bus.jobs.stats(QUEUE), EMPTY, "the stats");
    },
  },
  {
    id: "JQ-REPLAY-002",
    title: "replay of a record that is not there, or not any more, is false and makes no job",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const { id } = await bus.jobs.enqueue(QUEUE, { payload: "a" });
      await (await claimOne(bus)).deadLetter("no use");
      await deadLettersBecome(context, bus, 1);
      const { deadLetters } = bus.jobs;
      checkEqual(await deadLetters.replay(QUEUE, "no-such-id"), false, "a missing id");
      checkEqual(await deadLetters.replay("other", id), false, "another queue");
      checkEqual(await deadLetters.replay(QUEUE, id), true, "replay");
      checkEqual(await deadLetters.replay(QUEUE, id), false, "replay again");
      checkEqual(textsOf(await claimNow(bus)), ["a"], "the jobs");
      await checkNothing(bus, "of the other queue", "other");
    },
  },
  {
    id: "JQ-REPLAY-003",
    title: "A job can die and be replayed time and again",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await bus.jobs.enqueue(QUEUE, { payload: "a", maxAttempts: 1 });
      for (const _round of range(4)) {
        const job = await claimOne(bus);
        checkEqual([toText(job.payload), job.attempt], ["a", 1], "the job and its attempt");
        await job.deadLetter("again");
        const [letter] = await deadLettersBecome(context, bus, 1);
        check(letter, "no dead letter");
        checkEqual(await bus.jobs.deadLetters.replay(QUEUE, letter.id), true, "replay");
        checkEqual(await bus.jobs.deadLetters.count(QUEUE), 0, "the count");
      }
      await (await claimOne(bus)).ack({ confirm: true });
      checkEqual(await bus.jobs.stats(QUEUE), EMPTY, "the stats");
    },
  },
  {
    id: "JQ-REPLAY-004",
    title: "A job's own dedup key does not keep it from being replayed",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const job = { payload: "a", dedupKey: "order-17" };
      const { id } = await bus.jobs.enqueue(QUEUE, job);
      await (await claimOne(bus)).deadLetter("no use");
      await deadLettersBecome(context, bus, 1);
      checkEqual((await bus.jobs.enqueue(QUEUE, job)).duplicate, true, "duplicate while dead");
      checkEqual(await bus.jobs.deadLetters.replay(QUEUE, id), true, "replay");
      const again = await claimOne(bus);
      checkEqual([toText(again.payload), again.attempt], ["a", 1], "the job and its attempt");
      await again.ack();
      checkEqual((await bus.jobs.enqueue(QUEUE, job)).duplicate, true, "duplicate after the ack");
      await checkNothing(bus, "after all");
    },
  },
  {
    id: "JQ-REPLAY-005",
    title: "Ten replays of one record at the same time make one job",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const { id } = await bus.jobs.enqueue(QUEUE, { payload: "a" });
      await (await claimOne(bus)).deadLetter("no use");
      await deadLettersBecome(context, bus, 1);
      const settled = await Promise.allSettled(
        range(10).map((index) =>
          later((buses[index % 2] as typeof bus).jobs.deadLetters.replay(QUEUE, id)),
        ),
      );
      const { values, errors } = outcomes(settled);
      checkEqual(errors.map(String), [], "errors");
      check(values.includes(true), "no replay counted");
      checkEqual(textsOf(await claimNow(bus)), ["a"], "the jobs");
      await statsBecome(context, bus, { ...EMPTY, leased: 1 });
    },
  },
  {
    id: "JQ-REPLAY-006",
    title: "A replayed job wakes a waiting claim",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const results = await enqueueTexts(bus, ["a", "b", "c"]);
      for (const job of await claimNow(bus)) await job.deadLetter("no use");
      await deadLettersBecome(context, bus, 3);
      const waiting = later(claimOne(other));
      await context.clock.sleep(50);
      for (const index of [2, 0, 1]) {
        await bus.jobs.deadLetters.replay(QUEUE, results[index]?.id ?? "");
      }
      const first = await waiting;
      const rest = await claimNow(bus, 10, { waitMs: 2_000 });
      checkEqual(textsOf([first, ...rest]), ["c", "a", "b"], "the order");
    },
  },
];
