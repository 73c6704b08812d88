import { type LiveMessage, type Listener, toText } from "@busbar/core";
import { check, checkEqual, iteratorOf } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkEachOnce,
  checkEnded,
  checkNothingElse,
  numbered,
  publishAll,
  pump,
  takeFrom,
  textsOf,
  track,
} from "./helpers.ts";

/** Listeners and notifications: live, at most once. */
export const liveCases: readonly ConformanceCase[] = [
  {
    id: "PS-LIVE-001",
    title: "A listener has what is published and what is notified, from every bus, once each",
    contract: "pubsub",
    level: "L0",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const listeners = [
        await bus.pubsub.listen("l.a"),
        await bus.pubsub.listen("l.a"),
        await other.pubsub.listen("l.*"),
      ];
      await bus.pubsub.publish("l.a", "published", { headers: { kind: "stored" } });
      await bus.pubsub.notify("l.a", "notified", { headers: { kind: "live" } });
      await bus.pubsub.publish("l.a", "end");
      for (const listener of listeners) {
        const live = await takeFrom(listener, 3);
        checkEqual(textsOf(live), ["published", "notified", "end"], "what is live");
        checkEqual(live[0]?.headers, { kind: "stored" }, "headers of the published");
        checkEqual(live[1]?.headers, { kind: "live" }, "headers of the notified");
        check(
          live.every((message) => message.subject === "l.a"),
          "the subject",
        );
      }
      const own = await other.pubsub.listen("l.b");
      await other.pubsub.notify("l.b", "to myself");
      checkEqual(textsOf(await takeFrom(own, 1)), ["to myself"], "its own notification");
    },
  },
  {
    id: "PS-LIVE-002",
    title: "What is notified is not stored: no subscription has it, now or later",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const listener = await bus.pubsub.listen("l");
      const durable = await bus.pubsub.subscribe("l", { durable: "early" });
      const ephemeral = await bus.pubsub.subscribe("l");
      for (const text of numbered(5)) await bus.pubsub.notify("l", text);
      checkEqual(textsOf(await takeFrom(listener, 5)), numbered(5), "what is live");
      await checkNothingElse(bus, "l", durable);
      await durable.close();
      const [first] = await takeFrom(ephemeral, 1);
      checkEqual(first && toText(first.payload), "sentinel", "what the ephemeral one has");
      const late = await bus.pubsub.subscribe("l", { durable: "late", from: "all" });
      const [stored] = await takeFrom(late, 1);
      checkEqual(stored && toText(stored.payload), "sentinel", "what is stored");
    },
  },
  {
    id: "PS-LIVE-003",
    title: "A listener has nothing from before it began to listen, and nothing after it was closed",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      await publishAll(bus, "l", ["before"]);
      await bus.pubsub.notify("l", "also before");
      const listener = await bus.pubsub.listen("l");
      const witness = await bus.pubsub.listen("l");
      await bus.pubsub.notify("l", "now");
      checkEqual(textsOf(await takeFrom(listener, 1)), ["now"], "the first");
      await listener.close();
      await bus.pubsub.notify("l", "after");
      checkEqual(textsOf(await takeFrom(witness, 2)), ["now", "after"], "the witness");
      await checkEnded(listener, "after close");
    },
  },
  {
    id: "PS-LIVE-004",
    title:
      "Listeners of one group share: each message goes to one of them, and to each other group",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const seen = { a: [] as string[], b: [] as string[], alone: [] as string[] };
      const places: [keyof typeof seen, Listener][] = [];
      for (const from of [bus, other, bus]) {
        places.push(["a", await from.pubsub.listen("l", { group: "a" })]);
        places.push(["b", await from.pubsub.listen("l.>", { group: "b" })]);
      }
      places.push(["b", await bus.pubsub.listen("l", { group: "b" })]);
      places.push(["alone", await other.pubsub.listen("l")]);
      const loops = places.map(([name, listener]) =>
        pump(listener, (message: LiveMessage) => {
          seen[name].push(toText(message.payload));
        }),
      );
      const texts = numbered(120);
      for (const [index, text] of texts.entries()) {
        if (index % 2 === 0) await bus.pubsub.notify("l", text);
        else await other.pubsub.publish("l", text);
      }
      await context.until("everybody has had all", () => {
        return Object.values(seen).every((list) => list.length >= texts.length);
      });
      for (const [, listener] of places) await listener.close();
      await Promise.all(loops);
      for (const [name, list] of Object.entries(seen)) checkEachOnce(list, texts, name);
    },
  },
  {
    id: "PS-LIVE-005",
    title: "A slow listener drops the oldest, counts them, and slows nobody else",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const slow = await bus.pubsub.listen("l", { maxBuffered: 4 });
      const quick = await bus.pubsub.listen("l");
      for (const text of numbered(10)) await bus.pubsub.notify("l", text);
      checkEqual(textsOf(await takeFrom(quick, 10)), numbered(10), "the quick one");
      await context.until("six are dropped", () => slow.dropped >= 6);
      checkEqual(slow.dropped, 6, "dropped");
      checkEqual(textsOf(await takeFrom(slow, 4)), ["m6", "m7", "m8", "m9"], "what is left");
      await bus.pubsub.notify("l", "next");
      checkEqual(textsOf(await takeFrom(slow, 1)), ["next"], "what comes then");
      checkEqual([slow.dropped, quick.dropped], [6, 0], "dropped at the end");
    },
  },
  {
    id: "PS-LIVE-006",
    title: "close, break and an aborted signal end a listener; closing again does nothing",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const closed = await bus.pubsub.listen("l");
      const waiting = track(iteratorOf(closed).next());
      await Promise.all([closed.close(), closed.close()]);
      await closed[Symbol.asyncDispose]();
      checkEqual((await waiting.promise).done, true, "a loop that waits ends");
      const controller = new AbortController();
      const aborted = await bus.pubsub.listen("l", { signal: controller.signal });
      const loop = pump(aborted, () => undefined);
      controller.abort();
      await loop;
      const left = await bus.pubsub.listen("l");
      await bus.pubsub.notify("l", "one");
      await bus.pubsub.notify("l", "two");
      for await (const message of left) {
        checkEqual(toText(message.payload), "one", "the message");
        break;
      }
      await bus.pubsub.notify("l", "after");
      // It may still give what it had buffered, but then it ends.
      const rest: string[] = [];
      await pump(left, (message) => {
        rest.push(toText(message.payload));
      });
      check(!rest.includes("after"), "it goes on after break");
    },
  },
  {
    id: "PS-LIVE-007",
    title: "A closed listener takes no share of its group any more",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const leaving = await other.pubsub.listen("l", { group: "g" });
      const staying = await bus.pubsub.listen("l", { group: "g" });
      await leaving.close();
      for (const text of numbered(40)) await bus.pubsub.notify("l", text);
      checkEqual(textsOf(await takeFrom(staying, 40)), numbered(40), "who stays has all");
    },
  },
  {
    id: "PS-LIVE-008",
    title: "A listener that keeps up has all of 5,000 messages",
    contract: "pubsub",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const listener = await bus.pubsub.listen("l.*", { maxBuffered: 10_000 });
      const seen: string[] = [];
      const loop = pump(listener, (message) => {
        seen.push(toText(message.payload));
      });
      const texts = numbered(5_000);
      for (const [index, text] of texts.entries()) await bus.pubsub.notify(`l.${index % 9}`, text);
      await context.until("all have come", () => seen.length >= texts.length);
      await listener.close();
      await loop;
      checkEqual(seen, texts, "what came, in order");
      checkEqual(listener.dropped, 0, "dropped");
    },
  },
];
