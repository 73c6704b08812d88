import { checkEqual } from "../../assert.ts";
import { type ConformanceCase, needsPersistence, needsServerFaults } from "../../case.ts";
import { inWaves, range } from "../jobs/timing.ts";
import {
  BUCKET,
  brief,
  checkAscending,
  takeBriefs,
  takeInitial,
  takeUntilKey,
  textAt,
  untilBack,
  walkKeys,
} from "./helpers.ts";

/** What a kill of the server must not touch. */
export const faultCases: readonly ConformanceCase[] = [
  {
    id: "KV-FAULT-001",
    title: "Acknowledged writes survive a kill of the server, and revisions go on growing",
    contract: "kv",
    level: "L4",
    requires: [needsServerFaults, needsPersistence],
    async run(context) {
      const { bus, faults } = context;
      await inWaves(200, 50, (index) => bus.kv.put(BUCKET, `key${index}`, `${index}`));
      await bus.kv.delete(BUCKET, "key7");
      const last = await bus.kv.put(BUCKET, "last", "value");
      await faults.kill();
      await faults.start();
      await untilBack(context, bus);
      const keys = range(200).map((index) => `key${index}`);
      const expected = [...keys.filter((key) => key !== "key7"), "last"].toSorted();
      checkEqual(await walkKeys(bus), expected, "the keys");
      checkEqual(await textAt(bus, "key199"), "199", "a value");
      const next = await bus.kv.cas(BUCKET, "last", "next", last);
      checkAscending([last, next], "revisions");
    },
  },
  {
    id: "KV-FAULT-002",
    title: "A watch goes on after a restart of the server, with no gap, in order, nothing twice",
    contract: "kv",
    level: "L4",
    requires: [needsServerFaults, needsPersistence],
    async run(context) {
      const { bus, faults } = context;
      const writer = await context.open();
      await bus.kv.ensureBucket(BUCKET, { history: 5 });
      await bus.kv.put(BUCKET, "before", "1");
      const watch = await bus.kv.watch(BUCKET);
      checkEqual((await takeInitial(context, watch)).map(brief), ["put before=1"], "initial");
      await bus.kv.put(BUCKET, "watched", "1");
      checkEqual(await takeBriefs(context, watch, 1), ["put watched=1"], "before the kill");
      await faults.kill();
      await faults.start();
      // The writer may be back before the watch is.
      await untilBack(context, writer);
      const expected: string[] = [];
      for (const index of range(40)) {
        await writer.kv.put(BUCKET, `key${index % 20}`, `${index}`);
        expected.push(`put key${index % 20}=${index}`);
      }
      await writer.kv.delete(BUCKET, "before");
      expected.push("delete before");
      await writer.kv.put(BUCKET, "end", "");
      const changes = await takeUntilKey(context, watch, "end");
      checkEqual(changes.map(brief), expected, "what was watched");
      checkAscending(
        changes.map(({ revision }) => revision),
        "revisions",
      );
    },
  },
];
