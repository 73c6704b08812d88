import { errorCode } from "@busbar/core";
import { check, checkCode, checkEqual, checkOptionRefused, iteratorOf } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { checkNotBefore, lateness, range, timed } from "../jobs/timing.ts";
import { BUCKET, textAt } from "./helpers.ts";

const TTL_MS = 300;

/** Buckets: options, removal, isolation. */
export const bucketCases: readonly ConformanceCase[] = [
  {
    id: "KV-BUCKET-001",
    title: "ensureBucket with the same options does nothing, and keeps the values",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const options = { history: 5, ttlMs: 60_000 };
      await bus.kv.ensureBucket(BUCKET, options);
      await bus.kv.put(BUCKET, "key", "value");
      await bus.kv.ensureBucket(BUCKET, options);
      const other = await context.open();
      await other.kv.ensureBucket(BUCKET, options);
      checkEqual(await textAt(other, "key"), "value", "the value");
    },
  },
  {
    id: "KV-BUCKET-002",
    title: "ensureBucket with other options fails with CONFLICT, and keeps bucket and values",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await bus.kv.ensureBucket(BUCKET, { history: 5 });
      for (const value of ["1", "2", "3"]) await bus.kv.put(BUCKET, "key", value);
      const other = await context.open();
      for (const options of [{ history: 4 }, { history: 5, ttlMs: 60_000 }, {}]) {
        for (const one of [bus, other]) {
          await checkCode(
            one.kv.ensureBucket(BUCKET, options),
            "CONFLICT",
            `ensureBucket with ${JSON.stringify(options)}`,
          );
        }
      }
      checkEqual((await bus.kv.history(BUCKET, "key")).length, 3, "the length of the history");
    },
  },
  {
    id: "KV-BUCKET-003",
    title: "A bucket made by its first use has the default options",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      await bus.kv.put(BUCKET, "key", "value");
      await bus.kv.ensureBucket(BUCKET);
      await bus.kv.ensureBucket(BUCKET, { history: 1 });
      await checkCode(bus.kv.ensureBucket(BUCKET, { history: 2 }), "CONFLICT", "history 2");
      checkEqual(await textAt(bus, "key"), "value", "the value");
    },
  },
  {
    id: "KV-BUCKET-004",
    title: "deleteBucket removes the keys and says whether there was a bucket",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      checkEqual(await bus.kv.deleteBucket("unused"), false, "an unused bucket");
      await bus.kv.ensureBucket(BUCKET, { history: 5 });
      await bus.kv.put(BUCKET, "key", "value");
      await bus.kv.put("neighbour", "key", "stays");
      checkEqual(await bus.kv.deleteBucket(BUCKET), true, "an existing bucket");
      checkEqual(await bus.kv.deleteBucket(BUCKET), false, "the same bucket again");
      checkEqual(await bus.kv.get(BUCKET, "key"), undefined, "the value");
      checkEqual((await bus.kv.keys(BUCKET)).keys, [], "the keys");
      checkEqual(await bus.kv.history(BUCKET, "key"), [], "the history");
      checkEqual(await textAt(bus, "key", "neighbour"), "stays", "the neighbour's value");
    },
  },
  {
    id: "KV-BUCKET-005",
    title: "A bucket that another bus removed is made again on use, with other options too",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      await bus.kv.put(BUCKET, "key", "old");
      await other.kv.put(BUCKET, "key", "old");
      checkEqual(await bus.kv.deleteBucket(BUCKET), true, "the bucket was there");
      checkEqual(await other.kv.get(BUCKET, "key"), undefined, "the value on the other bus");
      await other.kv.put(BUCKET, "key", "new");
      checkEqual(await textAt(bus, "key"), "new", "the value");
      checkEqual(await other.kv.deleteBucket(BUCKET), true, "the bucket was there again");
      await bus.kv.ensureBucket(BUCKET, { history: 3 });
      for (const value of ["1", "2", "3"]) await other.kv.put(BUCKET, "key", value);
      checkEqual((await bus.kv.history(BUCKET, "key")).length, 3, "the length of the history");
    },
  },
  {
    id: "KV-BUCKET-006",
    title: "Buckets with similar names are different buckets",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const buckets = ["b", "B", "b.1", "b_1", "b-1", "b1", "b__1", "b--1", "b.1.1", "1"];
      for (const bucket of buckets) await bus.kv.put(bucket, "key", bucket);
      for (const bucket of buckets) {
        checkEqual(await textAt(bus, "key", bucket), bucket, `the value in ${bucket}`);
        checkEqual((await bus.kv.keys(bucket)).keys, ["key"], `the keys of ${bucket}`);
      }
      checkEqual(await bus.kv.deleteBucket("b.1"), true, "deleteBucket");
      for (const bucket of buckets.filter((name) => name !== "b.1")) {
        checkEqual(await textAt(bus, "key", bucket), bucket, `${bucket} after a removal`);
      }
    },
  },
  {
    id: "KV-BUCKET-007",
    title: "A bucket's ttlMs ends its values, for get and keys, and not before",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      await bus.kv.ensureBucket(BUCKET, { ttlMs: TTL_MS });
      const { span } = await timed(clock, () => bus.kv.put(BUCKET, "key", "value"));
      checkEqual(await textAt(bus, "key"), "value", "right after the put");
      await context.until(
        "the value is gone",
        async () => (await bus.kv.get(BUCKET, "key")) === undefined,
        TTL_MS + lateness(context),
      );
      checkNotBefore(context, span, TTL_MS, "the end of the value");
      await context.until(
        "the key is gone",
        async () => (await bus.kv.keys(BUCKET)).keys.length === 0,
        lateness(context),
      );
      await bus.kv.create(BUCKET, "key", "again");
      checkEqual(await textAt(bus, "key"), "again", "the value that was created after the end");
    },
  },
  {
    id: "KV-BUCKET-008",
    title: "With a ttlMs each write lives from its own time",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const ttlMs = 600;
      await bus.kv.ensureBucket(BUCKET, { ttlMs });
      await bus.kv.put(BUCKET, "key", "first");
      await bus.kv.put(BUCKET, "other", "first");
      await clock.sleep(400);
      const { span } = await timed(clock, () => bus.kv.put(BUCKET, "key", "second"));
      await context.until(
        "the key that was not written again is gone",
        async () => (await bus.kv.get(BUCKET, "other")) === undefined,
        ttlMs + lateness(context),
      );
      const value = await textAt(bus, "key");
      // A slow machine may look too late to say anything about the second value.
      if (clock.monotonic() < span.from + ttlMs) checkEqual(value, "second", "the value");
      await context.until(
        "the key that was written again is gone",
        async () => (await bus.kv.get(BUCKET, "key")) === undefined,
        ttlMs + lateness(context),
      );
      checkNotBefore(context, span, ttlMs, "the end of the second value");
    },
  },
  {
    id: "KV-BUCKET-009",
    title: "Writes beyond maxBytes fail with LIMIT_EXCEEDED; what was acknowledged stays",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const value = new Uint8Array(10_000).fill(7);
      await bus.kv.ensureBucket(BUCKET, { maxBytes: 100_000 });
      const kept: string[] = [];
      let failure: unknown;
      for (const index of range(30)) {
        try {
          await bus.kv.put(BUCKET, `key${index}`, value);
          kept.push(`key${index}`);
        } catch (error) {
          failure = error;
          break;
        }
      }
      checkEqual(errorCode(failure), "LIMIT_EXCEEDED", "the code of the write that did not fit");
      check(kept.length >= 1 && kept.length <= 10, `${kept.length} values of 10,000 bytes fit`);
      checkEqual((await bus.kv.keys(BUCKET)).keys, kept.toSorted(), "the keys");
      for (const key of kept) {
        checkEqual((await bus.kv.get(BUCKET, key))?.value.length, value.length, key);
      }
    },
  },
  {
    id: "KV-BUCKET-010",
    title: "Options out of their range are refused",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const refused = [
        ["history", { history: 0 }],
        ["history", { history: 65 }],
        ["history", { history: 1.5 }],
        ["ttlMs", { ttlMs: 99 }],
        ["ttlMs", { ttlMs: Number.NaN }],
        ["maxBytes", { maxBytes: 0 }],
      ] as const;
      for (const [field, options] of refused) {
        await checkOptionRefused(() => bus.kv.ensureBucket(BUCKET, options), field);
      }
      checkEqual(await bus.kv.deleteBucket(BUCKET), false, "a bucket was made");
    },
  },
  {
    id: "KV-BUCKET-011",
    title: "A bucket may be used for the first time by many at once",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open(), await context.open()];
      await Promise.all(
        range(30).map((index) => (buses[index % 3] as typeof bus).kv.put(BUCKET, `k${index}`, "")),
      );
      checkEqual((await bus.kv.keys(BUCKET)).keys.length, 30, "the number of keys");
      await Promise.all(
        range(9).map((index) =>
          (buses[index % 3] as typeof bus).kv.ensureBucket("other", { history: 2 }),
        ),
      );
    },
  },
  {
    id: "KV-BUCKET-012",
    title: "A bucket that another bus makes anew without a TTL keeps its values for every bus",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      await bus.kv.ensureBucket(BUCKET, { ttlMs: 200, history: 2 });
      // Both know the bucket as it was.
      for (const one of [bus, other]) await one.kv.put(BUCKET, "key", "old");
      await other.kv.deleteBucket(BUCKET);
      await other.kv.ensureBucket(BUCKET);
      for (const key of ["key", "removed"]) await other.kv.put(BUCKET, key, "new");
      await other.kv.delete(BUCKET, "removed");
      await clock.sleep(200 + lateness(context));
      for (const one of [bus, other]) {
        const removed = await one.kv.history(BUCKET, "removed");
        checkEqual(removed.at(-1)?.type, "delete", "the last of a removed key");
        checkEqual(await textAt(one, "key"), "new", "the value");
        checkEqual((await one.kv.keys(BUCKET)).keys, ["key"], "the keys");
        checkEqual((await one.kv.history(BUCKET, "key")).length, 1, "its past");
        const watch = await one.kv.watch(BUCKET);
        const { value } = await iteratorOf(watch).next();
        checkEqual(value?.type, "put", "what a watch has first");
        await watch.close();
      }
    },
  },
];
