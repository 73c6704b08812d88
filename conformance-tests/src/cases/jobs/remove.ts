import { type ClaimedJob, errorCode, toText } from "@busbar/core";
import { check, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkNothing,
  claimNow,
  claimOne,
  deadLettersBecome,
  drain,
  EMPTY,
  enqueueTexts,
  notOnce,
  pass,
  QUEUE,
  statsBecome,
  textsOf,
} from "./helpers.ts";
import { checkIdType, jobsInEachState, notIdsLike } from "./one-job.ts";
import { checkAtOnce, later, range } from "./timing.ts";

const CALLS: Readonly<Record<string, (job: ClaimedJob) => Promise<void>>> = {
  ack: (job) => job.ack(),
  "confirmed ack": (job) => job.ack({ confirm: true }),
  nak: (job) => job.nak({ reason: "too late" }),
  "delayed nak": (job) => job.nak({ delayMs: 10 }),
  giveBack: (job) => job.giveBack(),
  "delayed giveBack": (job) => job.giveBack({ delayMs: 10 }),
  deadLetter: (job) => job.deadLetter("too late"),
  heartbeat: (job) => job.heartbeat({ leaseMs: 100 }),
};

/** `remove`. */
export const removeCases: readonly ConformanceCase[] = [
  {
    id: "JQ-REMOVE-001",
    title: "A removed job is gone, the others are handed out; remove says whether it was there",
    contract: "jobs",
    level: "L0",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const [, b] = await enqueueTexts(bus, ["a", "b", "c"]);
      check(b, "nothing was enqueued");
      checkEqual(await other.jobs.remove(QUEUE, b.id), true, "the answer");
      checkEqual(await bus.jobs.remove(QUEUE, b.id), false, "the answer to another one");
      checkEqual(await bus.jobs.get(QUEUE, b.id), undefined, "what get finds");
      checkEqual(await bus.jobs.stats(QUEUE), { ...EMPTY, ready: 2 }, "the stats");
      checkEqual(await drain(bus), ["a", "c"], "the jobs");
    },
  },
  {
    id: "JQ-REMOVE-002",
    title: "remove takes a job that is ready, delayed, leased, left or given back, for good",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const [kept] = await enqueueTexts(bus, ["kept"]);
      await claimOne(bus);
      for (const [state, id] of await jobsInEachState(context, 1)) {
        checkEqual(await other.jobs.remove(QUEUE, id), true, `the answer for a ${state} job`);
        checkEqual(await bus.jobs.get(QUEUE, id), undefined, `a removed ${state} job`);
        checkEqual(await bus.jobs.remove(QUEUE, id), false, "the answer to another one");
      }
      await statsBecome(context, bus, { ...EMPTY, leased: 1 });
      check(await bus.jobs.get(QUEUE, kept?.id ?? ""), "a job that was not removed is gone");
      await checkNothing(bus, "after all others were removed");
      checkEqual(await bus.jobs.deadLetters.count(QUEUE), 0, "dead letters");
    },
  },
  {
    id: "JQ-REMOVE-003",
    title: "A removed job does not come back when its delay, its lease or its attempts are over",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const delayMs = 1_000;
      const delayed = await enqueueTexts(bus, ["enqueued late"], { delayMs });
      const held = await enqueueTexts(bus, ["naked", "back", "leased"], { maxAttempts: 2 });
      const last = await enqueueTexts(bus, ["last attempt"], { maxAttempts: 1 });
      const [naked, back] = await claimNow(bus, 4, { leaseMs: delayMs });
      await naked?.nak({ delayMs });
      await back?.giveBack({ delayMs });
      for (const { id } of [...delayed, ...held, ...last]) {
        checkEqual(await bus.jobs.remove(QUEUE, id), true, `the answer for job ${id}`);
      }
      checkEqual(await claimNow(bus, 10, { waitMs: 1_500 }), [], "a claim that waits");
      checkEqual(await bus.jobs.stats(QUEUE), EMPTY, "the stats");
    },
  },
  {
    id: "JQ-REMOVE-004",
    title: "What was acked, is dead or never was is not removed; a dead letter stays as it was",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      checkEqual(await bus.jobs.remove("unused", "1"), false, "a job of an unused queue");
      const [first] = await enqueueTexts(bus, ["acked", "dead", "ready"]);
      check(first, "nothing was enqueued");
      const [acked, dead] = await claimNow(bus, 2);
      check(acked && dead, "not all were handed out");
      await acked.ack({ confirm: true });
      await dead.deadLetter("no use");
      await deadLettersBecome(context, bus, 1);
      for (const { id } of [acked, dead]) {
        checkEqual(await bus.jobs.remove(QUEUE, id), false, `the answer for job ${id}`);
      }
      for (const text of notIdsLike(first.id)) {
        checkEqual(await bus.jobs.remove(QUEUE, text), false, `the id ${JSON.stringify(text)}`);
      }
      await checkIdType((id) => bus.jobs.remove(QUEUE, id));
      checkEqual(await bus.jobs.stats(QUEUE), { ...EMPTY, ready: 1, dead: 1 }, "the stats");
      checkEqual(await bus.jobs.deadLetters.replay(QUEUE, dead.id), true, "the replay");
      checkEqual(await drain(bus), ["ready", "dead"], "the jobs");
    },
  },
  {
    id: "JQ-REMOVE-005",
    title: "A replayed dead letter can be removed under the id that it has then",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["a"]);
      await (await claimOne(bus)).deadLetter("no use");
      const [letter] = await deadLettersBecome(context, bus, 1);
      await bus.jobs.deadLetters.replay(QUEUE, letter?.id ?? "");
      const job = await claimOne(bus);
      checkEqual(await bus.jobs.remove(QUEUE, job.id), true, "the answer");
      await statsBecome(context, bus, EMPTY);
      await checkNothing(bus, "after it was removed");
    },
  },
  {
    id: "JQ-REMOVE-006",
    title: "Of many removes at a time, from several buses, one says that the job was there",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const jobs = await enqueueTexts(bus, ["ready", "leased"]);
      await claimOne(bus);
      for (const { id } of jobs) {
        const racing = range(20).map((index) =>
          (index % 2 === 0 ? bus : other).jobs.remove(QUEUE, id),
        );
        const answers = await Promise.all(racing);
        checkEqual(answers.filter(Boolean).length, 1, "removes that found it");
      }
      await statsBecome(context, bus, EMPTY);
    },
  },
  {
    id: "JQ-REMOVE-007",
    title: "What its worker does with a removed job has no effect, and holds nobody up",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      const names = [1, 5].flatMap((most) => Object.keys(CALLS).map((name) => ({ name, most })));
      const queueOf = (index: number): string => `removed-${index}`;
      for (const [index, { name, most }] of names.entries()) {
        const queue = queueOf(index);
        await enqueueTexts(bus, ["kept", "removed"], { maxAttempts: most }, queue);
        await claimOne(bus, {}, queue);
        const job = await claimOne(bus, {}, queue);
        checkEqual(await other.jobs.remove(queue, job.id), true, "the answer");
        // Whether the worker is told is left open; what must not happen is that it matters.
        const refused = await CALLS[name]?.(job).catch((error: unknown) => error);
        if (refused !== undefined) checkEqual(errorCode(refused), "LEASE_LOST", `code of ${name}`);
      }
      await pass(context, 100);
      for (const [index, { name, most }] of names.entries()) {
        const what = `${name} of the first of ${most} attempts`;
        const queue = queueOf(index);
        const held = { ...EMPTY, leased: 1 };
        checkEqual(await bus.jobs.stats(queue), held, `the stats after ${what}`);
        await checkNothing(other, `after ${what}`, queue);
        const waiting = later(claimOne(other, {}, queue));
        const from = clock.monotonic();
        await enqueueTexts(bus, ["next"], {}, queue);
        checkEqual(textsOf([await waiting]), ["next"], `the job after ${what}`);
        checkAtOnce(context, { from, to: clock.monotonic() }, `the hand-out after ${what}`);
        const { leased, dead } = await bus.jobs.stats(queue);
        checkEqual([leased, dead], [2, 0], `leased and dead after ${what}`);
      }
    },
  },
  {
    id: "JQ-REMOVE-008",
    title: "The dedup key of a removed job stays remembered",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      for (const state of ["ready", "leased"]) {
        const job = { payload: state, dedupKey: state };
        const { id } = await bus.jobs.enqueue(QUEUE, job);
        if (state === "leased") await claimOne(bus);
        checkEqual(await bus.jobs.remove(QUEUE, id), true, "the answer");
        const again = await bus.jobs.enqueue(QUEUE, job);
        checkEqual(again, { id, duplicate: true }, "the answer to the enqueue");
      }
      await statsBecome(context, bus, EMPTY);
      await checkNothing(bus, "after the doubles");
    },
  },
  {
    id: "JQ-REMOVE-009",
    title: "What is left keeps its order, whichever jobs were removed",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus, random } = context;
      const jobs: { readonly id: string; readonly text: string; readonly priority: number }[] = [];
      for (const index of range(40)) {
        const priority = Math.floor(random.next() * 3);
        const [job] = await enqueueTexts(bus, [`${index}`], { priority });
        check(job, "nothing was enqueued");
        jobs.push({ id: job.id, text: `${index}`, priority });
      }
      const kept: typeof jobs = [];
      for (const [index, job] of jobs.entries()) {
        // The first and the last among them.
        const isRemoved = index === 0 || index === 39 || random.next() < 0.5;
        if (isRemoved) checkEqual(await bus.jobs.remove(QUEUE, job.id), true, "the answer");
        else kept.push(job);
      }
      const order = kept.toSorted((a, b) => b.priority - a.priority).map(({ text }) => text);
      checkEqual((await bus.jobs.stats(QUEUE)).ready, order.length, "ready jobs");
      checkEqual(await drain(bus), order, "the order");
    },
  },
  {
    id: "JQ-REMOVE-012",
    title: "Where the last jobs of each priority are removed, those before them are handed out",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      for (const queue of ["drained", "purged"]) {
        for (const text of ["a", "b", "c", "d"]) {
          for (const priority of [5, 0]) {
            const [job] = await enqueueTexts(bus, [`${text} ${priority}`], { priority }, queue);
            const isLast = text === "c" || text === "d";
            if (isLast) checkEqual(await bus.jobs.remove(queue, job?.id ?? ""), true, "the answer");
          }
        }
        checkEqual(await bus.jobs.stats(queue), { ...EMPTY, ready: 4 }, "the stats");
        if (queue === "purged") checkEqual(await bus.jobs.purge(queue), 4, "purged jobs");
        else checkEqual(await drain(bus, queue), ["a 5", "b 5", "a 0", "b 0"], "the jobs");
        await statsBecome(context, bus, EMPTY, queue);
      }
    },
  },
  {
    id: "JQ-REMOVE-010",
    title: "remove works on a paused queue and leaves it paused; other queues keep their jobs",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const [a] = await enqueueTexts(bus, ["a", "b"]);
      await enqueueTexts(bus, ["x", "y"], {}, "other");
      await bus.jobs.pause(QUEUE);
      checkEqual(await bus.jobs.remove(QUEUE, a?.id ?? ""), true, "the answer");
      checkEqual(await bus.jobs.stats(QUEUE), { ...EMPTY, ready: 1, paused: true }, "the stats");
      await checkNothing(bus, "a claim while paused");
      checkEqual(await drain(bus, "other"), ["x", "y"], "the jobs of the other queue");
      await bus.jobs.resume(QUEUE);
      checkEqual(await drain(bus), ["b"], "the jobs");
    },
  },
  {
    id: "JQ-REMOVE-011",
    title:
      "While jobs are claimed and removed at once, each ends, and none comes after its removal",
    contract: "jobs",
    level: "L3",
    async run(context) {
      const { bus, clock, random } = context;
      const other = await context.open();
      const texts = range(120).map((index) => `${index}`);
      const jobs = await bus.jobs.enqueueMany(
        QUEUE,
        texts.map((payload, index) => ({ payload, priority: index % 3, maxAttempts: 1_000 })),
      );
      const removedAt = new Map<string, number>();
      const acked: string[] = [];
      const work = async (): Promise<void> => {
        for (;;) {
          const from = clock.monotonic();
          const claimed = await claimNow(other, 1 + Math.floor(random.next() * 4));
          if (claimed.length === 0) return;
          for (const job of claimed) {
            const at = removedAt.get(job.id) ?? from;
            check(at >= from, `job ${job.id} was claimed after it was removed`);
            const chance = random.next();
            if (chance < 0.2) await job.nak();
            else if (chance < 0.4) await job.giveBack();
            else {
              await job.ack({ confirm: true });
              acked.push(toText(job.payload));
            }
          }
        }
      };
      const sweep = async (): Promise<void> => {
        for (const { id } of jobs) {
          if (random.next() < 0.5) continue;
          if (await bus.jobs.remove(QUEUE, id)) removedAt.set(id, clock.monotonic());
        }
      };
      await Promise.all([work(), work(), sweep()]);
      await work();
      checkEqual(notOnce(acked), {}, "jobs that were acked twice");
      const open = jobs.filter(({ id }, index) => {
        return !removedAt.has(id) && !acked.includes(texts[index] as string);
      });
      checkEqual(open, [], "jobs that were neither acked nor removed");
      await statsBecome(context, bus, EMPTY);
    },
  },
];
