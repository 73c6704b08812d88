import { toText } from "@busbar/core";
import { checkEqual } from "../../assert.ts";
import type { CaseContext, ConformanceCase } from "../../case.ts";
import {
  checkEachOnce,
  checkGrows,
  inParallel,
  numbered,
  takeAndAck,
  takeFrom,
  takeOne,
  textsOf,
} from "./helpers.ts";

const SUBJECTS = [
  "a",
  "b",
  "a.b",
  "a.c",
  "b.a",
  "b.b",
  "a.b.c",
  "a.x.c",
  "b.x.c",
  "a.b.c.d",
  "A.b",
  "aa.b",
  "a.bb",
];

/** Each pattern with the subjects of {@link SUBJECTS} that it covers, in their order. */
const TABLE: readonly (readonly [pattern: string, covered: readonly string[]])[] = [
  [">", SUBJECTS],
  ["*", ["a", "b"]],
  ["*.*", ["a.b", "a.c", "b.a", "b.b", "A.b", "aa.b", "a.bb"]],
  ["a.*", ["a.b", "a.c", "a.bb"]],
  ["*.b", ["a.b", "b.b", "A.b", "aa.b"]],
  ["a.>", ["a.b", "a.c", "a.b.c", "a.x.c", "a.b.c.d", "a.bb"]],
  ["a.*.c", ["a.b.c", "a.x.c"]],
  ["*.x.*", ["a.x.c", "b.x.c"]],
  ["*.*.>", ["a.b.c", "a.x.c", "b.x.c", "a.b.c.d"]],
  ["a.b.>", ["a.b.c", "a.b.c.d"]],
  ["*.b.>", ["a.b.c", "a.b.c.d"]],
  ["a.b", ["a.b"]],
];

/** A subject that the pattern covers: `*` and `>` stand for a token of their own. */
function coveredBy(pattern: string): string {
  return pattern.replaceAll(/[*>]/g, "last");
}

/** Wildcards and order. */
export const wildcardCases: readonly ConformanceCase[] = [
  {
    id: "PS-WILD-001",
    title: "A durable with wildcards has every subject that the pattern covers, and no other",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      for (const subject of SUBJECTS) await bus.pubsub.publish(subject, subject);
      for (const [index, [pattern, covered]] of TABLE.entries()) {
        const subscription = await bus.pubsub.subscribe(pattern, { durable: `d${index}` });
        const messages = await takeAndAck(subscription, covered.length);
        const subjects = messages.map((message) => message.subject);
        checkEqual(subjects, covered, `what ${pattern} covers`);
        checkEqual(textsOf(messages), covered, `payloads of ${pattern}`);
        const last = `last of ${pattern}`;
        await bus.pubsub.publish(coveredBy(pattern), last);
        // A wide pattern also has the ends of the narrower ones before it.
        let text = "";
        while (text !== last) {
          const message = await takeOne(subscription);
          text = toText(message.payload);
          checkEqual(text.startsWith("last of"), true, `${pattern} has only ends: ${text}`);
          await message.ack();
        }
        await subscription.close();
      }
    },
  },
  {
    id: "PS-WILD-002",
    title: "A listener with wildcards has every subject that the pattern covers, and no other",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      for (const [pattern, covered] of TABLE) {
        const listener = await bus.pubsub.listen(pattern);
        for (const subject of SUBJECTS) await bus.pubsub.notify(subject, subject);
        await bus.pubsub.notify(coveredBy(pattern), "last");
        const live = await takeFrom(listener, covered.length + 1);
        checkEqual(textsOf(live), [...covered, "last"], `what ${pattern} covers`);
        await listener.close();
      }
    },
  },
  {
    id: "PS-ORDER-001",
    title: "A subscription has its messages in the order of the stream, over all subjects",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const durable = await bus.pubsub.subscribe("o.>", { durable: "order" });
      const ephemeral = await bus.pubsub.subscribe("o.*");
      const sequences: number[] = [];
      for (let index = 0; index < 100; index++) {
        const ack = await bus.pubsub.publish(`o.k${index % 7}`, `${index}`);
        sequences.push(ack.sequence);
        await bus.pubsub.publish("between", `${index}`);
      }
      for (const subscription of [durable, ephemeral]) {
        const messages = await takeAndAck(subscription, 100);
        checkEqual(textsOf(messages), numbered(100, ""), "the order");
        checkEqual(
          messages.map((message) => message.sequence),
          sequences,
          "the sequences",
        );
      }
    },
  },
  {
    id: "PS-ORDER-002",
    title: "What a listener has comes in the order in which one bus sent it",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const listener = await bus.pubsub.listen("o.>");
      for (let index = 0; index < 100; index++) {
        if (index % 2 === 0) await bus.pubsub.notify(`o.k${index % 3}`, `${index}`);
        else await bus.pubsub.publish(`o.k${index % 3}`, `${index}`);
      }
      checkEqual(textsOf(await takeFrom(listener, 100)), numbered(100, ""), "the order");
    },
  },
  {
    id: "PS-ORDER-003",
    title: "1,000 messages on 16 subjects, published in parallel, arrive in order of each subject",
    contract: "pubsub",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const keys = numbered(16, "key");
      const sent = new Map(keys.map((key) => [key, [] as string[]]));
      for (let index = 0; index < 1_000; index++) {
        const key = keys[Math.floor(context.random.next() * keys.length)] as string;
        sent.get(key)?.push(`${key}-${sent.get(key)?.length}`);
      }
      const everything = await bus.pubsub.subscribe("o.*", { durable: "all", maxInFlight: 200 });
      // One publisher for each subject, all at once: only the order within a subject is given.
      await inParallel(keys, keys.length, async (key) => {
        for (const text of sent.get(key) ?? []) await bus.pubsub.publish(`o.${key}`, text);
      });
      const messages = await takeAndAck(everything, 1_000);
      checkEachOnce(textsOf(messages), [...sent.values()].flat(), "all of them");
      checkGrows(
        messages.map((message) => message.sequence),
        "sequences",
      );
      await checkOrderOfEach(context, sent);
    },
  },
];

async function checkOrderOfEach(
  { bus }: CaseContext,
  sent: ReadonlyMap<string, readonly string[]>,
): Promise<void> {
  await inParallel([...sent], 4, async ([key, texts]) => {
    const subscription = await bus.pubsub.subscribe(`o.${key}`, { durable: key });
    const messages = await takeAndAck(subscription, texts.length);
    checkEqual(textsOf(messages), texts, `the order of ${key}`);
    await subscription.close();
  });
}
