import { checkCode, checkEqual, checkOptionRefused } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkNothing,
  claimNow,
  claimOne,
  drain,
  EMPTY,
  enqueueTexts,
  notOnce,
  QUEUE,
  textsOf,
} from "./helpers.ts";
import { bounded, range } from "./timing.ts";

/** `enqueueMany`. */
export const enqueueManyCases: readonly ConformanceCase[] = [
  {
    id: "JQ-MANY-001",
    title: "Jobs enqueued together come in their order, between those before and after",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const texts = range(50).map((index) => `many ${index}`);
      await enqueueTexts(bus, ["before"]);
      const results = await bus.jobs.enqueueMany(
        QUEUE,
        texts.map((payload) => ({ payload })),
      );
      await enqueueTexts(bus, ["after"]);
      checkEqual(results.length, texts.length, "results");
      checkEqual(new Set(results.map(({ id }) => id)).size, texts.length, "different ids");
      checkEqual(
        results.some(({ duplicate }) => duplicate),
        false,
        "duplicates",
      );
      const first = await claimOne(bus);
      await first.ack();
      const second = await claimOne(bus);
      checkEqual(second.id, results[0]?.id, "the id of the first of many");
      await second.ack();
      checkEqual(await drain(bus), [...texts.slice(1), "after"], "the order");
    },
  },
  {
    id: "JQ-MANY-002",
    title: "If one of many is not allowed, none is enqueued",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const good = range(5).map((index) => ({ payload: `${index}` }));
      await checkOptionRefused(
        () => bus.jobs.enqueueMany(QUEUE, [...good, { payload: "x", priority: 10 }, ...good]),
        "priority",
      );
      await checkCode(
        () => bus.jobs.enqueueMany(QUEUE, [...good, { payload: "x", dedupKey: "a b" }, ...good]),
        "INVALID_ARGUMENT",
        "a bad dedup key in the middle",
      );
      const large = new Uint8Array(bus.capabilities.maxPayloadBytes + 1);
      await checkCode(
        () => bus.jobs.enqueueMany(QUEUE, [...good, { payload: large }]),
        "PAYLOAD_TOO_LARGE",
        "a large payload at the end",
      );
      await checkNothing(bus, "what was refused");
      checkEqual(await bus.jobs.stats(QUEUE), EMPTY, "the stats");
    },
  },
  {
    id: "JQ-MANY-003",
    title: "No jobs give no results",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      checkEqual(await bus.jobs.enqueueMany(QUEUE, []), [], "the results");
      await checkNothing(bus, "after nothing");
    },
  },
  {
    id: "JQ-MANY-004",
    title: "Of several with one dedup key among many the first is made; all get its id",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const earlier = await bus.jobs.enqueue(QUEUE, { payload: "earlier", dedupKey: "old" });
      const results = await bus.jobs.enqueueMany(QUEUE, [
        { payload: "a1", dedupKey: "a" },
        { payload: "plain" },
        { payload: "a2", dedupKey: "a" },
        { payload: "old2", dedupKey: "old" },
        { payload: "b1", dedupKey: "b" },
        { payload: "a3", dedupKey: "a" },
      ]);
      checkEqual(
        results.map(({ duplicate }) => duplicate),
        [false, false, true, true, false, true],
        "duplicate",
      );
      const ids = results.map(({ id }) => id);
      checkEqual([ids[2], ids[5]], [ids[0], ids[0]], "the ids of the doubles");
      checkEqual(ids[3], earlier.id, "the id of the double of an earlier job");
      checkEqual(textsOf(await claimNow(bus)), ["earlier", "a1", "plain", "b1"], "the jobs");
    },
  },
  {
    id: "JQ-MANY-005",
    title: "Of many, each has its own priority, delay and attempts",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      await bus.jobs.enqueueMany(QUEUE, [
        { payload: "low" },
        { payload: "later", delayMs: 60_000 },
        { payload: "high", priority: 9, maxAttempts: 2 },
        { payload: "middle", priority: 4, headers: { a: "1" } },
      ]);
      const jobs = await claimNow(bus);
      checkEqual(textsOf(jobs), ["high", "middle", "low"], "the jobs");
      checkEqual(
        jobs.map(({ maxAttempts }) => maxAttempts),
        [2, 5, 5],
        "maxAttempts",
      );
      checkEqual(jobs[1]?.headers.a, "1", "the header");
      checkEqual((await bus.jobs.stats(QUEUE)).delayed, 1, "delayed");
    },
  },
  {
    id: "JQ-MANY-006",
    title: "2,000 jobs enqueued together are drained once each, in order, by claims of 100",
    contract: "jobs",
    level: "L3",
    async run({ bus }) {
      const texts = range(2_000).map((index) => `${index}`);
      const results = await bus.jobs.enqueueMany(
        QUEUE,
        texts.map((payload) => ({ payload })),
      );
      checkEqual(new Set(results.map(({ id }) => id)).size, 2_000, "different ids");
      const seen: string[] = [];
      const next = bounded("claims");
      for (;;) {
        next();
        const jobs = await claimNow(bus, 100);
        if (jobs.length === 0) break;
        seen.push(...textsOf(jobs));
        await Promise.all(jobs.map((job) => job.ack()));
      }
      checkEqual(notOnce(seen), {}, "jobs that came not once");
      checkEqual(seen, texts, "the order");
      await checkNothing(bus, "after the last one");
    },
  },
];
