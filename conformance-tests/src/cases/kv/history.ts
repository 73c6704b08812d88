import { check, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { range } from "../jobs/timing.ts";
import { BUCKET, brief, checkAscending } from "./helpers.ts";

/** `history`. */
export const historyCases: readonly ConformanceCase[] = [
  {
    id: "KV-HIST-001",
    title: "A key's history has its values and deletes, oldest first, and no other key's",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await bus.kv.ensureBucket(BUCKET, { history: 5 });
      const revisions = [await bus.kv.put(BUCKET, "key", "1")];
      await bus.kv.put(BUCKET, "other", "x");
      revisions.push(await bus.kv.put(BUCKET, "key", "2"));
      await bus.kv.delete(BUCKET, "key");
      await bus.kv.put(BUCKET, "key.sub", "x");
      revisions.push(await bus.kv.put(BUCKET, "key", "3"));
      const other = await context.open();
      for (const reader of [bus, other]) {
        const past = await reader.kv.history(BUCKET, "key");
        checkEqual(
          past.map(brief),
          ["put key=1", "put key=2", "delete key", "put key=3"],
          "the history",
        );
        checkAscending(
          past.map(({ revision }) => revision),
          "revisions of the history",
        );
        const puts = past.filter(({ type }) => type === "put");
        checkEqual(
          puts.map(({ revision }) => revision),
          revisions,
          "revisions of the puts",
        );
        check(
          past.every(
            ({ createdAtMs }, index) => createdAtMs >= (past[index - 1]?.createdAtMs ?? 0),
          ),
          "times go backwards",
        );
      }
    },
  },
  {
    id: "KV-HIST-002",
    title: "A history keeps as many values as the bucket says, the newest ones, for each key",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      await bus.kv.ensureBucket(BUCKET, { history: 5 });
      for (const round of range(8)) {
        await bus.kv.put(BUCKET, "a", `${round}`);
        if (round < 2) await bus.kv.put(BUCKET, "b", `${round}`);
      }
      const a = await bus.kv.history(BUCKET, "a");
      checkEqual(
        a.map(brief),
        range(5).map((index) => `put a=${index + 3}`),
        "the long history",
      );
      const b = await bus.kv.history(BUCKET, "b");
      checkEqual(b.map(brief), ["put b=0", "put b=1"], "the short history");
    },
  },
  {
    id: "KV-HIST-003",
    title: "Without an option a bucket keeps one value per key",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      for (const value of ["1", "2", "3"]) await bus.kv.put(BUCKET, "key", value);
      const past = await bus.kv.history(BUCKET, "key");
      checkEqual(past.map(brief), ["put key=3"], "the history");
    },
  },
  {
    id: "KV-HIST-004",
    title: "A key that was never written has no history, nor has one of an unused bucket",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      checkEqual(await bus.kv.history("unused", "key"), [], "in an unused bucket");
      await bus.kv.put(BUCKET, "key.sub", "value");
      checkEqual(await bus.kv.history(BUCKET, "key"), [], "beside another key");
    },
  },
];
