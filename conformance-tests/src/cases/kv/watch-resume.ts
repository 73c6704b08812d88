import { checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { range } from "../jobs/timing.ts";
import {
  BUCKET,
  brief,
  checkEnded,
  nextEvent,
  putKeys,
  takeBriefs,
  takeInitial,
  takeUntilKey,
} from "./helpers.ts";

/** `watch` with `afterRevision`, and how watches end. */
export const watchResumeCases: readonly ConformanceCase[] = [
  {
    id: "KV-RESUME-001",
    title: "A watch after a revision gives every kept change since, deletes too, then the marker",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await bus.kv.ensureBucket(BUCKET, { history: 5 });
      await bus.kv.put(BUCKET, "a", "1");
      const revision = await bus.kv.put(BUCKET, "b", "1");
      await bus.kv.put(BUCKET, "a", "2");
      await bus.kv.delete(BUCKET, "b");
      await bus.kv.put(BUCKET, "c", "1");
      await bus.kv.put(BUCKET, "a", "3");
      await bus.kv.delete(BUCKET, "c");
      const watch = await bus.kv.watch(BUCKET, { afterRevision: revision });
      const missed = await takeInitial(context, watch);
      checkEqual(
        missed.map(brief),
        ["put a=2", "delete b", "put c=1", "put a=3", "delete c"],
        "what was missed",
      );
      await bus.kv.put(BUCKET, "d", "1");
      checkEqual(await takeBriefs(context, watch, 1), ["put d=1"], "what comes");
    },
  },
  {
    id: "KV-RESUME-002",
    title: "With a history of 1 the last change of every key since comes, deletes too",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await putKeys(bus, ["a", "b", "c"]);
      const { revision } = (await bus.kv.get(BUCKET, "a")) ?? { revision: 0 };
      const last = await bus.kv.put(BUCKET, "old", "1");
      await bus.kv.delete(BUCKET, "b");
      await bus.kv.put(BUCKET, "new", "1");
      await bus.kv.put(BUCKET, "c", "2");
      const watch = await bus.kv.watch(BUCKET, { afterRevision: last });
      const missed = await takeInitial(context, watch);
      checkEqual(missed.map(brief), ["delete b", "put new=1", "put c=2"], "what was missed");
      const again = await bus.kv.watch(BUCKET, { afterRevision: revision - 1, key: "a" });
      checkEqual((await takeInitial(context, again)).map(brief), ["put a=a"], "of one key");
    },
  },
  {
    id: "KV-RESUME-003",
    title: "After the last revision the marker comes first, and nothing is given twice",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await putKeys(bus, ["a", "b"]);
      const last = await bus.kv.put(BUCKET, "c", "1");
      const watch = await bus.kv.watch(BUCKET, { afterRevision: last });
      checkEqual(await takeInitial(context, watch), [], "what was missed");
      await bus.kv.put(BUCKET, "d", "1");
      checkEqual(await takeBriefs(context, watch, 1), ["put d=1"], "what comes");
    },
  },
  {
    id: "KV-RESUME-004",
    title: "After revision 0 everything kept is given, deletes too",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await bus.kv.ensureBucket(BUCKET, { history: 5 });
      await bus.kv.put(BUCKET, "a", "1");
      await bus.kv.put(BUCKET, "a", "2");
      await bus.kv.delete(BUCKET, "a");
      const watch = await bus.kv.watch(BUCKET, { afterRevision: 0 });
      const kept = await takeInitial(context, watch);
      checkEqual(kept.map(brief), ["put a=1", "put a=2", "delete a"], "what is kept");
    },
  },
  {
    id: "KV-RESUME-005",
    title: "A reader that stops and resumes many times sees every change once",
    contract: "kv",
    level: "L3",
    async run(context) {
      const { bus, random } = context;
      const writer = await context.open();
      await bus.kv.ensureBucket(BUCKET, { history: 64 });
      const expected: string[] = [];
      const write = async (index: number): Promise<void> => {
        const key = `key${index % 7}`;
        if (index % 5 === 4) {
          await writer.kv.put(BUCKET, key, "soon gone");
          await writer.kv.delete(BUCKET, key);
          expected.push(`put ${key}=soon gone`, `delete ${key}`);
        } else {
          await writer.kv.put(BUCKET, key, `${index}`);
          expected.push(`put ${key}=${index}`);
        }
      };
      const writing = (async () => {
        for (const index of range(200)) await write(index);
      })();
      const seen: string[] = [];
      let afterRevision = 0;
      const readSome = async (count: number): Promise<void> => {
        const watch = await bus.kv.watch(BUCKET, { afterRevision });
        // The marker and up to `count` changes; where fewer are there, up to the marker.
        for (let changes = 0; changes < count; ) {
          const event = await nextEvent(context, watch);
          if (event.type === "initialDone") break;
          seen.push(brief(event));
          afterRevision = event.revision;
          changes++;
        }
        await watch.close();
      };
      for (const _round of range(15)) await readSome(1 + Math.floor(random.next() * 12));
      await writing;
      await readSome(10_000);
      checkEqual(seen, expected, "the changes");
    },
  },
  {
    id: "KV-END-001",
    title: "close ends a watch and whoever waits for its next event; closing again does nothing",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const watch = await bus.kv.watch(BUCKET);
      await takeInitial(context, watch);
      const waiting = checkEnded(context, watch, "seen by who waited");
      await watch.close();
      await waiting;
      await watch.close();
      await watch[Symbol.asyncDispose]();
      await bus.kv.put(BUCKET, "key", "late");
      await checkEnded(context, watch, "after a write");
    },
  },
  {
    id: "KV-END-002",
    title: "Leaving the loop ends a watch, and no other one",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const left = await bus.kv.watch(BUCKET);
      const stays = await bus.kv.watch(BUCKET);
      await takeInitial(context, stays);
      for await (const event of left) {
        if (event.type === "initialDone") break;
      }
      await bus.kv.put(BUCKET, "key", "late");
      await checkEnded(context, left, "after the loop");
      checkEqual(await takeBriefs(context, stays, 1), ["put key=late"], "the other watch");
    },
  },
  {
    id: "KV-END-003",
    title: "A signal ends a watch",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const control = new AbortController();
      const watch = await bus.kv.watch(BUCKET, { signal: control.signal });
      await takeInitial(context, watch);
      const waiting = checkEnded(context, watch, "seen by who waited");
      control.abort();
      await waiting;
    },
  },
  {
    id: "KV-END-004",
    title: "Closing the bus ends its watches, and not those of others",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const ends = await other.kv.watch(BUCKET);
      const stays = await bus.kv.watch(BUCKET);
      await takeInitial(context, ends);
      await takeInitial(context, stays);
      const waiting = checkEnded(context, ends, "seen by who waited");
      await other.close({ drainMs: 0 });
      await waiting;
      await putKeys(bus, ["key", "end"]);
      const changes = await takeUntilKey(context, stays, "end");
      checkEqual(changes.length <= 1, true, "the other watch goes on");
    },
  },
];
