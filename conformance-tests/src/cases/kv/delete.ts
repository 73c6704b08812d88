import { check, checkCode, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { BUCKET, brief, takeInitial, takeUntilKey, textAt } from "./helpers.ts";

/** `delete`. */
export const deleteCases: readonly ConformanceCase[] = [
  {
    id: "KV-DELETE-001",
    title: "A deleted key has no value, on any bus, and can be put again",
    contract: "kv",
    level: "L0",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const first = await bus.kv.put(BUCKET, "key", "value");
      await bus.kv.put(BUCKET, "neighbour", "stays");
      await bus.kv.delete(BUCKET, "key");
      checkEqual(await bus.kv.get(BUCKET, "key"), undefined, "the value");
      checkEqual(await other.kv.get(BUCKET, "key"), undefined, "the value on another bus");
      checkEqual((await bus.kv.keys(BUCKET)).keys, ["neighbour"], "the keys");
      const second = await other.kv.put(BUCKET, "key", "again");
      check(second > first, `revision ${second} comes after ${first}`);
      checkEqual(await textAt(bus, "key"), "again", "the new value");
    },
  },
  {
    id: "KV-DELETE-002",
    title: "Deleting a key without a value leaves no trace",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const watch = await bus.kv.watch(BUCKET);
      checkEqual(await takeInitial(context, watch), [], "initial values");
      await bus.kv.delete(BUCKET, "never");
      await bus.kv.put(BUCKET, "once", "value");
      await bus.kv.delete(BUCKET, "once");
      await bus.kv.delete(BUCKET, "once");
      await bus.kv.put(BUCKET, "sentinel", "");
      const changes = await takeUntilKey(context, watch, "sentinel");
      // With a history of 1 the put may be skipped for the delete that came after it.
      const deletes = changes.map(brief).filter((text) => text.startsWith("delete"));
      checkEqual(deletes, ["delete once"], "the deletes that were watched");
      checkEqual(await bus.kv.history(BUCKET, "never"), [], "the history");
    },
  },
  {
    id: "KV-DELETE-003",
    title: "delete with the current revision removes the value",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      await bus.kv.put(BUCKET, "key", "old");
      const revision = await bus.kv.put(BUCKET, "key", "value");
      await bus.kv.put(BUCKET, "neighbour", "later");
      await bus.kv.delete(BUCKET, "key", { expectedRevision: revision });
      checkEqual(await bus.kv.get(BUCKET, "key"), undefined, "the value");
    },
  },
  {
    id: "KV-DELETE-004",
    title: "delete with another revision fails with CONFLICT and the current one; the value stays",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const old = await bus.kv.put(BUCKET, "key", "old");
      const current = await bus.kv.put(BUCKET, "key", "current");
      for (const expectedRevision of [old, current + 1, 0]) {
        const error = await checkCode(
          bus.kv.delete(BUCKET, "key", { expectedRevision }),
          "CONFLICT",
          `delete with ${expectedRevision}`,
        );
        checkEqual(error.details.revision, current, `details.revision with ${expectedRevision}`);
      }
      checkEqual(await textAt(bus, "key"), "current", "the value");
    },
  },
  {
    id: "KV-DELETE-005",
    title: "delete with a revision of a key without a value fails with CONFLICT and 0",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const revision = await bus.kv.put(BUCKET, "key", "value");
      await bus.kv.delete(BUCKET, "key");
      for (const key of ["key", "never"]) {
        const error = await checkCode(
          bus.kv.delete(BUCKET, key, { expectedRevision: revision }),
          "CONFLICT",
          `delete of ${key}`,
        );
        checkEqual(error.details.revision, 0, `details.revision of ${key}`);
      }
    },
  },
];
