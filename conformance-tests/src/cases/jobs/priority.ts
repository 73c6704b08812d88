import { toText } from "@busbar/core";
import { checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  claimNow,
  claimOne,
  drain,
  enqueueTexts,
  LONG_MS,
  pass,
  QUEUE,
  textsOf,
} from "./helpers.ts";
import { range } from "./timing.ts";

/** `priority`. */
export const priorityCases: readonly ConformanceCase[] = [
  {
    id: "JQ-PRIO-001",
    title: "Higher priorities are handed out first, equal ones in order, one by one and in batches",
    contract: "jobs",
    level: "L0",
    async run({ bus }) {
      const priorities = [0, 9, 3, 3, 9, 0, 5, 1, 9, 3];
      const expected = ["9b", "9e", "9i", "5g", "3c", "3d", "3j", "1h", "0a", "0f"];
      const enqueue = async (queue: string): Promise<void> => {
        for (const [index, priority] of priorities.entries()) {
          const payload = `${priority}${"abcdefghij"[index]}`;
          await bus.jobs.enqueue(queue, { payload, priority });
        }
      };
      await enqueue(QUEUE);
      checkEqual(await drain(bus), expected, "the order, one by one");
      await enqueue("batch");
      const first = await claimNow(bus, 4, {}, "batch");
      const second = await claimNow(bus, 100, {}, "batch");
      checkEqual(textsOf(first), expected.slice(0, 4), "the first batch");
      checkEqual(textsOf(second), expected.slice(4), "the second batch");
    },
  },
  {
    id: "JQ-PRIO-002",
    title: "A priority that is used for the first time passes those that wait, from any bus",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      await enqueueTexts(
        bus,
        range(6).map((index) => `low ${index}`),
      );
      checkEqual(toText((await claimOne(bus)).payload), "low 0", "the first job");
      for (const [index, producer] of [bus, other, other].entries()) {
        const priority = index + 1;
        await enqueueTexts(producer, [`high ${priority}`], { priority });
        const [job] = await claimNow(bus, 1);
        checkEqual(job && textsOf([job]), [`high ${priority}`], "the job after a higher one came");
        const [next] = await claimNow(other, 1);
        checkEqual(next && textsOf([next]), [`low ${index + 1}`], "the job after that");
      }
    },
  },
  {
    id: "JQ-PRIO-003",
    title: "A job that is given back keeps its priority and its place in it",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      await enqueueTexts(bus, ["low 1", "low 2", "low 3"]);
      await enqueueTexts(bus, ["high 1", "high 2", "high 3"], { priority: 5 });
      const [first, second, third] = await claimNow(bus, 3);
      await first?.nak();
      await second?.nak();
      // The confirmed ack comes after what was sent before it.
      await third?.ack({ confirm: true });
      const again = await claimNow(bus, 4);
      checkEqual(textsOf(again), ["high 1", "high 2", "low 1", "low 2"], "the order after a nak");
      await again[1]?.nak();
      await again[0]?.ack({ confirm: true });
      await again[2]?.nak();
      await again[3]?.ack({ confirm: true });
      checkEqual(await drain(bus), ["high 2", "low 1", "low 3"], "the order after more of them");
    },
  },
  {
    id: "JQ-PRIO-004",
    title: "A job whose lease ended keeps its priority and its place in it",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await enqueueTexts(bus, ["high 1"], { priority: 2 });
      await enqueueTexts(bus, ["low 1"]);
      checkEqual(textsOf(await claimNow(bus, 2, { leaseMs: 150 })), ["high 1", "low 1"], "jobs");
      await enqueueTexts(bus, ["low 2"]);
      await enqueueTexts(bus, ["high 2"], { priority: 2 });
      await pass(context, 150);
      checkEqual(await drain(bus), ["high 1", "high 2", "low 1", "low 2"], "the order");
    },
  },
  {
    id: "JQ-PRIO-005",
    title: "A delayed job of high priority goes first when it is due, and blocks nobody before",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const delayMs = 800;
      await enqueueTexts(bus, ["high"], { priority: 9, delayMs });
      await enqueueTexts(bus, ["low 1", "low 2", "low 3"]);
      checkEqual(textsOf(await claimNow(bus, 1)), ["low 1"], "before it is due");
      await pass(context, delayMs);
      checkEqual(await drain(bus), ["high", "low 2", "low 3"], "when it is due");
    },
  },
  {
    id: "JQ-PRIO-006",
    title: "What was enqueued by two buses in any mix comes by priority, then in order",
    contract: "jobs",
    level: "L3",
    async run(context) {
      const { bus, random } = context;
      const buses = [bus, await context.open()];
      const expected: { readonly text: string; readonly priority: number }[] = [];
      for (const index of range(200)) {
        const priority = Math.floor(random.next() * 10);
        const one = buses[Math.floor(random.next() * 2)] as typeof bus;
        await one.jobs.enqueue(QUEUE, { payload: `${index}`, priority });
        expected.push({ text: `${index}`, priority });
      }
      const seen: string[] = [];
      while (seen.length < 200) {
        const one = buses[Math.floor(random.next() * 2)] as typeof bus;
        const jobs = await claimNow(one, 1 + Math.floor(random.next() * 10), { leaseMs: LONG_MS });
        if (jobs.length === 0) break;
        seen.push(...textsOf(jobs));
      }
      // Sorting is stable: equal ones stay in the order in which they were enqueued.
      const order = expected.toSorted((a, b) => b.priority - a.priority).map(({ text }) => text);
      checkEqual(seen, order, "the order");
    },
  },
];
