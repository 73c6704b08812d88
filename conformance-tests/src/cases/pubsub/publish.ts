import { errorCode, type Message, type Subscription, toText } from "@busbar/core";
import { check, checkCode, checkEqual, checkRange } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkEachOnce,
  checkGrows,
  checkNothingElse,
  inParallel,
  numbered,
  pump,
  takeAndAck,
  takeOne,
  takeText,
  textsOf,
} from "./helpers.ts";

const MINUTE_MS = 60_000;

/** Publishing: acknowledgement, storage, refusals. */
export const publishCases: readonly ConformanceCase[] = [
  {
    id: "PS-PUB-001",
    title: "A published message reaches a durable subscription with everything it was sent with",
    contract: "pubsub",
    level: "L0",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("orders.created", { durable: "billing" });
      const ack = await bus.pubsub.publish("orders.created", "hello", { headers: { trace: "t1" } });
      checkEqual(ack.duplicate, false, "duplicate");
      const message = await takeText(subscription, "hello", "the payload");
      checkEqual(message.subject, "orders.created", "the subject");
      checkEqual(message.headers, { trace: "t1" }, "the headers");
      checkEqual(message.sequence, ack.sequence, "the sequence");
      checkEqual(message.deliveryCount, 1, "the delivery count");
      await message.ack();
    },
  },
  {
    id: "PS-PUB-002",
    title: "Sequences are safe integers that grow with every publish, over all subjects and buses",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const sequences: number[] = [];
      for (let index = 0; index < 30; index++) {
        const from = buses[index % 2] as typeof bus;
        sequences.push((await from.pubsub.publish(`seq.s${index % 3}`, `${index}`)).sequence);
      }
      check(
        sequences.every(Number.isSafeInteger),
        `not all are safe integers: ${sequences.join()}`,
      );
      checkRange(sequences[0] as number, 1, Number.MAX_SAFE_INTEGER, "the first sequence");
      checkGrows(sequences, "sequences");
    },
  },
  {
    id: "PS-PUB-003",
    title: "A message that is published while nobody subscribes is stored",
    contract: "pubsub",
    level: "L0",
    async run(context) {
      const { bus } = context;
      await bus.pubsub.publish("alone", "kept");
      const later = await context.open();
      const subscription = await later.pubsub.subscribe("alone", { durable: "later" });
      await (await takeText(subscription, "kept", "what was published before")).ack();
      await checkNothingElse(bus, "alone", subscription);
    },
  },
  {
    id: "PS-PUB-004",
    title: "publishedAtMs is the time of storing, and stays the same on a redelivery",
    contract: "pubsub",
    level: "L1",
    async run({ bus, clock }) {
      const subscription = await bus.pubsub.subscribe("times", { durable: "times" });
      const beforeMs = clock.now();
      await bus.pubsub.publish("times", "one");
      await clock.sleep(50);
      await bus.pubsub.publish("times", "two");
      const afterMs = clock.now();
      const [one, two] = await takeAndNakFirst(subscription);
      // The server's clock may be another machine's.
      for (const message of [one, two]) {
        checkRange(
          message.publishedAtMs,
          beforeMs - MINUTE_MS,
          afterMs + MINUTE_MS,
          "publishedAtMs",
        );
        check(Number.isInteger(message.publishedAtMs), "publishedAtMs is a whole number");
      }
      checkRange(two.publishedAtMs - one.publishedAtMs, 45, MINUTE_MS, "between the two");
      const again = await takeText(subscription, "one", "the redelivery");
      checkEqual(again.publishedAtMs, one.publishedAtMs, "publishedAtMs of the redelivery");
      checkEqual(again.sequence, one.sequence, "the sequence of the redelivery");
    },
  },
  {
    id: "PS-PUB-005",
    title: "A publish whose signal is aborted rejects with the signal's reason",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const reason = new Error("not any more");
      const publishing = bus.pubsub.publish("aborted", "x", { signal: AbortSignal.abort(reason) });
      const error = await publishing.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      check(error === reason, `expected the reason itself, got ${String(error)}`);
    },
  },
  {
    id: "PS-PUB-006",
    title: "A payload of the limit is stored with headers; one byte more is PAYLOAD_TOO_LARGE",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const limit = bus.capabilities.maxPayloadBytes;
      const subscription = await bus.pubsub.subscribe("big", { durable: "big" });
      const error = await checkCode(
        () => bus.pubsub.publish("big", new Uint8Array(limit + 1)),
        "PAYLOAD_TOO_LARGE",
        "one byte too many",
      );
      checkEqual(error.details["bytes"], limit + 1, "details.bytes");
      checkEqual(error.details["maxBytes"], limit, "details.maxBytes");
      checkEqual(error.retryable, false, "retryable");
      const headers = { note: "n".repeat(200) };
      await bus.pubsub.publish("big", new Uint8Array(limit).fill(7), { headers });
      const message = await takeOne(subscription);
      checkEqual(message.payload.length, limit, "the size");
      check(
        message.payload.every((byte) => byte === 7),
        "the payload arrives unchanged",
      );
      checkEqual(message.headers, headers, "the headers");
      await message.ack();
    },
  },
  {
    id: "PS-PUB-007",
    title: "After close every operation rejects with CLOSED, and running loops end",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const bus = await context.open();
      const subscription = await bus.pubsub.subscribe("closing", { durable: "closing" });
      const listener = await bus.pubsub.listen("closing");
      const loops = [pump(subscription, () => undefined), pump(listener, () => undefined)];
      await bus.close();
      await Promise.all(loops);
      const { pubsub } = bus;
      const { deadLetters } = pubsub;
      const operations: Record<string, () => Promise<unknown>> = {
        publish: () => pubsub.publish("closing", "x"),
        notify: () => pubsub.notify("closing", "x"),
        subscribe: () => pubsub.subscribe("closing"),
        listen: () => pubsub.listen("closing"),
        deleteDurable: () => pubsub.deleteDurable("closing"),
        list: () => deadLetters.list("closing"),
        get: () => deadLetters.get("closing", "1"),
        count: () => deadLetters.count("closing"),
        replay: () => deadLetters.replay("closing", "1"),
        discard: () => deadLetters.discard("closing", "1"),
        purge: () => deadLetters.purge("closing"),
      };
      for (const [name, operation] of Object.entries(operations)) {
        await checkCode(operation, "CLOSED", name);
      }
    },
  },
  {
    id: "PS-PUB-008",
    title: "A loop over a subscription may publish, also to the subject it listens to",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("chain", { durable: "chain" });
      await bus.pubsub.publish("chain", "0");
      const seen: string[] = [];
      for await (const message of subscription) {
        seen.push(toText(message.payload));
        if (seen.length < 50) await bus.pubsub.publish("chain", `${seen.length}`);
        await message.ack();
        if (seen.length === 50) break;
      }
      checkEqual(seen, numbered(50, ""), "the chain of messages, each published by the one before");
    },
  },
  {
    id: "PS-PUB-009",
    title:
      "5,000 publishes with 256 in flight are each stored once, under the sequence of their ack",
    contract: "pubsub",
    level: "L3",
    async run({ bus }) {
      const texts = numbered(5_000);
      const acks = await inParallel(texts, 256, (text) => bus.pubsub.publish("many", text));
      checkEqual(new Set(acks.map((ack) => ack.sequence)).size, texts.length, "distinct sequences");
      const subscription = await bus.pubsub.subscribe("many", {
        durable: "many",
        maxInFlight: 1_000,
      });
      const messages = await takeAndAck(subscription, texts.length);
      checkEachOnce(textsOf(messages), texts, "what is stored");
      checkGrows(
        messages.map((message) => message.sequence),
        "sequences",
      );
      for (const message of messages) {
        const ack = acks[Number(toText(message.payload).slice(1))];
        check(message.sequence === ack?.sequence, `sequence ${message.sequence} is not its ack's`);
      }
      await checkNothingElse(bus, "many", subscription);
    },
  },
  {
    id: "PS-PUB-010",
    title: "Of publishes that race with close, each either resolves and is stored, or says CLOSED",
    contract: "pubsub",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const publisher = await context.open();
      const resolved: string[] = [];
      const refused: string[] = [];
      const publishing = numbered(1_000).map(async (text) => {
        try {
          await publisher.pubsub.publish("race", text);
          resolved.push(text);
        } catch (error) {
          refused.push(String(errorCode(error)));
        }
      });
      await publishing[0];
      await publisher.close();
      await Promise.all(publishing);
      const codes = new Set(refused);
      codes.delete("CLOSED");
      checkEqual([...codes], [], "codes of those that were refused, besides CLOSED");
      const subscription = await bus.pubsub.subscribe("race", { durable: "race" });
      await bus.pubsub.publish("race", "end");
      const stored: string[] = [];
      for (;;) {
        const message = await takeOne(subscription);
        await message.ack();
        if (toText(message.payload) === "end") break;
        stored.push(toText(message.payload));
      }
      // What was refused may have been stored: its outcome is unknown. Not so what was resolved.
      const kept = new Set(stored);
      checkEqual(kept.size, stored.length, "stored messages are distinct");
      const lost = resolved.filter((text) => !kept.has(text));
      checkEqual(lost, [], "acknowledged and not stored");
    },
  },
];

async function takeAndNakFirst(subscription: Subscription): Promise<[Message, Message]> {
  const one = await takeText(subscription, "one", "the first");
  const two = await takeText(subscription, "two", "the second");
  await one.nak();
  await two.ack();
  return [one, two];
}
