import { type Bus, toBytes, toText } from "@busbar/core";
import { check, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  claimNow,
  claimOne,
  deadLettersBecome,
  drain,
  enqueueTexts,
  LONG_MS,
  pass,
  plain,
  QUEUE,
  textsOf,
} from "./helpers.ts";
import { checkIdType, jobsInEachState, notIdsLike } from "./one-job.ts";
import { range } from "./timing.ts";

const LEASE_MS = 1_000;

/** `get`. */
export const getCases: readonly ConformanceCase[] = [
  {
    id: "JQ-GET-001",
    title: "get gives a job as it was enqueued, and as a claim gives it, on every bus",
    contract: "jobs",
    level: "L0",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const headers = { trace: "t-1", tag: ["a", "b"], Name: "Grüße, 世界" };
      const job = { payload: "hello", headers, dedupKey: "order:17/mail", maxAttempts: 7 };
      const { id } = await bus.jobs.enqueue(QUEUE, { ...job, priority: 3 });
      const found = await bus.jobs.get(QUEUE, id);
      check(found, "the job is not found");
      const { payload, headers: got, enqueuedAtMs, ...rest } = found;
      const expected = { id, queue: QUEUE, dedupKey: "order:17/mail", priority: 3, maxAttempts: 7 };
      checkEqual(toText(payload), "hello", "payload");
      checkEqual(sorted(got), sorted(headers), "headers");
      checkEqual(sorted(rest), sorted(expected), "the rest");
      const claimed = await claimOne(other);
      checkEqual(enqueuedAtMs, claimed.enqueuedAtMs, "enqueuedAtMs");
      checkEqual(sorted(got), sorted(claimed.headers), "the headers of a claim");
      checkEqual(await describe(other, id), await describe(bus, id), "the job on another bus");
    },
  },
  {
    id: "JQ-GET-002",
    title: "get of a job without options has the defaults, and its payload byte for byte",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const payloads = [
        new Uint8Array(0),
        Uint8Array.from(range(256)),
        toBytes("Grüße, 世界 🌍\r\n\u0000end"),
        Uint8Array.from(range(65_536), (index) => (index * 31) % 251),
      ];
      for (const payload of payloads) {
        const { id } = await bus.jobs.enqueue(QUEUE, { payload });
        const found = await bus.jobs.get(QUEUE, id);
        check(found, "the job is not found");
        checkEqual(plain(found.payload), payload, `a payload of ${payload.length} bytes`);
        checkEqual(Object.keys(found.headers), [], "headers");
        checkEqual(found.dedupKey, undefined, "dedupKey");
        checkEqual([found.priority, found.maxAttempts], [0, 5], "priority and maxAttempts");
      }
    },
  },
  {
    id: "JQ-GET-003",
    title: "get finds a job that is ready, delayed, leased, left by its worker or given back",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const other = await context.open();
      for (const [state, id] of await jobsInEachState(context)) {
        const found = await other.jobs.get(QUEUE, id);
        checkEqual([found?.id, found && toText(found.payload)], [id, state], `a ${state} job`);
      }
    },
  },
  {
    id: "JQ-GET-004",
    title: "get does not find what was acked, is dead, was purged, or went with its queue",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const ids = async (...texts: string[]): Promise<string[]> =>
        (await enqueueTexts(bus, texts, { maxAttempts: 1 })).map(({ id }) => id);
      const gone = await ids("acked", "dead", "naked");
      const [acked, dead, naked] = await claimNow(bus, 3);
      await acked?.ack({ confirm: true });
      await dead?.deadLetter("no use");
      await naked?.nak();
      await deadLettersBecome(context, bus, 2);
      for (const id of gone) checkEqual(await bus.jobs.get(QUEUE, id), undefined, `job ${id}`);
      gone.push(...(await ids("purged", "purged while leased")));
      await claimNow(bus, 1);
      await bus.jobs.purge(QUEUE);
      for (const id of gone) checkEqual(await bus.jobs.get(QUEUE, id), undefined, `job ${id}`);
      gone.push(...(await ids("removed with its queue")));
      await bus.jobs.deleteQueue(QUEUE);
      for (const id of gone) checkEqual(await bus.jobs.get(QUEUE, id), undefined, `job ${id}`);
    },
  },
  {
    id: "JQ-GET-005",
    title: "get finds a replayed dead letter under the id that a claim gives",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await bus.jobs.enqueue(QUEUE, { payload: "a", headers: { h: "v" }, priority: 4 });
      await (await claimOne(bus)).deadLetter("no use");
      const [letter] = await deadLettersBecome(context, bus, 1);
      check(letter, "no dead letter");
      checkEqual(await bus.jobs.get(QUEUE, letter.id), undefined, "the dead job");
      await bus.jobs.deadLetters.replay(QUEUE, letter.id);
      const { id } = await claimOne(bus);
      const found = await bus.jobs.get(QUEUE, id);
      checkEqual(found && toText(found.payload), "a", "payload");
      checkEqual([found?.headers.h, found?.priority], ["v", 4], "header and priority");
    },
  },
  {
    id: "JQ-GET-006",
    title:
      "get of a text that is no id gives nothing; of what is no text it fails with a TypeError",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      checkEqual(await bus.jobs.get("unused", "1"), undefined, "a job of an unused queue");
      const [first] = await enqueueTexts(bus, ["a", "b"]);
      check(first, "nothing was enqueued");
      for (const text of notIdsLike(first.id)) {
        checkEqual(await bus.jobs.get(QUEUE, text), undefined, `the id ${JSON.stringify(text)}`);
      }
      await checkIdType((id) => bus.jobs.get(QUEUE, id));
    },
  },
  {
    id: "JQ-GET-007",
    title: "get looks into the queue that is named, of its own namespace",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, namespace } = context;
      const elsewhere = await context.open({ namespace: `${namespace}-b` });
      const [mine] = await enqueueTexts(bus, ["mine"]);
      check(mine, "nothing was enqueued");
      for (const [one, queue] of [
        [bus, "other"],
        [elsewhere, QUEUE],
      ] as const) {
        checkEqual(await one.jobs.get(queue, mine.id), undefined, `the job in ${queue}`);
        for (const text of ["x", "y", "z"]) {
          const { id } = await one.jobs.enqueue(queue, { payload: text });
          const found = await one.jobs.get(queue, id);
          checkEqual([found?.queue, found && toText(found.payload)], [queue, text], "a job");
        }
      }
      checkEqual((await bus.jobs.get(QUEUE, mine.id))?.queue, QUEUE, "the queue of the first");
    },
  },
  {
    id: "JQ-GET-008",
    title: "get changes nothing: no attempt, no order, no lease, no count; also while paused",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const jobs = await enqueueTexts(bus, ["leased", "a", "b", "c"]);
      const late = await enqueueTexts(bus, ["late"], { delayMs: LONG_MS });
      const leased = await claimOne(bus, { leaseMs: LEASE_MS });
      for (const isPaused of [false, true]) {
        if (isPaused) await bus.jobs.pause(QUEUE);
        const before = await bus.jobs.stats(QUEUE);
        for (const { id } of [...jobs, ...late]) {
          check(await bus.jobs.get(QUEUE, id), `job ${id} is not found`);
        }
        checkEqual(await bus.jobs.stats(QUEUE), before, "the stats");
      }
      await bus.jobs.resume(QUEUE);
      const next = await claimNow(bus, 2);
      checkEqual(textsOf(next), ["a", "b"], "the next jobs");
      checkEqual(
        next.map(({ attempt }) => attempt),
        [1, 1],
        "their attempts",
      );
      await pass(context, LEASE_MS);
      const [again] = await claimNow(bus, 1);
      checkEqual([again?.id, again?.attempt], [leased.id, 2], "the job whose lease is over");
      checkEqual(await drain(bus), ["c"], "the rest");
    },
  },
  {
    id: "JQ-GET-009",
    title: "What is written on the bytes of get changes neither the job nor what others get",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const [one] = await enqueueTexts(bus, ["a fine payload"]);
      check(one, "nothing was enqueued");
      (await bus.jobs.get(QUEUE, one.id))?.payload.fill(0);
      const found = await bus.jobs.get(QUEUE, one.id);
      checkEqual(found && toText(found.payload), "a fine payload", "the payload of another get");
      found?.payload.fill(0);
      checkEqual(textsOf(await claimNow(bus)), ["a fine payload"], "the payload of a claim");
    },
  },
];

async function describe(bus: Bus, id: string): Promise<unknown> {
  const found = await bus.jobs.get(QUEUE, id);
  return found && [toText(found.payload), sorted({ ...found, payload: "", headers: "" })];
}

function sorted(record: object): unknown[] {
  return Object.entries(record).toSorted(([one], [other]) => (one < other ? -1 : 1));
}
