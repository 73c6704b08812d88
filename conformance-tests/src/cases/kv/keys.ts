import { check, checkEqual, checkOptionRefused } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { range } from "../jobs/timing.ts";
import { BUCKET, putKeys, walkKeys } from "./helpers.ts";

/** `keys`. */
export const keysCases: readonly ConformanceCase[] = [
  {
    id: "KV-KEYS-001",
    title: "keys gives every key that has a value, in code point order, on one page if they fit",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const keys = ["b", "a", "B", "a.b", "a/b", "a-b", "a=b", "a_b", "10", "9", "ab", "a.b.c"];
      await putKeys(bus, [...keys, "gone"]);
      await bus.kv.delete(BUCKET, "gone");
      const page = await bus.kv.keys(BUCKET);
      checkEqual(page.keys, keys.toSorted(), "the keys");
      checkEqual(page.next, undefined, "next");
    },
  },
  {
    id: "KV-KEYS-002",
    title: "Pages of 1, of 7 and of all give each key once, in order, and end",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const keys = range(21).map((index) => `key.${index}`);
      await putKeys(bus, keys);
      for (const limit of [1, 7, 20, 21, 22]) {
        checkEqual(await walkKeys(bus, { limit }), keys.toSorted(), `with pages of ${limit}`);
      }
    },
  },
  {
    id: "KV-KEYS-003",
    title: "The last page has no next one, also when it is full",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      await putKeys(bus, ["a", "b", "c"]);
      const exact = await bus.kv.keys(BUCKET, { limit: 3 });
      checkEqual(exact, { keys: ["a", "b", "c"], next: undefined }, "a page that just fits");
      const first = await bus.kv.keys(BUCKET, { limit: 2 });
      checkEqual(first.keys, ["a", "b"], "the first page");
      check(first.next !== undefined, "the first page has no next");
      const last = await bus.kv.keys(BUCKET, { limit: 2, after: first.next });
      checkEqual(last, { keys: ["c"], next: undefined }, "the last page");
    },
  },
  {
    id: "KV-KEYS-004",
    title: "An empty bucket, an unused one and one whose keys were deleted give an empty page",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const empty = { keys: [], next: undefined };
      checkEqual(await bus.kv.keys("unused"), empty, "of an unused bucket");
      await bus.kv.ensureBucket(BUCKET);
      checkEqual(await bus.kv.keys(BUCKET), empty, "of an empty bucket");
      await putKeys(bus, ["a", "b"]);
      await bus.kv.delete(BUCKET, "a");
      await bus.kv.delete(BUCKET, "b");
      checkEqual(await bus.kv.keys(BUCKET), empty, "of a bucket of deleted keys");
    },
  },
  {
    id: "KV-KEYS-005",
    title: "A pattern selects by words, also over several pages",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      await putKeys(bus, ["a", "a.1", "a.1.x", "a.2", "a.2.x", "ab.1", "b.1", "b.1.x", "b"]);
      const expected: Record<string, string[]> = {
        ">": ["a", "a.1", "a.1.x", "a.2", "a.2.x", "ab.1", "b", "b.1", "b.1.x"],
        "*": ["a", "b"],
        "a.*": ["a.1", "a.2"],
        "a.>": ["a.1", "a.1.x", "a.2", "a.2.x"],
        "*.1": ["a.1", "ab.1", "b.1"],
        "*.1.>": ["a.1.x", "b.1.x"],
        "*.*.x": ["a.1.x", "a.2.x", "b.1.x"],
        "a.1": ["a.1"],
        "c.>": [],
      };
      for (const [key, keys] of Object.entries(expected)) {
        checkEqual((await bus.kv.keys(BUCKET, { key })).keys, keys, `the keys of ${key}`);
        checkEqual(await walkKeys(bus, { key, limit: 1 }), keys, `one by one, the keys of ${key}`);
      }
    },
  },
  {
    id: "KV-KEYS-006",
    title: "A limit out of its range is refused, not taken for an endless walk",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      await putKeys(bus, ["a"]);
      for (const limit of [0, -1, 1.5, 10_001, Number.NaN]) {
        await checkOptionRefused(() => bus.kv.keys(BUCKET, { limit }), "limit");
      }
    },
  },
  {
    id: "KV-KEYS-007",
    title: "A walk goes on when the key it stands on is deleted",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const keys = ["a", "b", "c", "d", "e", "f"];
      await putKeys(bus, keys);
      const walked = await walkKeys(bus, { limit: 2 }, async (page) => {
        for (const key of page) await bus.kv.delete(BUCKET, key);
      });
      checkEqual(walked, keys, "the keys of the walk");
    },
  },
  {
    id: "KV-KEYS-008",
    title: "Keys present during the whole walk come exactly once while others come and go",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus, random } = context;
      const writer = await context.open();
      const stable = range(60).map((index) => `stable.${index}`);
      await putKeys(bus, stable);
      let round = 0;
      const walked = await walkKeys(bus, { limit: 5 }, async () => {
        // Before and after where the walk stands, and values that are written again.
        const index = Math.floor(random.next() * 60);
        await writer.kv.put(BUCKET, `a.${round}`, "");
        await writer.kv.put(BUCKET, `stable.${index}x`, "");
        await writer.kv.put(BUCKET, `stable.${index}`, "again");
        await writer.kv.put(BUCKET, `z.${round}`, "");
        if (round > 0) {
          await writer.kv.delete(BUCKET, `a.${round - 1}`);
          await writer.kv.delete(BUCKET, `z.${round - 1}`);
        }
        round++;
      });
      checkEqual(walked.length, new Set(walked).size, "different keys among those of the walk");
      checkEqual(
        walked.filter((key) => stable.includes(key)),
        stable.toSorted(),
        "the keys that stayed",
      );
      checkEqual(walked, walked.toSorted(), "the order");
    },
  },
  {
    id: "KV-KEYS-009",
    title: "2,000 keys are listed completely, in pages of the default size and of 333",
    contract: "kv",
    level: "L3",
    async run({ bus }) {
      const keys = range(2_000).map((index) => `job.${index % 10}.${index}`);
      await putKeys(bus, keys);
      checkEqual(await walkKeys(bus), keys.toSorted(), "with the default limit");
      checkEqual(await walkKeys(bus, { limit: 333 }), keys.toSorted(), "with pages of 333");
      const some = keys.filter((key) => key.startsWith("job.7."));
      checkEqual(await walkKeys(bus, { key: "job.7.*", limit: 150 }), some.toSorted(), "job.7.*");
    },
  },
];
