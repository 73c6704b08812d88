import { check, checkCode, checkEqual } from "../../assert.ts";
import { type ConformanceCase, needsVirtualTime } from "../../case.ts";
import {
  checkNothing,
  claimNow,
  claimOne,
  EMPTY,
  enqueueTexts,
  pass,
  QUEUE,
  statsBecome,
  textsOf,
} from "./helpers.ts";
import { range } from "./timing.ts";

const WINDOW_MS = 500;

/** `dedupKey`. */
export const dedupCases: readonly ConformanceCase[] = [
  {
    id: "JQ-DEDUP-001",
    title: "A second job with the key is not made; its enqueue answers with the first one's id",
    contract: "jobs",
    level: "L0",
    async run({ bus }) {
      const first = await bus.jobs.enqueue(QUEUE, { payload: "first", dedupKey: "k" });
      const second = await bus.jobs.enqueue(QUEUE, { payload: "second", dedupKey: "k" });
      checkEqual([first.duplicate, second.duplicate], [false, true], "duplicate");
      checkEqual(second.id, first.id, "the id");
      const other = await bus.jobs.enqueue(QUEUE, { payload: "other", dedupKey: "K" });
      checkEqual(other.duplicate, false, "duplicate of a key in another case");
      checkEqual(textsOf(await claimNow(bus)), ["first", "other"], "the jobs");
    },
  },
  {
    id: "JQ-DEDUP-002",
    title: "100 concurrent enqueues with one key, on two buses, make one job; all get its id",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const results = await Promise.all(
        range(100).map((index) =>
          (buses[index % 2] as typeof bus).jobs.enqueue(QUEUE, {
            payload: `${index}`,
            dedupKey: "k",
          }),
        ),
      );
      checkEqual(new Set(results.map(({ id }) => id)).size, 1, "different ids");
      checkEqual(results.filter(({ duplicate }) => !duplicate).length, 1, "not duplicates");
      const jobs = await claimNow(bus, 1_000);
      checkEqual(jobs.length, 1, "jobs");
      checkEqual(jobs[0]?.id, results[0]?.id, "the id of the job");
      const winner = results.findIndex(({ duplicate }) => !duplicate);
      checkEqual(textsOf(jobs), [`${winner}`], "the job is the one that was no duplicate");
      await checkNothing(buses[1] as typeof bus, "on the other bus");
    },
  },
  {
    id: "JQ-DEDUP-003",
    title: "The key counts while the job is leased, and when it is done, within the window",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const { id } = await bus.jobs.enqueue(QUEUE, { payload: "a", dedupKey: "k" });
      const enqueueAgain = async (when: string): Promise<void> => {
        for (const one of [bus, other]) {
          const result = await one.jobs.enqueue(QUEUE, { payload: "b", dedupKey: "k" });
          checkEqual(result, { id, duplicate: true }, `an enqueue ${when}`);
        }
      };
      const job = await claimOne(bus);
      await enqueueAgain("while it is leased");
      await job.nak();
      const again = await claimOne(bus);
      await again.ack({ confirm: true });
      await enqueueAgain("when it is done");
      await checkNothing(bus, "after the ack");
      checkEqual(await bus.jobs.stats(QUEUE), EMPTY, "the stats");
    },
  },
  {
    id: "JQ-DEDUP-004",
    title: "The key counts in the whole queue, whatever the priority, the delay or the payload",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const { id } = await bus.jobs.enqueue(QUEUE, { payload: "a", dedupKey: "k", priority: 2 });
      const variants = [
        { priority: 0 },
        { priority: 9 },
        { delayMs: 60_000 },
        { maxAttempts: 1 },
        { runAtMs: context.clock.now() + 60_000, priority: 5 },
      ];
      for (const variant of variants) {
        const result = await bus.jobs.enqueue(QUEUE, { payload: "b", dedupKey: "k", ...variant });
        checkEqual(result, { id, duplicate: true }, `with ${Object.keys(variant).join()}`);
      }
      const delayed = await bus.jobs.enqueue(QUEUE, {
        payload: "c",
        dedupKey: "d",
        delayMs: 60_000,
      });
      const ready = await bus.jobs.enqueue(QUEUE, { payload: "d", dedupKey: "d", priority: 9 });
      checkEqual(ready, { id: delayed.id, duplicate: true }, "of a delayed job");
      await statsBecome(context, bus, { ready: 1, delayed: 1 });
      checkEqual(textsOf(await claimNow(bus)), ["a"], "the jobs");
    },
  },
  {
    id: "JQ-DEDUP-005",
    title: "Queues do not share keys, nor do jobs and messages",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const queues = [QUEUE, "mail.2", "mail_2", "Mail"];
      const ids = new Set<string>();
      await bus.pubsub.publish(QUEUE, "a message", { messageId: "k" });
      for (const queue of queues) {
        const result = await bus.jobs.enqueue(queue, { payload: queue, dedupKey: "k" });
        checkEqual(result.duplicate, false, `duplicate in ${queue}`);
        ids.add(`${queue} ${result.id}`);
      }
      checkEqual(ids.size, queues.length, "jobs");
      for (const queue of queues) {
        checkEqual(textsOf(await claimNow(bus, 10, {}, queue)), [queue], `the jobs of ${queue}`);
      }
      const message = await bus.pubsub.publish(QUEUE, "another", { messageId: "k" });
      checkEqual(message.duplicate, true, "the message id is still known");
    },
  },
  {
    id: "JQ-DEDUP-006",
    title: "A key is any printable ASCII, up to 256 characters, and comes with the job",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const keys = [
        "*",
        ">",
        "a.b",
        "a.b.>",
        "$JS.API",
        "a:b/c?d=e&f",
        '"\\',
        "~",
        "0",
        "k".repeat(256),
      ];
      for (const dedupKey of keys) {
        const first = await bus.jobs.enqueue(QUEUE, { payload: dedupKey, dedupKey });
        const second = await bus.jobs.enqueue(QUEUE, { payload: "again", dedupKey });
        checkEqual([first.duplicate, second.duplicate], [false, true], `duplicate of ${dedupKey}`);
        checkEqual(second.id, first.id, `the id of ${dedupKey}`);
      }
      const jobs = await claimNow(bus);
      checkEqual(
        jobs.map(({ dedupKey }) => dedupKey),
        keys,
        "the keys",
      );
    },
  },
  {
    id: "JQ-DEDUP-007",
    title: "After the window the key makes a new job",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const bus = await context.open({
        namespace: `${context.namespace.slice(-28)}-w`,
        dedupWindowMs: WINDOW_MS,
      });
      checkEqual(bus.capabilities.dedupWindowMs, WINDOW_MS, "capabilities.dedupWindowMs");
      const first = await bus.jobs.enqueue(QUEUE, { payload: "first", dedupKey: "k" });
      const second = await bus.jobs.enqueue(QUEUE, { payload: "second", dedupKey: "k" });
      checkEqual(second, { id: first.id, duplicate: true }, "within the window");
      await pass(context, WINDOW_MS);
      const third = await bus.jobs.enqueue(QUEUE, { payload: "third", dedupKey: "k" });
      checkEqual(third.duplicate, false, "duplicate after the window");
      check(third.id !== first.id, "the new job has the old id");
      checkEqual(textsOf(await claimNow(bus)), ["first", "third"], "the jobs");
    },
  },
  {
    id: "JQ-DEDUP-008",
    title: "The window ends where it says, counted from the job, not from its doubles",
    contract: "jobs",
    level: "L2",
    requires: [needsVirtualTime],
    timeoutMs: 1_000_000,
    async run(context) {
      const { bus, clock } = context;
      const { dedupWindowMs } = bus.capabilities;
      const enqueue = () => bus.jobs.enqueue(QUEUE, { payload: "a", dedupKey: "k" });
      const first = await enqueue();
      await clock.sleep(dedupWindowMs / 2);
      checkEqual((await enqueue()).duplicate, true, "duplicate in the middle of the window");
      await clock.sleep(dedupWindowMs / 2 - 1 - context.toleranceMs);
      checkEqual((await enqueue()).duplicate, true, "duplicate at the end of the window");
      await clock.sleep(1 + 2 * context.toleranceMs);
      const next = await enqueue();
      checkEqual(next.duplicate, false, "duplicate after the window");
      await clock.sleep(dedupWindowMs - 1 - context.toleranceMs);
      checkEqual(await enqueue(), { id: next.id, duplicate: true }, "in the next window");
      check(next.id !== first.id, "the new job has the old id");
    },
  },
  {
    id: "JQ-DEDUP-009",
    title: "Many keys, many doubles, many buses: one job for each key",
    contract: "jobs",
    level: "L3",
    async run(context) {
      const { bus, random } = context;
      const buses = [bus, await context.open(), await context.open()];
      const made = new Map<string, string[]>();
      const enqueue = async (index: number): Promise<void> => {
        const key = `key-${Math.floor(random.next() * 40)}`;
        const one = buses[index % 3] as typeof bus;
        const job = { payload: key, dedupKey: key, priority: Math.floor(random.next() * 3) };
        const { id, duplicate } = await one.jobs.enqueue(QUEUE, job);
        const ids = made.get(key) ?? [];
        made.set(key, ids);
        ids.push(duplicate ? `${id} again` : id);
      };
      await Promise.all(range(400).map(enqueue));
      for (const [key, ids] of made) {
        const fresh = ids.filter((id) => !id.endsWith(" again"));
        checkEqual(fresh.length, 1, `jobs made for ${key}`);
        checkEqual(
          ids.every((id) => id.split(" ")[0] === fresh[0]),
          true,
          `all got the id of ${key}`,
        );
      }
      const texts = textsOf(await claimNow(bus, 1_000));
      checkEqual(texts.toSorted(), [...made.keys()].toSorted(), "the jobs");
      await enqueueTexts(bus, ["sentinel"]);
      checkEqual(textsOf(await claimNow(bus)), ["sentinel"], "what comes after them");
    },
  },
  {
    id: "JQ-DEDUP-010",
    title: "An enqueue that is refused does not use up its dedup key",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const dedupKey = "once";
      const tooLarge = { payload: new Uint8Array(bus.capabilities.maxPayloadBytes + 1), dedupKey };
      const wrong = { payload: "wrong", dedupKey, headers: { "a b": "\n" } };
      await checkCode(bus.jobs.enqueue(QUEUE, tooLarge), "PAYLOAD_TOO_LARGE", "too large");
      await checkCode(bus.jobs.enqueue(QUEUE, wrong), "INVALID_ARGUMENT", "a wrong header");
      const many = [{ payload: "good", dedupKey }, tooLarge];
      await checkCode(bus.jobs.enqueueMany(QUEUE, many), "PAYLOAD_TOO_LARGE", "many");
      const { duplicate } = await bus.jobs.enqueue(QUEUE, { payload: "good", dedupKey });
      checkEqual(duplicate, false, "duplicate of what was refused");
      checkEqual(textsOf(await claimNow(bus)), ["good"], "the jobs");
    },
  },
];
