import { check, checkEqual, checkOptionRefused, checkRange } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkNothing,
  claimNow,
  claimOne,
  deadLettersBecome,
  EMPTY,
  enqueueTexts,
  pass,
  plain,
  QUEUE,
  statsBecome,
  textsOf,
} from "./helpers.ts";
import { bounded, range } from "./timing.ts";

/** Times of enqueueing and death are rounded, by a clock that may be another machine's. */
const SERVER_ROUNDING_MS = 50;
const NOTHING = { entries: [], next: undefined };

/** The records of jobs that were given up. */
export const deadLetterCases: readonly ConformanceCase[] = [
  {
    id: "JQ-DLQ-001",
    title: "deadLetter() stores the whole job, and it never comes again",
    contract: "jobs",
    level: "L0",
    async run(context) {
      const { bus } = context;
      const payload = Uint8Array.of(0, 200, 255, 10);
      const headers = { trace: "t-1", tag: ["a", "b"] };
      const { id } = await bus.jobs.enqueue(QUEUE, { payload, headers, priority: 4 });
      await (await claimOne(bus)).nak();
      const job = await claimOne(bus, { leaseMs: 200 });
      await job.deadLetter("address unknown");
      const [letter, ...more] = await deadLettersBecome(context, bus, 1);
      check(letter, "no dead letter");
      checkEqual(more.length, 0, "further dead letters");
      checkEqual(letter.id, id, "id");
      checkEqual(letter.owner, QUEUE, "owner");
      checkEqual(letter.subject, QUEUE, "subject");
      checkEqual(letter.reason, "address unknown", "reason");
      checkEqual(letter.attempts, 2, "attempts");
      checkEqual(plain(letter.payload), payload, "payload");
      checkEqual(letter.headers.trace, "t-1", "a header with one value");
      checkEqual(letter.headers.tag, ["a", "b"], "a header with two values");
      checkEqual(Object.keys(letter.headers).length, 2, "the number of headers");
      checkRange(letter.publishedAtMs - job.enqueuedAtMs, -1, 1, "publishedAtMs - enqueuedAtMs");
      check(letter.deadAtMs >= letter.publishedAtMs, "it was dead before it was enqueued");
      await pass(context, 200);
      await checkNothing(bus, "after the lease");
      checkEqual(await bus.jobs.deadLetters.count(QUEUE), 1, "the count after the lease");
    },
  },
  {
    id: "JQ-DLQ-002",
    title: "A dead letter is there for a bus that was opened later; nobody has to be listening",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const worker = await context.open();
      const { id } = await bus.jobs.enqueue(QUEUE, { payload: "a", headers: { trace: "t-1" } });
      await (await claimOne(worker)).deadLetter("no use");
      await worker.close();
      const late = await context.open();
      const letters = await deadLettersBecome(context, late, 1);
      checkEqual(textsOf(letters), ["a"], "the dead letters");
      const letter = await late.jobs.deadLetters.get(QUEUE, id);
      checkEqual(letter?.reason, "no use", "the reason");
      checkEqual(letter?.headers.trace, "t-1", "the header");
    },
  },
  {
    id: "JQ-DLQ-003",
    title: "list gives pages, oldest first, each record once, and ends",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const texts = range(11).map((index) => `${index}`);
      const results = await enqueueTexts(bus, texts);
      for (const job of await claimNow(bus)) await job.deadLetter(`reason ${job.attempt}`);
      await deadLettersBecome(context, bus, 11);
      const { deadLetters } = bus.jobs;
      for (const limit of [1, 3, 10, 11, 12]) {
        const listed: string[] = [];
        const ids: string[] = [];
        const nextPage = bounded("pages of dead letters");
        let after: string | undefined;
        do {
          nextPage();
          const page = await deadLetters.list(QUEUE, { limit, ...(after ? { after } : {}) });
          check(page.entries.length <= limit, `${page.entries.length} entries for ${limit}`);
          listed.push(...textsOf(page.entries));
          ids.push(...page.entries.map(({ id }) => id));
          after = page.next;
        } while (after !== undefined);
        checkEqual(listed, texts, `the dead letters, ${limit} a page`);
        checkEqual(
          ids,
          results.map(({ id }) => id),
          "their ids",
        );
      }
      checkEqual((await deadLetters.list(QUEUE, { limit: 11 })).next, undefined, "next when full");
      for (const limit of [0, -1, 1_001, 1.5]) {
        await checkOptionRefused(() => deadLetters.list(QUEUE, { limit }), "limit");
      }
    },
  },
  {
    id: "JQ-DLQ-004",
    title: "A queue without dead letters has none to list, get, count, replay, discard or purge",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const { deadLetters } = bus.jobs;
      const { id } = await bus.jobs.enqueue(QUEUE, { payload: "alive" });
      for (const queue of [QUEUE, "unused"]) {
        checkEqual(await deadLetters.list(queue), NOTHING, `list of ${queue}`);
        checkEqual(await deadLetters.get(queue, id), undefined, `get of ${queue}`);
        checkEqual(await deadLetters.count(queue), 0, `count of ${queue}`);
        checkEqual(await deadLetters.replay(queue, id), false, `replay of ${queue}`);
        checkEqual(await deadLetters.discard(queue, id), false, `discard of ${queue}`);
        checkEqual(await deadLetters.purge(queue), 0, `purge of ${queue}`);
      }
      checkEqual(textsOf(await claimNow(bus)), ["alive"], "the job that is not dead");
    },
  },
  {
    id: "JQ-DLQ-005",
    title: "discard removes one record for good, and says whether it was there",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const [a, b] = await enqueueTexts(bus, ["a", "b", "c"]);
      for (const job of await claimNow(bus)) await job.deadLetter("no use");
      await deadLettersBecome(context, bus, 3);
      const { deadLetters } = bus.jobs;
      checkEqual(await deadLetters.discard(QUEUE, b?.id ?? ""), true, "discard");
      checkEqual(await deadLetters.discard(QUEUE, b?.id ?? ""), false, "discard again");
      checkEqual(await other.jobs.deadLetters.discard(QUEUE, b?.id ?? ""), false, "on another bus");
      checkEqual(await deadLetters.discard("other", a?.id ?? ""), false, "of another queue");
      checkEqual(await deadLetters.discard(QUEUE, "no-such-id"), false, "of a missing id");
      checkEqual(await deadLetters.get(QUEUE, b?.id ?? ""), undefined, "get");
      checkEqual(await deadLetters.replay(QUEUE, b?.id ?? ""), false, "replay");
      const page = await deadLetters.list(QUEUE);
      checkEqual(textsOf(page.entries), ["a", "c"], "the dead letters that are left");
      await statsBecome(context, bus, { ...EMPTY, dead: 2 });
      await checkNothing(bus, "after the discard");
    },
  },
  {
    id: "JQ-DLQ-006",
    title: "purge of dead letters removes those of its queue, counts them, and no job",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      for (const queue of [QUEUE, "mail.2"]) {
        await enqueueTexts(bus, ["a", "b", "c", "alive"], {}, queue);
        const jobs = await claimNow(bus, 3, {}, queue);
        for (const job of jobs) await job.deadLetter("no use");
        await deadLettersBecome(context, bus, 3, queue);
      }
      checkEqual(await bus.jobs.deadLetters.purge(QUEUE), 3, "the number of purged records");
      checkEqual(await bus.jobs.deadLetters.list(QUEUE), NOTHING, "list");
      checkEqual(await bus.jobs.deadLetters.count(QUEUE), 0, "count");
      checkEqual(await bus.jobs.deadLetters.count("mail.2"), 3, "count of the other queue");
      checkEqual(textsOf(await claimNow(bus)), ["alive"], "the job that is not dead");
    },
  },
  {
    id: "JQ-DLQ-007",
    title: "An empty reason is kept, and one of 256 characters with Unicode too",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const long = `${"x".repeat(254)}é!`;
      const reasons = ["", long, 'quote " back \\ slash; 世界'];
      await enqueueTexts(bus, ["a", "b", "c"]);
      for (const [index, job] of (await claimNow(bus)).entries()) {
        await job.deadLetter(reasons[index] as string);
      }
      const letters = await deadLettersBecome(context, bus, 3);
      checkEqual(
        letters.map(({ reason }) => reason),
        reasons,
        "the reasons",
      );
    },
  },
  {
    id: "JQ-DLQ-008",
    title: "More dead letters than a page holds are all counted, listed and purged",
    contract: "jobs",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const texts = range(1_100).map(String);
      await bus.jobs.enqueueMany(
        QUEUE,
        texts.map((payload) => ({ payload })),
      );
      const nextClaim = bounded("claims");
      for (let dead = 0; dead < texts.length; ) {
        nextClaim();
        const jobs = await claimNow(bus, 100);
        await Promise.all(jobs.map((job) => job.deadLetter("enough")));
        dead += jobs.length;
      }
      const letters = await deadLettersBecome(context, bus, texts.length);
      checkEqual(textsOf(letters).toSorted(), texts.toSorted(), "the dead letters");
      await statsBecome(context, bus, { ...EMPTY, dead: texts.length });
      checkEqual(await bus.jobs.deadLetters.purge(QUEUE), texts.length, "what purge says");
      checkEqual(await bus.jobs.deadLetters.count(QUEUE), 0, "count after the purge");
      checkEqual(await bus.jobs.deadLetters.list(QUEUE), NOTHING, "list after the purge");
    },
  },
  {
    id: "JQ-DLQ-009",
    title: "A dead letter tells when its job was enqueued, and when it died",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      await enqueueTexts(bus, ["a", "b"]);
      const lives: number[] = [];
      const enqueued: number[] = [];
      for (const job of await claimNow(bus, 2)) {
        await clock.sleep(300);
        await job.deadLetter("enough");
        enqueued.push(job.enqueuedAtMs);
      }
      for (const [index, letter] of (await deadLettersBecome(context, bus, 2)).entries()) {
        checkEqual(letter.publishedAtMs, enqueued[index], "publishedAtMs and enqueuedAtMs");
        lives.push(letter.deadAtMs - letter.publishedAtMs);
      }
      for (const [index, lifeMs] of lives.entries()) {
        const atLeastMs = 300 * (index + 1) - SERVER_ROUNDING_MS;
        check(lifeMs >= atLeastMs, `job ${index} died ${lifeMs} ms after it was enqueued`);
      }
    },
  },
];
