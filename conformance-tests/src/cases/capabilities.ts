import { type Capabilities, type Headers, type Payload, toBytes, toText } from "@busbar/core";
import { check, checkCode, checkEqual, checkRange, take } from "../assert.ts";
import {
  type CaseContext,
  type ConformanceCase,
  needsKeyTtl,
  needsOtherProcess,
  needsVirtualTime,
  type Requirement,
} from "../case.ts";
import { runElsewhere } from "../elsewhere.ts";
import { checkTook, nextOf, takeOne } from "./shared.ts";

const lacksKeyTtl: Requirement = {
  reason: "capabilities.keyTtl is declared: CAP-TTL-001 checks that it works",
  met: ({ capabilities }) => !capabilities.keyTtl,
};

// Headers do not count into the payload: there is room for as many as are allowed.
const MOST_HEADERS: Headers = { trace: "t".repeat(8_192 - "trace".length - 4) };

/** What a backend declares is true, and what it does not declare is absent. */
export const capabilityCases: readonly ConformanceCase[] = [
  {
    id: "CAP-001",
    title: "capabilities are frozen, complete and within their ranges",
    contract: "capabilities",
    level: "L0",
    run({ bus }) {
      checkShape(bus.capabilities);
      return Promise.resolve();
    },
  },
  {
    id: "CAP-002",
    title: "all buses of one server declare the same",
    contract: "capabilities",
    level: "L1",
    async run({ bus, open }) {
      checkEqual((await open()).capabilities, bus.capabilities, "the second bus's capabilities");
    },
  },
  {
    id: "CAP-003",
    title: "what is declared about kills fits together",
    contract: "capabilities",
    level: "L1",
    run({ bus }) {
      checkDurability(bus.capabilities);
      return Promise.resolve();
    },
  },
  {
    id: "CAP-004",
    title: "another process sees the same data where crossProcess is declared",
    contract: "capabilities",
    level: "L2",
    requires: [needsOtherProcess],
    async run(context) {
      const { bus } = context;
      const subscription = await bus.pubsub.subscribe("from.elsewhere", { durable: "reader" });
      await bus.kv.put("cap", "here", "from the first process");
      const seen = await runElsewhere(context.elsewhere, "cap");
      checkEqual(seen, { here: "from the first process" }, "what the other process read");
      checkEqual(toText((await takeOne(subscription)).payload), "hello", "its message");
      const entry = await bus.kv.get("cap", "there");
      checkEqual(entry && toText(entry.value), "from the second process", "what it wrote");
      const [job] = await bus.jobs.claim("cap", { workerId: "w" });
      checkEqual(job && toText(job.payload), "work", "the job it enqueued");
      await job?.ack({ confirm: true });
    },
  },
  {
    id: "CAP-005",
    title: "redeliveries, delays and expiries are no later than timerGranularityMs",
    contract: "capabilities",
    level: "L1",
    run: checkGranularity,
  },
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
  {
    id: "CAP-TTL-001",
    title: "a value with a TTL lives for its TTL and ends within the declared granularity",
    contract: "capabilities",
    level: "L2",
    requires: [needsKeyTtl],
    async run(context) {
      const { bus, clock } = context;
      const { keyTtlGranularityMs, timerGranularityMs } = bus.capabilities;
      const ttlMs = Math.max(500, keyTtlGranularityMs);
      await bus.kv.put("ttl", "stays", "v");
      const startedAt = clock.monotonic();
      await bus.kv.create("ttl", "goes", "v", { ttlMs });
      await bus.kv.put("ttl", "goes.too", "v", { ttlMs });
      const maxMs = ttlMs + keyTtlGranularityMs + timerGranularityMs + context.toleranceMs;
      await context.until(
        "the values with a TTL are gone",
        async () =>
          (await bus.kv.get("ttl", "goes")) === undefined &&
          (await bus.kv.get("ttl", "goes.too")) === undefined,
        maxMs + 5_000,
      );
      checkRange(clock.monotonic() - startedAt, ttlMs - 5, maxMs, "how long they lived, in ms");
      check((await bus.kv.get("ttl", "stays")) !== undefined, "a value without a TTL is gone");
      checkEqual((await bus.kv.keys("ttl")).keys, ["stays"], "the keys that are left");
      await bus.kv.create("ttl", "goes", "again");
    },
  },
  {
    id: "CAP-TTL-002",
    title: "a value with a TTL is UNSUPPORTED where keyTtl is not declared, and not written",
    contract: "capabilities",
    level: "L2",
    requires: [lacksKeyTtl],
    async run({ bus }) {
      checkEqual(bus.capabilities.keyTtlGranularityMs, 0, "keyTtlGranularityMs");
      const options = { ttlMs: 1_000 };
      await checkCode(bus.kv.put("ttl", "a", "v", options), "UNSUPPORTED", "put with ttlMs");
      await checkCode(bus.kv.create("ttl", "b", "v", options), "UNSUPPORTED", "create with ttlMs");
      checkEqual((await bus.kv.keys("ttl")).keys, [], "the keys");
    },
  },
  {
    id: "CAP-DEDUP-001",
    title: "a message id is remembered for dedupWindowMs, and not much longer",
    contract: "capabilities",
    level: "L1",
    run: (context) =>
      checkDedupWindow(context, async (bus, id) => {
        const { duplicate } = await bus.pubsub.publish("dedup", "v", { messageId: id });
        return duplicate;
      }),
  },
  {
    id: "CAP-DEDUP-002",
    title: "a dedup key is remembered for dedupWindowMs, and not much longer",
    contract: "capabilities",
    level: "L1",
    run: (context) =>
      checkDedupWindow(context, async (bus, id) => {
        const { duplicate } = await bus.jobs.enqueue("dedup", { payload: "v", dedupKey: id });
        return duplicate;
      }),
  },
  {
    id: "CAP-DEDUP-003",
    title: "the default dedup window is as long as declared",
    contract: "capabilities",
    level: "L2",
    requires: [needsVirtualTime],
    timeoutMs: 90_000_000,
    async run({ bus, clock, toleranceMs }) {
      const { dedupWindowMs, timerGranularityMs } = bus.capabilities;
      const slackMs = timerGranularityMs + toleranceMs;
      const publish = (): ReturnType<typeof bus.pubsub.publish> =>
        bus.pubsub.publish("dedup", "v", { messageId: "one" });
      const enqueue = (): ReturnType<typeof bus.jobs.enqueue> =>
        bus.jobs.enqueue("dedup", { payload: "v", dedupKey: "one" });
      const first = [(await publish()).sequence, (await enqueue()).id];
      await clock.sleep(dedupWindowMs - slackMs);
      const again = [await publish(), await enqueue()] as const;
      checkEqual([again[0].sequence, again[1].id], first, "the answers within the window");
      checkEqual(
        again.map(({ duplicate }) => duplicate),
        [true, true],
        "duplicates within it",
      );
      await clock.sleep(2 * slackMs);
      const later = [await publish(), await enqueue()];
      checkEqual(
        later.map(({ duplicate }) => duplicate),
        [false, false],
        "duplicates after it",
      );
    },
  },
];

function checkShape(capabilities: Capabilities): void {
  const { settleDurability, dedupDurability } = capabilities;
  check(Object.isFrozen(capabilities), "capabilities are not frozen");
  check(Object.isFrozen(settleDurability), "settleDurability is not frozen");
  check(Object.isFrozen(dedupDurability), "dedupDurability is not frozen");
  for (const field of ["backend", "server"] as const) {
    const value = capabilities[field];
    check(typeof value === "string" && value !== "", `${field} is not a text`);
  }
  for (const field of ["persistent", "crossProcess", "keyTtl"] as const) {
    check(typeof capabilities[field] === "boolean", `${field} is not a boolean`);
  }
  const meanings = ["memory", "flushed", "synced", "quorum"];
  check(meanings.includes(capabilities.ackMeaning), `ackMeaning is ${capabilities.ackMeaning}`);
  for (const contract of ["pubsub", "jobs"] as const) {
    const settles = settleDurability[contract];
    const dedup = dedupDurability[contract];
    check(["kept", "window", "none"].includes(settles), `settleDurability is ${settles}`);
    check(["kept", "unconsumed", "none"].includes(dedup), `dedupDurability is ${dedup}`);
  }
  checkRange(capabilities.dedupWindowMs, 100, 86_400_000, "dedupWindowMs");
  checkRange(capabilities.maxPayloadBytes, 1, 67_108_864, "maxPayloadBytes");
  check(Number.isInteger(capabilities.maxPayloadBytes), "maxPayloadBytes is not whole");
  checkRange(capabilities.timerGranularityMs, 0, 5_000, "timerGranularityMs");
  checkRange(capabilities.keyTtlGranularityMs, 0, 60_000, "keyTtlGranularityMs");
}

function checkDurability(capabilities: Capabilities): void {
  const { persistent, ackMeaning, settleDurability, dedupDurability } = capabilities;
  for (const contract of ["pubsub", "jobs"] as const) {
    const settles = settleDurability[contract];
    // What is gone with the server cannot be settled; what outlives it can.
    checkEqual(settles === "none", !persistent, `settleDurability.${contract} is none`);
    if (!persistent) checkEqual(dedupDurability[contract], "none", `dedupDurability.${contract}`);
  }
  if (persistent) check(ackMeaning !== "memory", "ackMeaning is memory, but it is persistent");
  if (!capabilities.keyTtl) checkEqual(capabilities.keyTtlGranularityMs, 0, "keyTtlGranularityMs");
}

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

async function checkDedupWindow(
  context: CaseContext,
  send: (bus: CaseContext["bus"], id: string) => Promise<boolean>,
): Promise<void> {
  const dedupWindowMs = 1_000;
  const bus = await context.open({ namespace: `${context.namespace}-dd`, dedupWindowMs });
  checkEqual(bus.capabilities.dedupWindowMs, dedupWindowMs, "the declared window");
  const slackMs = bus.capabilities.timerGranularityMs + context.toleranceMs;
  checkEqual(await send(bus, "one"), false, "the first is a duplicate");
  checkEqual(await send(bus, "one"), true, "the second is a duplicate");
  checkEqual(await send(bus, "two"), false, "another id is a duplicate");
  await context.clock.sleep(dedupWindowMs + slackMs);
  checkEqual(await send(bus, "one"), false, "one after the window is a duplicate");
}

async function checkGranularity(context: CaseContext): Promise<void> {
  const { bus } = context;
  const maxMs = 200 + bus.capabilities.timerGranularityMs;
  const subscription = await bus.pubsub.subscribe("late", { durable: "late", ackWaitMs: 200 });
  await bus.pubsub.publish("late", "v");
  await take(subscription, 1);
  const [again] = await checkTook(context, { minMs: 150, maxMs, what: "the ack wait" }, () =>
    take(subscription, 1),
  );
  await again?.nak({ delayMs: 200 });
  const [third] = await checkTook(context, { minMs: 150, maxMs, what: "the nak's delay" }, () =>
    take(subscription, 1),
  );
  await third?.ack();
  const claim = (): ReturnType<typeof bus.jobs.claim> =>
    bus.jobs.claim("late", { workerId: "w", leaseMs: 200, waitMs: 10_000 });
  await bus.jobs.enqueue("late", { payload: toBytes("v"), delayMs: 200 });
  await checkTook(context, { minMs: 150, maxMs, what: "the job's delay" }, claim);
  const [job] = await checkTook(context, { minMs: 150, maxMs, what: "the job's lease" }, claim);
  await job?.ack();
  await bus.kv.lease("late", "k", { ttlMs: 200 });
  const other = await context.open();
  const lease = await checkTook(context, { minMs: 150, maxMs, what: "the lease's TTL" }, () =>
    other.kv.lease("late", "k", { ttlMs: 200, waitMs: 10_000 }),
  );
  await lease.release();
}
