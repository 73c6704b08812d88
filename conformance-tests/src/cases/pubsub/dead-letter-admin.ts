import { type Bus, type DeadLetter, toText } from "@busbar/core";
import { check, checkCode, checkEqual, checkOptionRefused } from "../../assert.ts";
import type { CaseContext, ConformanceCase } from "../../case.ts";
import { deadLettersOf, takeAndNak } from "./dead-letters.ts";
import {
  checkEachOnce,
  checkNothingElse,
  numbered,
  publishAll,
  takeAndAck,
  takeOne,
  takeText,
  textsOf,
} from "./helpers.ts";

/** Reading, replaying and discarding dead letters. */
export const deadLetterAdminCases: readonly ConformanceCase[] = [
  {
    id: "PS-DEAD-001",
    title: "list pages with limit and after: oldest first, each entry once, undefined at the end",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await giveUp(context, "d", numbered(5));
      const pages: string[][] = [];
      let after: string | undefined;
      do {
        const page = await bus.pubsub.deadLetters.list("d", {
          limit: 2,
          ...(after === undefined ? {} : { after }),
        });
        pages.push(textsOf(page.entries));
        after = page.next;
      } while (after !== undefined);
      checkEqual(pages, [["m0", "m1"], ["m2", "m3"], ["m4"]], "pages");
      const exact = await bus.pubsub.deadLetters.list("d", { limit: 5 });
      checkEqual(exact.entries.length, 5, "entries of a page of just the size");
      checkEqual(exact.next, undefined, "next of the last page");
    },
  },
  {
    id: "PS-DEAD-002",
    title: "A walk over pages goes on while entries are discarded and added",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const { deadLetters } = bus.pubsub;
      await giveUp(context, "d", numbered(6));
      const first = await deadLetters.list("d", { limit: 2 });
      const last = first.entries[1] as DeadLetter;
      checkEqual(await deadLetters.discard("d", last.id), true, "discard of the page's last");
      await giveUp(context, "d", ["added"]);
      const seen = textsOf(first.entries);
      let { next } = first;
      while (next !== undefined) {
        const page = await deadLetters.list("d", { limit: 2, after: next });
        seen.push(...textsOf(page.entries));
        ({ next } = page);
      }
      checkEachOnce(seen, [...numbered(6), "added"], "what the walk saw");
    },
  },
  {
    id: "PS-DEAD-003",
    title: "A limit of 0, or over 1,000, is refused: a walk cannot stand still",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await giveUp(context, "d", ["poison"]);
      for (const limit of [0, -1, 1.5, Number.NaN, 1_001]) {
        await checkOptionRefused(() => bus.pubsub.deadLetters.list("d", { limit }), "limit");
      }
      const { entries } = await bus.pubsub.deadLetters.list("d", { limit: 1_000 });
      checkEqual(entries.length, 1, "entries");
    },
  },
  {
    id: "PS-DEAD-011",
    title: "A cursor that no page gave is INVALID_ARGUMENT, also where there are no dead letters",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      for (const after of ["x", "", "-1", "1.5"]) {
        const lists = [
          () => bus.pubsub.deadLetters.list("d", { after }),
          () => bus.jobs.deadLetters.list("q", { after }),
        ];
        for (const list of lists) await checkCode(list, "INVALID_ARGUMENT", `after ${after}`);
      }
    },
  },
  {
    id: "PS-DEAD-004",
    title: "A durable without dead letters has an empty page, and unknown ids are not there",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const { deadLetters } = bus.pubsub;
      await bus.pubsub.subscribe("d", { durable: "d" });
      checkEqual(await deadLetters.list("d"), { entries: [] }, "the page");
      checkEqual(await deadLetters.count("d"), 0, "count");
      checkEqual(await deadLetters.purge("d"), 0, "purge");
      for (const id of ["1", "999999", "nothing"]) {
        checkEqual(await deadLetters.get("d", id), undefined, "get");
        checkEqual(await deadLetters.replay("d", id), false, "replay");
        checkEqual(await deadLetters.discard("d", id), false, "discard");
      }
    },
  },
  {
    id: "PS-DEAD-005",
    title: "discard removes one for good, purge removes the rest of that owner and says how many",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const { deadLetters } = bus.pubsub;
      await giveUp(context, "mine", numbered(4));
      await giveUp(context, "other", numbered(2));
      const { entries } = await deadLetters.list("mine");
      const second = entries[1] as DeadLetter;
      checkEqual(await deadLetters.discard("mine", second.id), true, "discard");
      checkEqual(await deadLetters.discard("mine", second.id), false, "discard again");
      checkEqual(await deadLetters.get("mine", second.id), undefined, "get");
      checkEqual(await deadLetters.replay("mine", second.id), false, "replay");
      checkEqual(await deadLetters.count("mine"), 3, "count");
      checkEqual(
        textsOf((await deadLetters.list("mine")).entries),
        ["m0", "m2", "m3"],
        "what is left",
      );
      checkEqual(await deadLetters.purge("mine"), 3, "purge");
      checkEqual(await deadLetters.count("mine"), 0, "count after the purge");
      checkEqual(await deadLetters.count("other"), 2, "count of another owner");
      const subscription = await bus.pubsub.subscribe("mine", {
        durable: "mine",
        maxDeliveries: 1,
      });
      await checkNothingElse(bus, "mine", subscription);
    },
  },
  {
    id: "PS-DEAD-006",
    title: "replay brings it to its durable only, as a first delivery, and removes it here",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const { deadLetters } = bus.pubsub;
      const headers = { trace: "t1" };
      const options = { durable: "mine", maxDeliveries: 1 };
      const mine = await bus.pubsub.subscribe("r.*", options);
      const other = await bus.pubsub.subscribe("r.*", { durable: "other" });
      const ephemeral = await bus.pubsub.subscribe("r.>", { from: "all" });
      await bus.pubsub.publish("r.a", "poison", { headers });
      await takeAndNak(mine, 1);
      await (await takeOne(other)).ack();
      await (await takeOne(ephemeral)).ack();
      const [letter] = await deadLettersOf(context, bus, "mine", 1);
      const operator = await context.open();
      const replaying = operator.pubsub.deadLetters.replay("mine", letter?.id as string);
      checkEqual(await replaying, true, "replay");
      checkEqual(await deadLetters.replay("mine", letter?.id as string), false, "replay again");
      checkEqual(await deadLetters.count("mine"), 0, "count");
      const again = await takeText(mine, "poison", "the replayed message");
      checkEqual(again.subject, "r.a", "subject");
      checkEqual(again.headers, headers, "headers");
      checkEqual(again.deliveryCount, 1, "delivery count");
      await again.ack({ confirm: true });
      await bus.pubsub.publish("r.b", "end");
      for (const subscription of [mine, other, ephemeral]) {
        await (await takeText(subscription, "end", "what comes next")).ack();
      }
    },
  },
  {
    id: "PS-DEAD-007",
    title: "What was replayed has all its deliveries again, and can die again, once",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options = { durable: "d", maxDeliveries: 2 };
      const subscription = await bus.pubsub.subscribe("d", options);
      await bus.pubsub.publish("d", "poison");
      for (let life = 0; life < 3; life++) {
        for (const delivery of [1, 2]) {
          const message = await takeText(subscription, "poison", `life ${life}`);
          checkEqual(message.deliveryCount, delivery, "delivery count");
          await message.nak();
        }
        const [letter] = await deadLettersOf(context, bus, "d", 1);
        checkEqual(letter?.attempts, 2, "attempts");
        check(
          await bus.pubsub.deadLetters.replay("d", letter?.id as string),
          `replay after life ${life}`,
        );
      }
      await (await takeText(subscription, "poison", "the last life")).ack({ confirm: true });
      checkEqual(await bus.pubsub.deadLetters.count("d"), 0, "dead letters");
      await checkNothingElse(bus, "d", subscription);
    },
  },
  {
    id: "PS-DEAD-008",
    title: "A replay waits for its durable: who subscribes later has the message",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const letters = await giveUp(context, "d", numbered(3));
      for (const letter of letters) {
        checkEqual(await bus.pubsub.deadLetters.replay("d", letter.id), true, "replay");
      }
      const options = { durable: "d", maxDeliveries: 1 };
      const subscription = await (await context.open()).pubsub.subscribe("d", options);
      const messages = await takeAndAck(subscription, 3);
      checkEachOnce(textsOf(messages), numbered(3), "what was replayed");
      for (const message of messages) {
        checkEqual(message.deliveryCount, 1, `delivery count of ${toText(message.payload)}`);
      }
      await checkNothingElse(bus, "d", subscription);
    },
  },
  {
    id: "PS-DEAD-009",
    title: "10 replays of one dead letter at the same time bring it once",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const [letter] = await giveUp(context, "d", ["poison"]);
      const results = await Promise.all(
        numbered(10).map((_, index) =>
          (buses[index % 2] as Bus).pubsub.deadLetters.replay("d", letter?.id as string),
        ),
      );
      check(results.includes(true), "one of the replays succeeds");
      checkEqual(await bus.pubsub.deadLetters.count("d"), 0, "count");
      const subscription = await bus.pubsub.subscribe("d", { durable: "d", maxDeliveries: 1 });
      await (await takeText(subscription, "poison", "the message")).ack({ confirm: true });
      await checkNothingElse(bus, "d", subscription);
    },
  },
  {
    id: "PS-DEAD-012",
    title: "What was replayed goes with its durable: one made anew has the message once",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const [letter] = await giveUp(context, "d", ["poison"]);
      checkEqual(await bus.pubsub.deadLetters.replay("d", letter?.id as string), true, "replay");
      checkEqual(await bus.pubsub.deleteDurable("d"), true, "the durable was there");
      const anew = await bus.pubsub.subscribe("d", { durable: "d" });
      await (await takeText(anew, "poison", "the message itself")).ack({ confirm: true });
      await checkNothingElse(bus, "d", anew);
    },
  },
  {
    id: "PS-DEAD-013",
    title: "A replay is no new message of its subject: an expected sequence holds over it",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { pubsub } = context.bus;
      const letters = await giveUp(context, "d", numbered(2));
      const { sequence } = await pubsub.publish("d", "last");
      for (const { id } of letters) await pubsub.deadLetters.replay("d", id);
      for (const expected of [0, sequence - 1, sequence + 1_000]) {
        const late = pubsub.publish("d", "too late", { expectedLastSequence: expected });
        const error = await checkCode(late, "CONFLICT", `a publish that expects ${expected}`);
        checkEqual(error.details["sequence"], sequence, "the sequence that the error names");
      }
      const next = await pubsub.publish("d", "next", { expectedLastSequence: sequence });
      check(next.sequence > sequence, "the next one is stored");
      await checkCode(
        pubsub.publish("d", "twice", { expectedLastSequence: sequence }),
        "CONFLICT",
        "a publish that expects the same again",
      );
    },
  },
  {
    id: "PS-DEAD-010",
    title: "More dead letters than a page holds are all counted, listed and purged",
    contract: "pubsub",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const texts = numbered(1_100);
      const { deadLetters } = bus.pubsub;
      const subscription = await bus.pubsub.subscribe("d", { durable: "d", maxDeliveries: 1 });
      await publishAll(bus, "d", texts);
      for (const text of texts) await (await takeText(subscription, text, "to be given up")).nak();
      await subscription.close();
      await context.until(
        "all are counted",
        async () => (await deadLetters.count("d")) === texts.length,
      );
      const listed: string[] = [];
      let page = await deadLetters.list("d");
      listed.push(...textsOf(page.entries));
      while (page.next !== undefined && listed.length < texts.length) {
        page = await deadLetters.list("d", { after: page.next });
        listed.push(...textsOf(page.entries));
      }
      checkEachOnce(listed, texts, "the dead letters");
      checkEqual(await deadLetters.purge("d"), texts.length, "what purge says");
      checkEqual(await deadLetters.count("d"), 0, "count after the purge");
      const empty = { entries: [], next: undefined };
      checkEqual(await deadLetters.list("d"), empty, "list after the purge");
    },
  },
];

/** Makes dead letters: publishes on the subject of the durable's name, and naks the only delivery. */
async function giveUp(
  context: CaseContext,
  durable: string,
  texts: readonly string[],
): Promise<readonly DeadLetter[]> {
  const { bus } = context;
  const subscription = await bus.pubsub.subscribe(durable, { durable, maxDeliveries: 1 });
  const before = await bus.pubsub.deadLetters.count(durable);
  await publishAll(bus, durable, texts);
  for (const text of texts) await (await takeText(subscription, text, "to be given up")).nak();
  const letters = await deadLettersOf(context, bus, durable, before + texts.length);
  await subscription.close();
  return letters;
}
