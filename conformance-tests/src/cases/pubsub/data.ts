import type { Headers } from "@busbar/core";
import { toBytes, toText } from "@busbar/core";
import { check, checkCode, checkEqual } from "../../assert.ts";
import type { CaseContext, ConformanceCase } from "../../case.ts";
import { checkNothingElse, sameBytes, sortedHeaders, takeFrom, takeOne } from "./helpers.ts";

/** Payloads and headers. */
export const dataCases: readonly ConformanceCase[] = [
  {
    id: "PS-DATA-001",
    title: "An empty payload arrives as an empty payload, published and notified",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("data", { durable: "data" });
      const listener = await bus.pubsub.listen("data");
      for (const empty of ["", new Uint8Array(0)]) {
        await bus.pubsub.publish("data", empty);
        await bus.pubsub.notify("data", empty);
      }
      for (let index = 0; index < 2; index++) {
        const message = await takeOne(subscription);
        check(message.payload instanceof Uint8Array, "the payload is a Uint8Array");
        checkEqual(message.payload.length, 0, "bytes of the message");
        await message.ack();
      }
      for (const live of await takeFrom(listener, 4)) {
        checkEqual(live.payload.length, 0, "bytes of the live message");
      }
    },
  },
  {
    id: "PS-DATA-002",
    title: "Bytes arrive as they are: every value, 64 KiB at random, and text that is no UTF-8",
    contract: "pubsub",
    level: "L1",
    async run({ bus, random }) {
      const subscription = await bus.pubsub.subscribe("data", { durable: "data" });
      const payloads = [
        Uint8Array.from({ length: 256 }, (_, index) => index),
        Uint8Array.from({ length: 65_536 }, () => Math.floor(random.next() * 256)),
        Uint8Array.of(0xff, 0xfe, 0x80, 0xc0, 0xed, 0xa0, 0x80),
        Uint8Array.of(0),
        Uint8Array.of(13, 10, 13, 10),
        // A view into a larger buffer: only what it shows is sent.
        Uint8Array.of(1, 2, 3, 4, 5).subarray(1, 4),
        Buffer.from("a Node buffer"),
      ];
      for (const payload of payloads) await bus.pubsub.publish("data", payload);
      for (const [index, payload] of payloads.entries()) {
        const message = await takeOne(subscription);
        check(sameBytes(message.payload, payload), `payload ${index} arrives unchanged`);
        await message.ack();
      }
    },
  },
  {
    id: "PS-DATA-003",
    title: "A string is sent as UTF-8",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("data", { durable: "data" });
      for (const text of ["plain", "naïve", "日本語", "🚌🚏", "a\u0000b\r\n", "\ufeffbom"]) {
        await bus.pubsub.publish("data", text);
        const message = await takeOne(subscription);
        check(sameBytes(message.payload, toBytes(text)), `UTF-8 of ${JSON.stringify(text)}`);
        await message.ack();
      }
    },
  },
  {
    id: "PS-DATA-004",
    title: "Headers arrive as they were sent: empty, odd, long and multiple values, odd names",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const headers: Headers = {
        plain: "value",
        Plain: "names are case-sensitive",
        empty: "",
        unicode: "naïve 日本語 🚌",
        odd: "a: b; c=d, \"e\" 'f' \\ %20 é",
        many: ["b", "a", "", "a"],
        long: "v".repeat(2_000),
        ["n".repeat(128)]: "longest name",
        "!#$%&'*+-.^_`|~/?@[]{}()<>=,;\"\\": "odd name",
        constructor: "an inherited name",
        toString: "another one",
      };
      await checkHeadersArrive(bus, headers);
    },
  },
  {
    id: "PS-DATA-005",
    title: "A header with one value in an array arrives as a string, and __proto__ is only a name",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("data", { durable: "data" });
      const headers = Object.fromEntries([
        ["one", ["single"]],
        ["__proto__", "only a name"],
      ]);
      await bus.pubsub.publish("data", "x", { headers });
      const message = await takeOne(subscription);
      const expected = [
        ["__proto__", "only a name"],
        ["one", "single"],
      ];
      checkEqual(sortedHeaders(message.headers), expected, "headers");
      checkEqual(Reflect.get({}, "only a name"), undefined, "the prototype of all objects");
      await message.ack();
    },
  },
  {
    id: "PS-DATA-006",
    title: "A message without headers has an empty record of headers",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("data", { durable: "data" });
      const listener = await bus.pubsub.listen("data");
      await bus.pubsub.publish("data", "none", { messageId: "m1", expectedLastSequence: 0 });
      await bus.pubsub.publish("data", "empty", { headers: {} });
      for (const stream of [subscription, listener]) {
        for (const message of await takeFrom<{ headers: Headers }>(stream, 2)) {
          checkEqual(message.headers, {}, "headers");
        }
      }
    },
  },
  {
    id: "PS-DATA-007",
    title: "Headers that break the rules are refused with INVALID_ARGUMENT, and nothing is stored",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const refused: Record<string, unknown>[] = [
        { "": "x" },
        { "a b": "x" },
        { "a:b": "x" },
        { "a\r\nb": "x" },
        { nämé: "x" },
        { ["n".repeat(129)]: "x" },
        { a: "x\r\nInjected: y" },
        { a: "x\ny" },
        { a: " leading" },
        { a: "trailing " },
        { a: "nul\u0000" },
        { a: [] },
        { a: ["fine", "not\nfine"] },
        { a: 1 },
        { a: undefined },
        { "Nats-Msg-Id": "x" },
        { "nats-rollup": "all" },
        { "Busbar-Anything": "x" },
        { "BUSBAR-x": "x" },
      ];
      for (const headers of refused) {
        await checkCode(
          () => bus.pubsub.publish("data", "x", { headers: headers as Headers }),
          "INVALID_ARGUMENT",
          `headers ${JSON.stringify(headers).slice(0, 40)}`,
        );
      }
      const subscription = await bus.pubsub.subscribe("data", { durable: "data" });
      await checkNothingElse(bus, "data", subscription);
    },
  },
  {
    id: "PS-DATA-008",
    title: "Changing a buffer or headers after the publish changes nothing that was sent",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const first = await bus.pubsub.subscribe("data", { durable: "first" });
      const listener = await bus.pubsub.listen("data");
      const payload = toBytes("original");
      const values = ["a", "b"];
      const headers: Record<string, string | string[]> = { kept: "yes", many: values };
      await bus.pubsub.publish("data", payload, { headers });
      payload.fill(120);
      headers["kept"] = "no";
      values.push("c");
      const late = await bus.pubsub.subscribe("data", { durable: "late" });
      const [live] = await takeFrom(listener, 1);
      for (const message of [await takeOne(first), await takeOne(late), live]) {
        checkEqual(toText(message?.payload ?? payload), "original", "the payload");
        const sent: Headers = { kept: "yes", many: ["a", "b"] };
        checkEqual(sortedHeaders(message?.headers ?? {}), sortedHeaders(sent), "the headers");
      }
    },
  },
  {
    id: "PS-DATA-009",
    title: "A receiver owns its payload: changing it changes no other delivery and no dead letter",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options = { durable: "one", maxDeliveries: 2 };
      const one = await bus.pubsub.subscribe("data", options);
      const two = await bus.pubsub.subscribe("data", { durable: "two" });
      const listeners = [await bus.pubsub.listen("data"), await bus.pubsub.listen("data")];
      await bus.pubsub.publish("data", "original");
      for (const listener of listeners) {
        const [live] = await takeFrom(listener, 1);
        checkOriginal(live?.payload, "a listener");
      }
      const first = await takeOne(one);
      checkOriginal(first.payload, "the first delivery");
      await first.nak();
      const second = await takeOne(one);
      checkOriginal(second.payload, "the redelivery");
      await second.nak();
      checkOriginal((await takeOne(two)).payload, "another durable");
      await context.until("the dead letter", async () => {
        return (await bus.pubsub.deadLetters.count("one")) === 1;
      });
      for (let round = 0; round < 2; round++) {
        const { entries } = await bus.pubsub.deadLetters.list("one");
        checkOriginal(entries[0]?.payload, "the dead letter");
      }
    },
  },
];

function checkOriginal(payload: Uint8Array | undefined, what: string): void {
  checkEqual(payload && toText(payload), "original", what);
  payload?.fill(120);
}

async function checkHeadersArrive(bus: CaseContext["bus"], headers: Headers): Promise<void> {
  const subscription = await bus.pubsub.subscribe("data", { durable: "data" });
  const listener = await bus.pubsub.listen("data");
  await bus.pubsub.publish("data", "published", { headers });
  await bus.pubsub.notify("data", "notified", { headers });
  const message = await takeOne(subscription);
  checkEqual(sortedHeaders(message.headers), sortedHeaders(headers), "headers of the message");
  await message.nak();
  const again = await takeOne(subscription);
  checkEqual(sortedHeaders(again.headers), sortedHeaders(headers), "headers of the redelivery");
  await again.ack();
  for (const live of await takeFrom(listener, 2)) {
    checkEqual(sortedHeaders(live.headers), sortedHeaders(headers), "headers of a live message");
  }
}
