import { type Headers, type Payload, toText } from "@busbar/core";
import { check, checkCode, checkEqual } from "../../assert.ts";
import type { CaseContext, ConformanceCase } from "../../case.ts";
import { nextOf, takeOne } from "../shared.ts";

// Headers do not count into the payload: there is room for as many as are allowed.
const MOST_HEADERS: Headers = { trace: "t".repeat(8_192 - "trace".length - 4) };

/** maxPayloadBytes is the true limit, wherever a payload goes. */
export const sizeCases: readonly ConformanceCase[] = [
  {
    id: "CAP-SIZE-001",
    title: "a published payload may have maxPayloadBytes and not one byte more",
    contract: "capabilities",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("size", { durable: "sizes" });
      await checkLimit(context, async (payload) => {
        await bus.pubsub.publish("size", payload, { headers: MOST_HEADERS });
        return (await takeOne(subscription)).payload;
      });
      await bus.pubsub.publish("size", "after");
      checkEqual(toText((await takeOne(subscription)).payload), "after", "the next message");
    },
  },
  {
    id: "CAP-SIZE-002",
    title: "a notified payload may have maxPayloadBytes and not one byte more",
    contract: "capabilities",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const listener = await bus.pubsub.listen("size");
      await checkLimit(context, async (payload) => {
        await bus.pubsub.notify("size", payload, { headers: MOST_HEADERS });
        return (await nextOf(listener, "the listener")).payload;
      });
      await bus.pubsub.notify("size", "after");
      checkEqual(toText((await nextOf(listener, "the listener")).payload), "after", "the next one");
    },
  },
  {
    id: "CAP-SIZE-003",
    title: "a request may have maxPayloadBytes and not one byte more",
    contract: "capabilities",
    level: "L1",
    async run(context) {
      const { bus } = context;
      let handled = 0;
      await bus.rpc.serve("size", ({ payload }) => {
        handled += 1;
        return String(payload.byteLength);
      });
      await checkLimit(context, async (payload) => {
        const reply = await bus.rpc.request("size", payload, { headers: MOST_HEADERS });
        checkEqual(toText(reply.payload), String(payload.length), "the size that arrived");
      });
      checkEqual(handled, 1, "handled requests");
    },
  },
  {
    id: "CAP-SIZE-004",
    title: "a reply may have maxPayloadBytes; a bigger one is REMOTE with PAYLOAD_TOO_LARGE",
    contract: "capabilities",
    level: "L1",
    async run({ bus }) {
      const { maxPayloadBytes } = bus.capabilities;
      await bus.rpc.serve("size", ({ payload }) => new Uint8Array(Number(toText(payload))));
      const { payload } = await bus.rpc.request("size", String(maxPayloadBytes));
      checkEqual(payload.byteLength, maxPayloadBytes, "bytes of the reply");
      const error = await checkCode(
        bus.rpc.request("size", String(maxPayloadBytes + 1)),
        "REMOTE",
        "a reply that is too large",
      );
      checkEqual(error.details["code"], "PAYLOAD_TOO_LARGE", "the remote code");
    },
  },
  {
    id: "CAP-SIZE-005",
    title: "a value may have maxPayloadBytes and not one byte more, with put, create and cas",
    contract: "capabilities",
    level: "L1",
    async run(context) {
      const { kv } = context.bus;
      const read = async (key: string): Promise<Uint8Array | undefined> =>
        (await kv.get("size", key))?.value;
      await checkLimit(context, async (payload) => {
        await kv.put("size", "put", payload);
        return read("put");
      });
      await checkLimit(context, async (payload) => {
        await kv.create("size", `create-${payload.length}`, payload);
        return read(`create-${payload.length}`);
      });
      const revision = await kv.put("size", "cas", "first");
      const tooLarge = new Uint8Array(context.bus.capabilities.maxPayloadBytes + 1);
      await checkCode(kv.cas("size", "cas", tooLarge, revision), "PAYLOAD_TOO_LARGE", "cas");
      checkEqual((await kv.get("size", "cas"))?.revision, revision, "the revision after it");
    },
  },
  {
    id: "CAP-SIZE-006",
    title: "a job may have maxPayloadBytes and not one byte more, also among many",
    contract: "capabilities",
    level: "L1",
    async run(context) {
      const { jobs, capabilities } = context.bus;
      await checkLimit(context, async (payload) => {
        await jobs.enqueue("size", { payload, headers: MOST_HEADERS, dedupKey: "k".repeat(256) });
        const [job] = await jobs.claim("size", { workerId: "w", waitMs: 5_000 });
        await job?.ack({ confirm: true });
        return job?.payload;
      });
      const many = [
        { payload: "small" },
        { payload: new Uint8Array(capabilities.maxPayloadBytes + 1) },
      ];
      await checkCode(jobs.enqueueMany("size", many), "PAYLOAD_TOO_LARGE", "enqueueMany");
      checkEqual((await jobs.stats("size")).ready, 0, "jobs after it");
    },
  },
];

/** `send` gives what arrived. Sends exactly the limit, then one byte more. */
async function checkLimit(
  { bus, random }: CaseContext,
  send: (payload: Uint8Array & Payload) => Promise<Uint8Array | undefined | void>,
): Promise<void> {
  const maxBytes = bus.capabilities.maxPayloadBytes;
  const payload = new Uint8Array(maxBytes);
  for (const index of [0, maxBytes >> 1, maxBytes - 1]) payload[index] = random.next() * 256;
  const arrived = await send(payload);
  if (arrived) {
    checkEqual(arrived.byteLength, maxBytes, "bytes that arrived");
    const same = arrived.every((byte, index) => byte === payload[index]);
    check(same, "the largest payload did not arrive as it was sent");
  }
  const error = await checkCode(
    () => send(new Uint8Array(maxBytes + 1)),
    "PAYLOAD_TOO_LARGE",
    "one byte over the limit",
  );
  checkEqual(
    [error.details["bytes"], error.details["maxBytes"]],
    [maxBytes + 1, maxBytes],
    "details",
  );
}
