import { toText } from "@busbar/core";
import { check, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { inWaves, range } from "../jobs/timing.ts";
import {
  BUCKET,
  brief,
  type Change,
  checkAscending,
  nextEvent,
  putKeys,
  takeBriefs,
  takeInitial,
  takeUntilKey,
} from "./helpers.ts";

/** `watch`: initial values, the marker, updates. */
export const watchCases: readonly ConformanceCase[] = [
  {
    id: "KV-WATCH-001",
    title: "A watch gives the values that are there, the marker, then what changes",
    contract: "kv",
    level: "L0",
    async run(context) {
      const { bus } = context;
      await putKeys(bus, ["a", "b"]);
      const watch = await bus.kv.watch(BUCKET);
      checkEqual(
        await takeBriefs(context, watch, 3),
        ["put a=a", "put b=b", "initialDone"],
        "what was there",
      );
      await bus.kv.put(BUCKET, "c", "1");
      checkEqual(await takeBriefs(context, watch, 1), ["put c=1"], "the update");
      await bus.kv.delete(BUCKET, "a");
      checkEqual(await takeBriefs(context, watch, 1), ["delete a"], "the delete");
      await bus.kv.put(BUCKET, "a", "2");
      checkEqual(await takeBriefs(context, watch, 1), ["put a=2"], "the value after the delete");
    },
  },
  {
    id: "KV-WATCH-002",
    title: "The marker comes at once for an empty bucket, an unused one and an unmatched pattern",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const unused = await bus.kv.watch("unused");
      checkEqual(await takeInitial(context, unused), [], "values of an unused bucket");
      await bus.kv.ensureBucket(BUCKET);
      const empty = await bus.kv.watch(BUCKET);
      checkEqual(await takeInitial(context, empty), [], "values of an empty bucket");
      await putKeys(bus, ["a.1", "b.1"]);
      const unmatched = await bus.kv.watch(BUCKET, { key: "c.*" });
      checkEqual(await takeInitial(context, unmatched), [], "values of an unmatched pattern");
      checkEqual(await takeBriefs(context, empty, 2), ["put a.1=a.1", "put b.1=b.1"], "updates");
      await bus.kv.put("unused", "first", "1");
      checkEqual(await takeBriefs(context, unused, 1), ["put first=1"], "the first update");
    },
  },
  {
    id: "KV-WATCH-003",
    title: "Deleted keys are not among the initial values, and the marker comes after the last one",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await putKeys(bus, ["a", "b", "c"]);
      // The newest record of the bucket is a delete: an end that a backend may wait for in vain.
      await bus.kv.delete(BUCKET, "b");
      await bus.kv.delete(BUCKET, "c");
      const watch = await bus.kv.watch(BUCKET);
      checkEqual((await takeInitial(context, watch)).map(brief), ["put a=a"], "initial values");
      await bus.kv.delete(BUCKET, "a");
      const all = await bus.kv.watch(BUCKET);
      checkEqual(await takeInitial(context, all), [], "initial values of deleted keys only");
    },
  },
  {
    id: "KV-WATCH-004",
    title: "Initial values are the last ones, also of a bucket with history, by revision",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await bus.kv.ensureBucket(BUCKET, { history: 5 });
      await bus.kv.put(BUCKET, "a", "1");
      await bus.kv.put(BUCKET, "b", "1");
      await bus.kv.put(BUCKET, "c", "1");
      await bus.kv.put(BUCKET, "a", "2");
      await bus.kv.put(BUCKET, "b", "2");
      const watch = await bus.kv.watch(BUCKET);
      const initial = await takeInitial(context, watch);
      checkEqual(initial.map(brief), ["put c=1", "put a=2", "put b=2"], "initial values");
      for (const event of initial) {
        const entry = await bus.kv.get(BUCKET, event.key);
        checkEqual(event.revision, entry?.revision, `the revision of ${event.key}`);
        checkEqual(event.createdAtMs, entry?.createdAtMs, `the time of ${event.key}`);
      }
    },
  },
  {
    id: "KV-WATCH-005",
    title: "A watch of a pattern gives its keys only",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await putKeys(bus, ["a", "a.1", "b.1"]);
      const words = await bus.kv.watch(BUCKET, { key: "a.*" });
      const rest = await bus.kv.watch(BUCKET, { key: "a.>" });
      const exact = await bus.kv.watch(BUCKET, { key: "a" });
      checkEqual((await takeInitial(context, words)).map(brief), ["put a.1=a.1"], "of a.*");
      checkEqual((await takeInitial(context, rest)).map(brief), ["put a.1=a.1"], "of a.>");
      checkEqual((await takeInitial(context, exact)).map(brief), ["put a=a"], "of a");
      await putKeys(bus, ["a.2", "a.2.x", "b.2", "ab.1"]);
      await bus.kv.delete(BUCKET, "b.1");
      await bus.kv.delete(BUCKET, "a.1");
      await bus.kv.put(BUCKET, "a", "end");
      await bus.kv.put(BUCKET, "a.end", "");
      const keysOf = (changes: readonly Change[]): string[] =>
        changes.map(({ type, key }) => `${type} ${key}`).toSorted();
      checkEqual(
        keysOf(await takeUntilKey(context, words, "a.end")),
        ["delete a.1", "put a.2"],
        "updates of a.*",
      );
      checkEqual(
        keysOf(await takeUntilKey(context, rest, "a.end")),
        ["delete a.1", "put a.2", "put a.2.x"],
        "updates of a.>",
      );
      checkEqual(await takeBriefs(context, exact, 1), ["put a=end"], "updates of a");
    },
  },
  {
    id: "KV-WATCH-006",
    title: "Two watches on two buses both get everything, from whoever writes",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const watches = [await bus.kv.watch(BUCKET), await other.kv.watch(BUCKET)];
      for (const watch of watches) await takeInitial(context, watch);
      for (const index of range(20)) {
        await (index % 2 === 0 ? bus : other).kv.put(BUCKET, `key${index}`, `${index}`);
      }
      await bus.kv.put(BUCKET, "end", "");
      for (const [index, watch] of watches.entries()) {
        const changes = await takeUntilKey(context, watch, "end");
        checkEqual(
          changes.map(brief),
          range(20).map((number) => `put key${number}=${number}`),
          `what watch ${index} got`,
        );
      }
    },
  },
  {
    id: "KV-WATCH-007",
    title: "Events carry the key's revision, time and bytes, which belong to the receiver",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const bytes = Uint8Array.of(0, 1, 255);
      const watch = await bus.kv.watch(BUCKET);
      const second = await bus.kv.watch(BUCKET);
      await takeInitial(context, watch);
      await takeInitial(context, second);
      const revision = await bus.kv.put(BUCKET, "key", bytes);
      const event = await nextEvent(context, watch);
      check(event.type === "put", `the event is ${event.type}`);
      checkEqual(event.value, bytes, "the value");
      checkEqual(event.revision, revision, "the revision");
      const entry = await bus.kv.get(BUCKET, "key");
      checkEqual(event.createdAtMs, entry?.createdAtMs, "the time");
      event.value.fill(9);
      const same = await nextEvent(context, second);
      checkEqual(same.type === "put" && same.value, bytes, "the value of the other watch");
      checkEqual((await bus.kv.get(BUCKET, "key"))?.value, bytes, "the stored value");
      await bus.kv.delete(BUCKET, "key");
      const deleted = await nextEvent(context, watch);
      check(deleted.type === "delete", `the event is ${deleted.type}`);
      check(deleted.revision > revision, `delete has revision ${deleted.revision}`);
    },
  },
  {
    id: "KV-WATCH-008",
    title: "Values that come in while the initial ones are given come once, and by revision",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const writer = await context.open();
      await putKeys(
        bus,
        range(300).map((index) => `old.${index}`),
      );
      const writing = inWaves(100, 5, (index) => writer.kv.put(BUCKET, `new.${index}`, ""));
      const watch = await bus.kv.watch(BUCKET);
      const [initial] = await Promise.all([takeInitial(context, watch), writing]);
      await writer.kv.put(BUCKET, "end", "");
      const changes = [...initial, ...(await takeUntilKey(context, watch, "end"))];
      checkEqual(changes.length, 400, "events");
      checkEqual(new Set(changes.map(({ key }) => key)).size, 400, "different keys");
      checkAscending(
        changes.map(({ revision }) => revision),
        "revisions",
      );
    },
  },
  {
    id: "KV-WATCH-009",
    title: "500 updates of a bucket with history 64 all arrive, in order, with deletes",
    contract: "kv",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const writer = await context.open();
      await bus.kv.ensureBucket(BUCKET, { history: 64 });
      const watch = await bus.kv.watch(BUCKET);
      await takeInitial(context, watch);
      const expected: string[] = [];
      for (const index of range(500)) {
        const key = `key${index % 10}`;
        if (index % 25 === 24) {
          await writer.kv.delete(BUCKET, key);
          expected.push(`delete ${key}`);
        } else {
          await writer.kv.put(BUCKET, key, `${index}`);
          expected.push(`put ${key}=${index}`);
        }
      }
      await writer.kv.put(BUCKET, "end", "");
      const changes = await takeUntilKey(context, watch, "end");
      checkEqual(changes.map(brief), expected, "the events");
      checkAscending(
        changes.map(({ revision }) => revision),
        "revisions",
      );
    },
  },
  {
    id: "KV-WATCH-010",
    title: "With a history of 1 a fast key may skip values, but its last one arrives, in order",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const watch = await bus.kv.watch(BUCKET);
      await takeInitial(context, watch);
      await inWaves(200, 50, (index) => bus.kv.put(BUCKET, "fast", `${index}`));
      const last = await bus.kv.get(BUCKET, "fast");
      await bus.kv.put(BUCKET, "end", "");
      const changes = await takeUntilKey(context, watch, "end");
      checkAscending(
        changes.map(({ revision }) => revision),
        "revisions",
      );
      const final = changes.at(-1);
      checkEqual(final?.revision, last?.revision, "the last revision");
      checkEqual(
        final?.type === "put" && toText(final.value),
        last && toText(last.value),
        "the last value",
      );
    },
  },
];
