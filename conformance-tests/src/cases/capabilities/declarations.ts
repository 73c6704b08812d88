import {
  type Bus,
  type Capabilities,
  type ClaimedJob,
  type Lease,
  type Message,
  toText,
} from "@busbar/core";
import { check, checkCode, checkEqual, checkRange, take } from "../../assert.ts";
import {
  type CaseContext,
  type ConformanceCase,
  needsKeyTtl,
  needsOtherProcess,
  needsVirtualTime,
  type Requirement,
} from "../../case.ts";
import { runElsewhere } from "../../elsewhere.ts";
import { takeOne } from "../shared.ts";

const lacksKeyTtl: Requirement = {
  reason: "capabilities.keyTtl is declared: CAP-TTL-001 checks that it works",
  met: ({ capabilities }) => !capabilities.keyTtl,
};

/** What a backend declares is true, and what it does not declare is absent. */
export const declarationCases: readonly ConformanceCase[] = [
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
  const other = await context.open();
  const subscription = await bus.pubsub.subscribe("late", { durable: "late", ackWaitMs: WAIT_MS });
  const next = async (): Promise<Message> => {
    const [message] = await take(subscription, 1);
    check(message, "no message");
    return message;
  };
  const second = await checkDue(context, "the ack wait", next, async () => {
    await bus.pubsub.publish("late", "v");
    await next();
  });
  const third = await checkDue(context, "the nak's delay", next, () =>
    second.nak({ delayMs: WAIT_MS }),
  );
  await third.ack();
  const claim = async (): Promise<ClaimedJob> => {
    const options = { workerId: "w", leaseMs: WAIT_MS, waitMs: 10_000 };
    const [job] = await bus.jobs.claim("late", options);
    check(job, "no job");
    return job;
  };
  const job = await checkDue(context, "the job's delay", claim, () =>
    bus.jobs.enqueue("late", { payload: "v", delayMs: WAIT_MS }),
  );
  await job.ack({ confirm: true });
  await bus.jobs.enqueue("late", { payload: "v" });
  const again = await checkDue(context, "the job's lease", claim, claim);
  await again.ack();
  const lease = (from: Bus, waitMs: number): Promise<Lease> =>
    from.kv.lease("late", "k", { ttlMs: WAIT_MS, waitMs });
  await checkDue(
    context,
    "the lease's TTL",
    () => lease(other, 10_000),
    () => lease(bus, 0),
  );
}

const WAIT_MS = 200;

/** `set` lets something fall due after WAIT_MS, for which `wait` waits: not before, not much later. */
async function checkDue<T>(
  context: CaseContext,
  what: string,
  wait: () => Promise<T>,
  set: () => Promise<unknown>,
): Promise<T> {
  const { clock, bus, toleranceMs } = context;
  const startedAt = clock.monotonic();
  await set();
  const setAt = clock.monotonic();
  const result = await wait();
  const endedAt = clock.monotonic();
  check(endedAt - startedAt >= WAIT_MS - 5, `${what}: ${endedAt - startedAt} ms, it is ${WAIT_MS}`);
  const mostMs = WAIT_MS + bus.capabilities.timerGranularityMs + toleranceMs;
  checkRange(endedAt - setAt, 0, mostMs, `${what}: milliseconds`);
  return result;
}
