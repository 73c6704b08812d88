import type { Bus } from "@busbar/core";
import { checkCode, checkEqual } from "../../assert.ts";
import {
  type CaseContext,
  type ConformanceCase,
  needsKeyTtl,
  type Requirement,
} from "../../case.ts";
import { checkNotBefore, lateness, timed } from "../jobs/timing.ts";
import { BUCKET, textAt } from "./helpers.ts";

const TTL_MS = 300;

const lacksKeyTtl: Requirement = {
  reason: "is about backends without capabilities.keyTtl",
  met: ({ capabilities }) => !capabilities.keyTtl,
};

/** `ttlMs` of a single value. */
export const keyTtlCases: readonly ConformanceCase[] = [
  {
    id: "KV-TTL-001",
    title: "A value with a ttlMs ends after it, not before; its neighbours stay",
    contract: "kv",
    level: "L2",
    requires: [needsKeyTtl],
    async run(context) {
      const { bus, clock } = context;
      await bus.kv.put(BUCKET, "stays", "value");
      const { span } = await timed(clock, () =>
        bus.kv.put(BUCKET, "key", "value", { ttlMs: TTL_MS }),
      );
      checkEqual(await textAt(bus, "key"), "value", "right after the put");
      await untilGone(context, "key");
      checkNotBefore(context, span, TTL_MS, "the end of the value");
      checkEqual((await bus.kv.keys(BUCKET)).keys, ["stays"], "the keys");
    },
  },
  {
    id: "KV-TTL-002",
    title:
      "Without capabilities.keyTtl a ttlMs is refused with UNSUPPORTED, and nothing is written",
    contract: "kv",
    level: "L2",
    requires: [lacksKeyTtl],
    async run({ bus }) {
      const options = { ttlMs: TTL_MS };
      await checkCode(bus.kv.put(BUCKET, "key", "value", options), "UNSUPPORTED", "put");
      await checkCode(bus.kv.create(BUCKET, "key", "value", options), "UNSUPPORTED", "create");
      checkEqual(await bus.kv.get(BUCKET, "key"), undefined, "the value");
      checkEqual(bus.capabilities.keyTtlGranularityMs, 0, "keyTtlGranularityMs");
    },
  },
  {
    id: "KV-TTL-003",
    title: "A later put without ttlMs lives for ever",
    contract: "kv",
    level: "L2",
    requires: [needsKeyTtl],
    async run(context) {
      const { bus, clock } = context;
      await bus.kv.put(BUCKET, "key", "short", { ttlMs: TTL_MS });
      await bus.kv.put(BUCKET, "key", "long");
      await bus.kv.put(BUCKET, "other", "short", { ttlMs: TTL_MS });
      await untilGone(context, "other");
      await clock.sleep(lateness(context));
      checkEqual(await textAt(bus, "key"), "long", "the value");
    },
  },
  {
    id: "KV-TTL-004",
    title: "create takes a ttlMs, and works again when the value has ended",
    contract: "kv",
    level: "L2",
    requires: [needsKeyTtl],
    async run(context) {
      const { bus } = context;
      await bus.kv.create(BUCKET, "key", "first", { ttlMs: TTL_MS });
      await checkCode(bus.kv.create(BUCKET, "key", "second"), "CONFLICT", "create while it lives");
      await untilGone(context, "key");
      await bus.kv.create(BUCKET, "key", "third");
      checkEqual(await textAt(bus, "key"), "third", "the value");
    },
  },
  {
    id: "KV-TTL-005",
    title: "A ttlMs ends a value in a bucket with a history too, put or created",
    contract: "kv",
    level: "L2",
    requires: [needsKeyTtl],
    async run(context) {
      const { bus } = context;
      await bus.kv.ensureBucket(BUCKET, { history: 3 });
      await bus.kv.put(BUCKET, "put", "value", { ttlMs: TTL_MS });
      await bus.kv.create(BUCKET, "created", "value", { ttlMs: TTL_MS });
      await bus.kv.put(BUCKET, "again", "what must not come to light again");
      await bus.kv.put(BUCKET, "again", "value", { ttlMs: TTL_MS });
      for (const key of ["put", "created", "again"]) await untilGone(context, key);
      checkEqual(await bus.kv.get(BUCKET, "again"), undefined, "the value before");
      checkEqual((await bus.kv.keys(BUCKET)).keys, [], "the keys");
    },
  },
];

function untilGone(context: CaseContext, key: string): Promise<void> {
  const { bus } = context;
  const lifeMs = roundedUp(bus, TTL_MS);
  return context.until(
    `${key} is gone`,
    async () => (await bus.kv.get(BUCKET, key)) === undefined,
    lifeMs + lateness(context),
  );
}

function roundedUp(bus: Bus, ttlMs: number): number {
  const stepMs = bus.capabilities.keyTtlGranularityMs;
  return Math.ceil(ttlMs / stepMs) * stepMs;
}
