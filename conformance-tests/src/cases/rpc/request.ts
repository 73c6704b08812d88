import { toBytes, toText } from "@busbar/core";
import { check, checkCode, checkEqual, checkOptionRefused } from "../../assert.ts";
import { type ConformanceCase, needsVirtualTime } from "../../case.ts";
import {
  checkNotAfter,
  checkNotBefore,
  checkNothingElse,
  numbered,
  otherNamespace,
  sameBytes,
  sortedHeaders,
  stopwatch,
} from "../pubsub/helpers.ts";
import { ask, gate, thrownBy } from "./helpers.ts";

/** One request, one reply. */
export const requestCases: readonly ConformanceCase[] = [
  {
    id: "RPC-REQ-001",
    title: "A request is answered by a handler on another bus, and on the same",
    contract: "rpc",
    level: "L0",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      await bus.rpc.serve("math.double", ({ payload }) => `${Number(toText(payload)) * 2}`);
      checkEqual(await ask(other, "math.double", "21"), "42", "the reply to another bus");
      checkEqual(await ask(bus, "math.double", "4"), "8", "the reply to the same bus");
    },
  },
  {
    id: "RPC-REQ-002",
    title: "Headers go both ways, odd ones too",
    contract: "rpc",
    level: "L1",
    async run({ bus }) {
      const sent = { trace: "t1", many: ["a", "", "b"], empty: "", text: "naïve 日本語 🚌 a: b" };
      const answered = { kind: "reply", many: ["x", "y"], empty: "", text: "日本語" };
      let seen = {};
      await bus.rpc.serve("headers", (request) => {
        seen = request.headers;
        return { payload: "ok", headers: answered };
      });
      const reply = await bus.rpc.request("headers", "x", { headers: sent });
      checkEqual(sortedHeaders(seen), sortedHeaders(sent), "headers of the request");
      checkEqual(sortedHeaders(reply.headers), sortedHeaders(answered), "headers of the reply");
    },
  },
  {
    id: "RPC-REQ-003",
    title: "Payloads are bytes both ways: empty, every value, 64 KiB, and as large as the limit",
    contract: "rpc",
    level: "L1",
    async run({ bus, random }) {
      await bus.rpc.serve("echo", ({ payload }) => payload);
      const payloads = [
        new Uint8Array(0),
        Uint8Array.from({ length: 256 }, (_, index) => index),
        Uint8Array.from({ length: 65_536 }, () => Math.floor(random.next() * 256)),
        new Uint8Array(bus.capabilities.maxPayloadBytes).fill(7),
        Uint8Array.of(1, 2, 3, 4, 5).subarray(1, 4),
      ];
      for (const [index, payload] of payloads.entries()) {
        const reply = await bus.rpc.request("echo", payload);
        check(sameBytes(reply.payload, payload), `payload ${index} comes back unchanged`);
        checkEqual(reply.headers, {}, "headers");
      }
    },
  },
  {
    id: "RPC-REQ-004",
    title: "A handler may answer text, bytes, a record or nothing, at once or later",
    contract: "rpc",
    level: "L1",
    async run({ bus, clock }) {
      const results = {
        text: () => "naïve",
        bytes: () => toBytes("bytes"),
        record: () => ({ payload: "record" }),
        bytesInRecord: () => ({ payload: toBytes("bytes"), headers: {} }),
        nothing: () => undefined,
        empty: () => "",
        later: async () => {
          await clock.sleep(10);
          return "later";
        },
        nothingLater: async () => clock.sleep(10),
      };
      const expected = ["naïve", "bytes", "record", "bytes", "", "", "later", ""];
      for (const [index, [name, handler]] of Object.entries(results).entries()) {
        await bus.rpc.serve(`result.${name}`, handler);
        checkEqual(await ask(bus, `result.${name}`, "x"), expected[index], name);
      }
    },
  },
  {
    id: "RPC-REQ-005",
    title: "A request that nobody serves is NO_RESPONDERS at once, not after its timeout",
    contract: "rpc",
    level: "L0",
    async run(context) {
      const { bus } = context;
      await bus.rpc.serve("somebody", () => "here");
      await bus.pubsub.subscribe("nobody", { durable: "no-server" });
      await bus.pubsub.listen("nobody");
      const elapsed = stopwatch(context.clock);
      for (const subject of ["nobody", "somebody.else", "some"]) {
        const error = await checkCode(
          () => bus.rpc.request(subject, "x", { timeoutMs: 10_000 }),
          "NO_RESPONDERS",
          subject,
        );
        checkEqual(error.retryable, true, "retryable");
      }
      check(elapsed() < 2_000, `three answers took ${elapsed()} ms, the timeout is 10,000`);
    },
  },
  {
    id: "RPC-REQ-006",
    title: "A request without an answer is TIMEOUT after its timeout, not before",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const never = gate();
      context.defer(() => never.open());
      await bus.rpc.serve("silent", () => never.opened);
      for (const timeoutMs of [50, 300]) {
        const elapsed = stopwatch(context.clock);
        const request = bus.rpc.request("silent", "x", { timeoutMs });
        const error = await checkCode(request, "TIMEOUT", `after ${timeoutMs} ms`);
        checkNotBefore(elapsed(), timeoutMs, "the timeout");
        checkNotAfter(context, elapsed(), timeoutMs, "the timeout");
        checkEqual(error.retryable, true, "retryable");
      }
    },
  },
  {
    id: "RPC-REQ-007",
    title: "Without timeoutMs a request waits for 5 s",
    contract: "rpc",
    level: "L2",
    requires: [needsVirtualTime],
    async run(context) {
      const { bus } = context;
      const never = gate();
      context.defer(() => never.open());
      await bus.rpc.serve("silent", () => never.opened);
      const elapsed = stopwatch(context.clock);
      await checkCode(() => bus.rpc.request("silent", "x"), "TIMEOUT", "the default");
      checkNotBefore(elapsed(), 5_000, "the timeout");
      checkNotAfter(context, elapsed(), 5_000, "the timeout");
    },
  },
  {
    id: "RPC-REQ-008",
    title: "An aborted request rejects at once with the signal's reason itself",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const never = gate();
      context.defer(() => never.open());
      await bus.rpc.serve("silent", () => never.opened);
      const reason = new Error("changed my mind");
      const controller = new AbortController();
      const elapsed = stopwatch(clock);
      const request = thrownBy(
        bus.rpc.request("silent", "x", { signal: controller.signal, timeoutMs: 10_000 }),
      );
      await clock.sleep(50);
      controller.abort(reason);
      check((await request) === reason, "an abort under way rejects with the reason");
      check(elapsed() < 2_000, `the abort took ${elapsed()} ms`);
      const before = bus.rpc.request("silent", "x", { signal: AbortSignal.abort("too late") });
      checkEqual(await thrownBy(before), "too late", "a signal that was aborted before");
    },
  },
  {
    id: "RPC-REQ-009",
    title: "A reply that comes after the timeout is dropped: the next request has its own",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      let handled = 0;
      await bus.rpc.serve("slow", async ({ payload }) => {
        const text = toText(payload);
        if (text === "slow") await clock.sleep(250);
        handled += 1;
        return `reply to ${text}`;
      });
      const request = bus.rpc.request("slow", "slow", { timeoutMs: 80 });
      await checkCode(request, "TIMEOUT", "the slow one");
      checkEqual(await ask(bus, "slow", "quick"), "reply to quick", "right after it");
      await context.until("the late reply was sent", () => handled === 2);
      checkEqual(await ask(bus, "slow", "third"), "reply to third", "after the late reply");
      const aborted = new AbortController();
      const waiting = thrownBy(bus.rpc.request("slow", "slow", { signal: aborted.signal }));
      aborted.abort();
      await waiting;
      await clock.sleep(300);
      checkEqual(await ask(bus, "slow", "last"), "reply to last", "after an abort");
    },
  },
  {
    id: "RPC-REQ-010",
    title: "Where several answer, the first reply wins, and the others reach nobody",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      let answers = 0;
      for (const delayMs of [200, 20, 300]) {
        const server = await context.open();
        const handler = async (): Promise<string> => {
          await clock.sleep(delayMs);
          answers += 1;
          return `after ${delayMs}`;
        };
        await server.rpc.serve("race", handler, { group: false });
      }
      checkEqual(await ask(bus, "race", "x"), "after 20", "the first reply");
      await context.until("all three have answered", () => answers === 3);
      checkEqual(await ask(bus, "race", "x"), "after 20", "the next request");
    },
  },
  {
    id: "RPC-REQ-011",
    title: "Requests that are not allowed are refused before they are sent",
    contract: "rpc",
    level: "L1",
    async run({ bus }) {
      let handled = 0;
      await bus.rpc.serve(">", () => {
        handled += 1;
      });
      const { rpc } = bus;
      for (const subject of ["", "a.*", "a.>", ">", ".a", "a.", "a..b", "a b", "a\r\nb", "ä"]) {
        await checkCode(() => rpc.request(subject, "x"), "INVALID_ARGUMENT", "a wrong subject");
      }
      for (const timeoutMs of [0, -1, Number.NaN]) {
        await checkOptionRefused(() => rpc.request("r", "x", { timeoutMs }), "timeoutMs");
      }
      for (const headers of [{ a: "x\r\nInjected: y" }, { "Busbar-Error": "x" }, { "a b": "x" }]) {
        await checkCode(() => rpc.request("r", "x", { headers }), "INVALID_ARGUMENT", "a header");
      }
      const bytes = bus.capabilities.maxPayloadBytes + 1;
      const error = await checkCode(
        () => rpc.request("r", new Uint8Array(bytes)),
        "PAYLOAD_TOO_LARGE",
        "a payload over the limit",
      );
      checkEqual(error.details["bytes"], bytes, "details.bytes");
      checkEqual(error.details["maxBytes"], bytes - 1, "details.maxBytes");
      await rpc.request("r", "sentinel");
      checkEqual(handled, 1, "requests that reached the handler");
    },
  },
  {
    id: "RPC-REQ-012",
    title: "Changing a buffer after the request, or what one received, changes it for nobody else",
    contract: "rpc",
    level: "L1",
    async run({ bus }) {
      const seen: string[] = [];
      const answer = toBytes("answer");
      for (let index = 0; index < 2; index++) {
        await bus.rpc.serve(
          "shared",
          ({ payload }) => {
            seen.push(toText(payload));
            payload.fill(120);
            return answer;
          },
          { group: false },
        );
      }
      const question = toBytes("question");
      const replies = [];
      for await (const reply of bus.rpc.requestMany("shared", question, { maxReplies: 2 })) {
        replies.push(toText(reply.payload));
        reply.payload.fill(120);
      }
      checkEqual(seen, ["question", "question"], "what the handlers saw");
      checkEqual(replies, ["answer", "answer"], "the replies");
      checkEqual(toText(question), "question", "the caller's buffer");
      checkEqual(toText(answer), "answer", "the handlers' buffer");
    },
  },
  {
    id: "RPC-REQ-013",
    title: "Requests are not stored, and what is published does not reach a server",
    contract: "rpc",
    level: "L1",
    async run({ bus }) {
      const handled: string[] = [];
      await bus.rpc.serve("both", ({ payload }) => {
        handled.push(toText(payload));
      });
      const subscription = await bus.pubsub.subscribe(">", { durable: "all" });
      await ask(bus, "both", "request");
      await bus.pubsub.publish("both", "message");
      await bus.pubsub.notify("both", "notification");
      await ask(bus, "both", "sentinel");
      checkEqual(handled, ["request", "sentinel"], "what the server handled");
      for await (const message of subscription) {
        checkEqual(toText(message.payload), "message", "what the subscription has");
        await message.ack({ confirm: true });
        break;
      }
      const next = await bus.pubsub.subscribe(">", { durable: "all" });
      await checkNothingElse(bus, "both", next);
    },
  },
  {
    id: "RPC-REQ-014",
    title: "Namespaces are apart: nobody serves a subject that is served in another one",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const stranger = await context.open({ namespace: otherNamespace(context) });
      await stranger.rpc.serve(">", () => "stranger");
      await checkCode(() => ask(context.bus, "r", "x"), "NO_RESPONDERS", "before I serve it");
      await context.bus.rpc.serve("r", () => "mine");
      for (const _ of numbered(10)) checkEqual(await ask(context.bus, "r", "x"), "mine", "mine");
      checkEqual(await ask(stranger, "r", "x"), "stranger", "theirs");
    },
  },
];
