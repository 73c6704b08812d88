import { toText } from "@busbar/core";
import { checkCode, checkEqual, checkOptionRefused } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkNothingElse,
  numbered,
  otherNamespace,
  publishAll,
  pump,
  takeAndAck,
  takeOne,
  takeText,
  textsOf,
} from "./helpers.ts";

/** Names, namespaces, and options that are not allowed. */
export const nameCases: readonly ConformanceCase[] = [
  {
    id: "PS-NAME-001",
    title: "A subject that is no subject is refused with INVALID_ARGUMENT, and nothing is stored",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const wrong = ["", "a.*", "a.>", ">", "*", ".a", "a.", "a..b", "a b", "a\nb", "a\r\nX: y"];
      for (const subject of [...wrong, "a\tb", "a\u0000", "sübject", "x".repeat(257)]) {
        await checkCode(
          () => bus.pubsub.publish(subject, "x"),
          "INVALID_ARGUMENT",
          `publish to ${JSON.stringify(subject.slice(0, 20))}`,
        );
        await checkCode(
          () => bus.pubsub.notify(subject, "x"),
          "INVALID_ARGUMENT",
          `notify of ${JSON.stringify(subject.slice(0, 20))}`,
        );
      }
      const subscription = await bus.pubsub.subscribe(">", { durable: "everything" });
      await checkNothingElse(bus, "fine", subscription);
    },
  },
  {
    id: "PS-NAME-002",
    title: "Options that make no sense are refused, and the error names the field",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const { pubsub } = bus;
      for (const timeoutMs of [0, -1, Number.NaN]) {
        await checkOptionRefused(() => pubsub.publish("o", "x", { timeoutMs }), "timeoutMs");
      }
      for (const expectedLastSequence of [-1, 1.5, Number.NaN]) {
        await checkOptionRefused(
          () => pubsub.publish("o", "x", { expectedLastSequence }),
          "expectedLastSequence",
        );
      }
      for (const messageId of ["", "a b", "ä", "x".repeat(257), "a\nb"]) {
        await checkCode(
          () => pubsub.publish("o", "x", { messageId }),
          "INVALID_ARGUMENT",
          `message id ${JSON.stringify(messageId.slice(0, 10))}`,
        );
      }
      for (const payload of [null, undefined, 7, { a: 1 }, [1, 2]]) {
        await checkCode(
          () => pubsub.publish("o", payload as unknown as string),
          "INVALID_ARGUMENT",
          `payload ${JSON.stringify(payload)}`,
        );
      }
      const subscription = await pubsub.subscribe("o", { durable: "o" });
      await checkNothingElse(bus, "o", subscription);
    },
  },
  {
    id: "PS-NAME-003",
    title: "Options and names that are not allowed are refused before anything is made",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const { pubsub } = bus;
      const options = {
        ackWaitMs: [9, 0, -1, Number.NaN],
        maxDeliveries: [0, -1, 1.5, Number.NaN],
        maxInFlight: [0, -1, 1.5, 10_001],
        backoffMs: [[5], [100, -1], [Number.NaN]],
        from: ["later", { sequence: 0 }, { sequence: 1.5 }, { timeMs: -1 }, {}],
      };
      for (const [field, values] of Object.entries(options)) {
        for (const value of values) {
          const wrong = { durable: "d", [field]: value };
          await checkOptionRefused(() => pubsub.subscribe("s", wrong as object), field);
        }
      }
      await checkOptionRefused(() => pubsub.subscribe("s", { maxDeliveries: 3 }), "maxDeliveries");
      for (const durable of ["", "a b", "a*", "a>", ".a", "a.", "a..b", "a/b", "ä", "a\nb"]) {
        await checkCode(
          () => pubsub.subscribe("s", { durable }),
          "INVALID_ARGUMENT",
          `durable ${JSON.stringify(durable)}`,
        );
      }
      for (const subject of ["", "a b", ".a", "a.", "a..b", "a.>.b", ">.a", "a*", "a.b>", "ä"]) {
        await checkCode(
          () => pubsub.subscribe(subject, { durable: "d" }),
          "INVALID_ARGUMENT",
          `subject ${JSON.stringify(subject)}`,
        );
      }
      checkEqual(await pubsub.deleteDurable("d"), false, "the durable was made");
    },
  },
  {
    id: "PS-NAME-004",
    title: "Options and names of listen and notify that are not allowed are refused",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      for (const maxBuffered of [0, -1, 1.5, Number.NaN]) {
        await checkOptionRefused(() => bus.pubsub.listen("l", { maxBuffered }), "maxBuffered");
      }
      for (const subject of ["", "a b", "a.", ".a", "a..b", "a.>.b", "ä"]) {
        await checkCode(() => bus.pubsub.listen(subject), "INVALID_ARGUMENT", "listen");
      }
      for (const group of ["", "a b", "a*", "a.", "ä", "x".repeat(129)]) {
        await checkCode(() => bus.pubsub.listen("l", { group }), "INVALID_ARGUMENT", "group");
      }
      const headers = { a: "x\r\nInjected: y" };
      await checkCode(() => bus.pubsub.notify("l", "x", { headers }), "INVALID_ARGUMENT", "notify");
      const tooLarge = new Uint8Array(bus.capabilities.maxPayloadBytes + 1);
      await checkCode(() => bus.pubsub.notify("l", tooLarge), "PAYLOAD_TOO_LARGE", "notify");
    },
  },
  {
    id: "PS-NAME-005",
    title: "Durables whose names look alike are different durables",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const names = ["a.b", "a_b", "a-b", "a__b", "A.B", "a._b", "a_.b", "ab", "a.b.c", "a_2Eb"];
      await publishAll(bus, "d", numbered(2));
      for (const durable of names) {
        const subscription = await bus.pubsub.subscribe("d", { durable });
        const messages = await takeAndAck(subscription, 2);
        checkEqual(textsOf(messages), numbered(2), `messages of ${durable}`);
        await subscription.close();
      }
      for (const durable of names) {
        checkEqual(await bus.pubsub.deleteDurable(durable), true, `deleteDurable ${durable}`);
      }
    },
  },
  {
    id: "PS-NAME-006",
    title: "The longest names work: 128 characters of durable, 256 of subject, dots included",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subject = `${"s.".repeat(127)}ss`;
      checkEqual(subject.length, 256, "length of the subject");
      const durables = ["x".repeat(128), `${"x.".repeat(63)}xx`, `${"X_".repeat(63)}.X`];
      await bus.pubsub.publish(subject, "long");
      for (const durable of durables) {
        const subscription = await bus.pubsub.subscribe(subject, { durable, maxDeliveries: 1 });
        await (await takeText(subscription, "long", "the message")).nak();
        await context.until("the dead letter", async () => {
          return (await bus.pubsub.deadLetters.count(durable)) === 1;
        });
        await subscription.close();
        checkEqual(await bus.pubsub.deleteDurable(durable), true, "deleteDurable");
      }
    },
  },
  {
    id: "PS-NAME-007",
    title: "Namespaces are apart: same subject, same durable, same message id, nothing in common",
    contract: "pubsub",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const stranger = await context.open({ namespace: otherNamespace(context) });
      const mine = await bus.pubsub.subscribe(">", { durable: "all" });
      const theirs = await stranger.pubsub.subscribe(">", { durable: "all" });
      const listener = await stranger.pubsub.listen(">");
      const live: string[] = [];
      const loop = pump(listener, (message) => {
        live.push(...textsOf([message]));
      });
      const options = { messageId: "same" };
      const first = await bus.pubsub.publish("d", "mine", options);
      const second = await stranger.pubsub.publish("d", "theirs", options);
      checkEqual([first.duplicate, second.duplicate], [false, false], "duplicates");
      await bus.pubsub.notify("d", "my wake-up");
      await stranger.pubsub.notify("d", "their wake-up");
      checkEqual(textsOf(await takeAndAck(mine, 1)), ["mine"], "what is mine");
      checkEqual(textsOf(await takeAndAck(theirs, 1)), ["theirs"], "what is theirs");
      await checkNothingElse(bus, "d", mine);
      await checkNothingElse(stranger, "d", theirs);
      await context.until("their listener has the sentinel", () => live.includes("sentinel"));
      checkEqual(live, ["theirs", "their wake-up", "sentinel"], "what their listener had");
      checkEqual(await stranger.pubsub.deleteDurable("all"), true, "their durable");
      await checkNothingElse(bus, "d", mine);
      await listener.close();
      await loop;
    },
  },
  {
    id: "PS-NAME-008",
    title:
      "Subjects may have any printable ASCII, and those that mean something to a server do not",
    contract: "pubsub",
    level: "L1",
    async run({ bus }) {
      const subjects = [
        "$SYS.REQ.SERVER.PING",
        "$JS.API.INFO",
        "$KV.bucket.key",
        "_INBOX.abc.1",
        "a/b",
        "-dash-.--",
        "a:b;c,d",
        "%2E.%2A",
        "!\"#$%&'()+/<=?@[\\]^_`{|}~",
        "0.1.2",
      ];
      const all = await bus.pubsub.subscribe(">", { durable: "all" });
      for (const [index, subject] of subjects.entries()) {
        const one = await bus.pubsub.subscribe(subject, { durable: `d${index}` });
        await bus.pubsub.publish(subject, subject);
        for (const subscription of [one, all]) {
          const message = await takeOne(subscription);
          checkEqual(message.subject, subject, "the subject");
          checkEqual(toText(message.payload), subject, "the payload");
          await message.ack();
        }
        await one.close();
      }
    },
  },
];
