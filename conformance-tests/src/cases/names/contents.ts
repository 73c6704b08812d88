import { type Bus, type Headers, type Payload, toBytes, toText } from "@busbar/core";
import { check, checkCode, checkEqual, take } from "../../assert.ts";
import type { CaseContext, ConformanceCase } from "../../case.ts";
import { nextOf, storedTexts, takeOne } from "../shared.ts";
import { shown } from "./tables.ts";

const BAD_HEADERS: readonly unknown[] = [
  { "": "v" },
  { "a b": "v" },
  { "a:b": "v" },
  { "a\r\nb": "v" },
  { ä: "v" },
  { ["h".repeat(129)]: "v" },
  { "Nats-Msg-Id": "v" },
  { "nats-expected-stream": "v" },
  { "Busbar-Dead": "v" },
  { a: "v\r\nb: c" },
  { a: "v\n" },
  { a: "\u0000" },
  { a: "v\u007f" },
  { a: " v" },
  { a: "v " },
  { a: "\tv" },
  { a: ["good", "bad\r\n"] },
  { a: [] },
  { a: 42 },
  { a: null },
  { a: ["v", 1] },
  { a: { b: "c" } },
  "a: b",
  ["a"],
  { a: "v".repeat(8_192) },
];

const GOOD_HEADERS: Headers = {
  a: "v",
  A: "another case is another name",
  "x-empty": "",
  unicode: "größe 名前 😀",
  symbols: "a:b=c;d,e \"f\" 'g' <h>",
  "!#$%&'*+-.^_`|~": "an odd name",
  ["n".repeat(128)]: "a long name",
  many: ["one", "two", "one"],
  constructor: "no property of an object",
};

const BAD_PAYLOADS: readonly unknown[] = [
  undefined,
  null,
  42,
  true,
  {},
  [],
  [1, 2],
  new ArrayBuffer(4),
  new DataView(new ArrayBuffer(4)),
  new Uint16Array(4),
];

type Send = (bus: Bus, payload: Payload, headers?: Headers) => Promise<unknown>;

const SENDS: Readonly<Record<string, Send>> = {
  publish: ({ pubsub }, payload, headers = {}) => pubsub.publish("s", payload, { headers }),
  notify: ({ pubsub }, payload, headers = {}) => pubsub.notify("s", payload, { headers }),
  request: ({ rpc }, payload, headers = {}) => rpc.request("s", payload, { headers }),
  requestMany: async ({ rpc }, payload, headers = {}) => {
    for await (const _reply of rpc.requestMany("s", payload, { headers, maxReplies: 1 })) return;
  },
  enqueue: ({ jobs }, payload, headers = {}) => jobs.enqueue("q", { payload, headers }),
  enqueueMany: ({ jobs }, payload, headers = {}) =>
    jobs.enqueueMany("q", [{ payload: "good" }, { payload, headers }]),
};

const WRITES: Readonly<Record<string, Send>> = {
  put: ({ kv }, payload) => kv.put("b", "k", payload),
  create: ({ kv }, payload) => kv.create("b", "k", payload),
  cas: ({ kv }, payload) => kv.cas("b", "k", payload, 0),
};

/** Headers and payloads. */
export const contentCases: readonly ConformanceCase[] = [
  {
    id: "NAME-HEADER-001",
    title: "bad headers are refused by everything that sends, and nothing is sent",
    contract: "names",
    level: "L1",
    async run(context) {
      const handled = await listenToAll(context);
      for (const [operation, send] of Object.entries(SENDS)) {
        for (const headers of BAD_HEADERS) {
          const what = `${operation} with the headers ${shown(headers)}`;
          const error = await checkCode(
            () => send(context.bus, "v", headers as Headers),
            "INVALID_ARGUMENT",
            what,
          );
          check(/header/.test(error.message), `${what}: the error does not say so`);
        }
      }
      await handled.checkNothing();
    },
  },
  {
    id: "NAME-HEADER-002",
    title: "allowed headers arrive as they were sent, in every contract",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      const headers = GOOD_HEADERS;
      const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
      const listener = await bus.pubsub.listen("s");
      await bus.pubsub.publish("s", "v", { headers });
      checkHeaders((await takeOne(subscription)).headers, "a message");
      checkHeaders((await nextOf(listener, "the listener")).headers, "a published message, live");
      await bus.pubsub.notify("s", "v", { headers });
      checkHeaders((await nextOf(listener, "the listener")).headers, "a notified message");
      await bus.rpc.serve("s", (request) => {
        checkHeaders(request.headers, "a request");
        return { payload: "v", headers: request.headers };
      });
      checkHeaders((await bus.rpc.request("s", "v", { headers })).headers, "a reply");
      await bus.jobs.enqueue("q", { payload: "v", headers });
      const [job] = await bus.jobs.claim("q", { workerId: "w" });
      checkHeaders(job?.headers ?? {}, "a job");
      await job?.deadLetter("no good");
      const { entries } = await bus.jobs.deadLetters.list("q");
      checkHeaders(entries[0]?.headers ?? {}, "a dead letter");
    },
  },
  {
    id: "NAME-HEADER-003",
    title: "without headers nothing but an empty object arrives",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
      await bus.pubsub.publish("s", "v", { messageId: "id" });
      checkEqual(Object.keys((await takeOne(subscription)).headers), [], "of a message");
      await bus.rpc.serve("s", (request) => Object.keys(request.headers).join());
      const reply = await bus.rpc.request("s", "v");
      checkEqual([toText(reply.payload), Object.keys(reply.headers)], ["", []], "of a request");
      await bus.jobs.enqueue("q", { payload: "v", dedupKey: "k", priority: 3 });
      const [job] = await bus.jobs.claim("q", { workerId: "w" });
      checkEqual(Object.keys(job?.headers ?? {}), [], "of a job");
      await job?.ack();
    },
  },
  {
    id: "NAME-PAYLOAD-001",
    title: "a payload that is neither bytes nor text is refused, and nothing is sent or written",
    contract: "names",
    level: "L1",
    async run(context) {
      const handled = await listenToAll(context);
      for (const [operation, send] of Object.entries({ ...SENDS, ...WRITES })) {
        for (const payload of BAD_PAYLOADS) {
          const what = `${operation} with the payload ${shown(payload)}`;
          const attempt = (): Promise<unknown> => send(context.bus, payload as Payload);
          const error = await checkCode(attempt, "INVALID_ARGUMENT", what);
          check(error.message.includes("payload"), `${what}: the error does not name it`);
        }
      }
      await handled.checkNothing();
      checkEqual(await context.bus.kv.get("b", "k"), undefined, "the value");
    },
  },
  {
    id: "NAME-PAYLOAD-002",
    title: "bytes and text of every kind arrive byte for byte, in every contract",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      const all = Uint8Array.from({ length: 256 }, (_, index) => index);
      const payloads: Payload[] = [
        all,
        all.subarray(100, 120),
        Buffer.from("a buffer"),
        new Uint8Array(0),
        "",
        "größe 名前 😀 \u0000 \r\n",
      ];
      const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
      await bus.rpc.serve("s", ({ payload }) => payload);
      for (const payload of payloads) {
        const sent = [...(typeof payload === "string" ? toBytes(payload) : payload)];
        await bus.pubsub.publish("s", payload);
        checkBytes((await takeOne(subscription)).payload, sent, "a message");
        checkBytes((await bus.rpc.request("s", payload)).payload, sent, "a reply");
        await bus.kv.put("b", "k", payload);
        checkBytes((await bus.kv.get("b", "k"))?.value, sent, "a value");
        await bus.jobs.enqueue("q", { payload });
        const [job] = await bus.jobs.claim("q", { workerId: "w" });
        checkBytes(job?.payload, sent, "a job");
        await job?.ack();
      }
    },
  },
  {
    id: "NAME-PAYLOAD-003",
    title: "bytes belong to who has them: changing them changes nobody else's",
    contract: "names",
    level: "L1",
    async run({ bus }) {
      const sent = toBytes("original");
      const first = await bus.pubsub.subscribe("s", { durable: "one" });
      const second = await bus.pubsub.subscribe("s", { durable: "two" });
      await bus.pubsub.publish("s", sent);
      await bus.kv.put("b", "k", sent);
      await bus.jobs.enqueue("q", { payload: sent });
      sent.fill(0);
      const [message] = await take(first, 1);
      checkEqual(toText(message?.payload ?? sent), "original", "the message");
      message?.payload.fill(1);
      await message?.nak();
      checkEqual(toText((await takeOne(first)).payload), "original", "the redelivery");
      checkEqual(toText((await takeOne(second)).payload), "original", "the other one's message");
      const entry = await bus.kv.get("b", "k");
      checkEqual(toText(entry?.value ?? sent), "original", "the value");
      entry?.value.fill(1);
      checkEqual(toText((await bus.kv.get("b", "k"))?.value ?? sent), "original", "read again");
      const [job] = await bus.jobs.claim("q", { workerId: "w" });
      checkEqual(toText(job?.payload ?? sent), "original", "the job");
      job?.payload.fill(1);
      await job?.nak();
      const [again] = await bus.jobs.claim("q", { workerId: "w", waitMs: 5_000 });
      checkEqual(toText(again?.payload ?? sent), "original", "the job handed out again");
      await again?.ack();
    },
  },
];

/** Everything that would notice what is sent. */
async function listenToAll({ bus }: CaseContext): Promise<{ checkNothing(): Promise<void> }> {
  let requests = 0;
  await bus.rpc.serve("s", () => {
    requests += 1;
  });
  const listener = await bus.pubsub.listen("s");
  return {
    async checkNothing() {
      await bus.pubsub.notify("s", "sentinel");
      const next = await nextOf(listener, "the listener");
      checkEqual(toText(next.payload), "sentinel", "the next message");
      checkEqual([...(await storedTexts(bus, ">", "s"))], [], "stored messages");
      checkEqual((await bus.jobs.stats("q")).ready, 0, "jobs");
      await bus.rpc.request("s", "sentinel");
      checkEqual(requests, 1, "requests that were handled");
    },
  };
}

function checkHeaders(actual: Headers, what: string): void {
  const sorted = (headers: Headers): unknown =>
    Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1));
  checkEqual(sorted(actual), sorted(GOOD_HEADERS), `the headers of ${what}`);
}

function checkBytes(actual: Uint8Array | undefined, sent: readonly number[], what: string): void {
  check(actual instanceof Uint8Array, `${what} is no Uint8Array`);
  checkEqual([...actual], sent, `the bytes of ${what}`);
}
