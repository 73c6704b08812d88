import { toBytes, toText } from "@busbar/core";
import { check, checkCode, checkEqual, checkRange } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { inWaves, range } from "../jobs/timing.ts";
import { BUCKET, checkAscending, textAt } from "./helpers.ts";

const KIB_64 = 65_536;
// Server and case may have clocks of their own; what is ruled out is another unit or epoch.
const CLOCK_SKEW_MS = 60_000;

/** Reading and writing values. */
export const getPutCases: readonly ConformanceCase[] = [
  {
    id: "KV-GET-001",
    title: "A value that was put is read back with its revision",
    contract: "kv",
    level: "L0",
    async run({ bus }) {
      const revision = await bus.kv.put(BUCKET, "color", "red");
      const entry = await bus.kv.get(BUCKET, "color");
      check(entry, "the value is not there");
      checkEqual(entry.key, "color", "key");
      checkEqual(toText(entry.value), "red", "value");
      checkEqual(entry.revision, revision, "revision");
      check(revision > 0, `the revision is ${revision}`);
    },
  },
  {
    id: "KV-GET-002",
    title: "A key that was never written has no value, nor has one of a bucket nobody used",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      checkEqual(await bus.kv.get("unused", "color"), undefined, "in an unused bucket");
      await bus.kv.put(BUCKET, "color", "red");
      checkEqual(await bus.kv.get(BUCKET, "colo"), undefined, "a prefix of a key");
      checkEqual(await bus.kv.get(BUCKET, "color.red"), undefined, "a longer key");
    },
  },
  {
    id: "KV-GET-003",
    title: "What one bus has put, another one gets at once",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      for (const round of range(50)) {
        const [writer, reader] = round % 2 === 0 ? [bus, other] : [other, bus];
        const revision = await writer.kv.put(BUCKET, "round", `${round}`);
        const entry = await reader.kv.get(BUCKET, "round");
        checkEqual(entry && toText(entry.value), `${round}`, `the value of round ${round}`);
        checkEqual(entry?.revision, revision, `the revision of round ${round}`);
      }
    },
  },
  {
    id: "KV-GET-004",
    title: "An entry tells when it was written, and reading does not change that",
    contract: "kv",
    level: "L1",
    async run({ bus, clock }) {
      await bus.kv.put(BUCKET, "color", "red");
      const first = await bus.kv.get(BUCKET, "color");
      check(first, "the value is not there");
      const now = clock.now();
      checkRange(first.createdAtMs, now - CLOCK_SKEW_MS, now + CLOCK_SKEW_MS, "createdAtMs");
      await clock.sleep(30);
      const again = await bus.kv.get(BUCKET, "color");
      checkEqual(again?.createdAtMs, first.createdAtMs, "createdAtMs of the second read");
      await bus.kv.put(BUCKET, "color", "red");
      const rewritten = await bus.kv.get(BUCKET, "color");
      check(rewritten, "the value is not there");
      check(rewritten.createdAtMs > first.createdAtMs, "a new write has no later time");
    },
  },
  {
    id: "KV-GET-005",
    title: "Who has read a value gets what others have written, created and deleted since",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const reader = await context.open();
      const read = async (): Promise<string | undefined> => {
        const entry = await reader.kv.get(BUCKET, "color");
        return entry && toText(entry.value);
      };
      checkEqual(await read(), undefined, "before the first write");
      const revision = await bus.kv.create(BUCKET, "color", "red");
      checkEqual(await read(), "red", "after create");
      await bus.kv.cas(BUCKET, "color", "green", revision);
      checkEqual(await read(), "green", "after cas");
      await bus.kv.put(BUCKET, "color", "blue");
      checkEqual(await read(), "blue", "after put");
      await bus.kv.delete(BUCKET, "color");
      checkEqual(await read(), undefined, "after delete");
    },
  },
  {
    id: "KV-PUT-001",
    title: "Values are bytes: empty, binary, text and 64 KiB come back as they were",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const values: Record<string, Uint8Array | string> = {
        empty: "",
        emptyBytes: new Uint8Array(0),
        everyByte: Uint8Array.from(range(256)),
        invalidUtf8: Uint8Array.of(0xff, 0xfe, 0xc3, 0x28, 0x00),
        text: "Grüße, 世界 🌍\r\n\u0000end",
        large: Uint8Array.from(range(KIB_64), (index) => (index * 31) % 251),
      };
      for (const [key, value] of Object.entries(values)) await bus.kv.put(BUCKET, key, value);
      for (const [key, value] of Object.entries(values)) {
        const entry = await bus.kv.get(BUCKET, key);
        check(entry, `${key} is not there`);
        check(entry.value instanceof Uint8Array, `${key} is not a Uint8Array`);
        checkEqual(entry.value, typeof value === "string" ? toBytes(value) : value, key);
      }
    },
  },
  {
    id: "KV-PUT-002",
    title: "Revisions grow with every write, over all keys of the bucket",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const revisions: number[] = [];
      for (const round of range(30)) {
        revisions.push(await bus.kv.put(BUCKET, `key${round % 3}`, `${round}`));
      }
      checkAscending(revisions, "revisions of one bucket");
      for (const index of range(3)) {
        const entry = await bus.kv.get(BUCKET, `key${index}`);
        checkEqual(entry && toText(entry.value), `${27 + index}`, `the last value of key${index}`);
        checkEqual(entry?.revision, revisions[27 + index], `the last revision of key${index}`);
      }
    },
  },
  {
    id: "KV-PUT-003",
    title: "Changing the bytes that were put, or that were read, does not change the stored value",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const mine = toBytes("original");
      await bus.kv.put(BUCKET, "key", mine);
      mine.fill(0);
      const first = await bus.kv.get(BUCKET, "key");
      checkEqual(first && toText(first.value), "original", "after changing what was put");
      first?.value.fill(0);
      checkEqual(await textAt(bus, "key"), "original", "after changing what was read");
      const [past] = await bus.kv.history(BUCKET, "key");
      if (past?.type === "put") past.value.fill(0);
      checkEqual(await textAt(bus, "key"), "original", "after changing the history");
    },
  },
  {
    id: "KV-PUT-004",
    title: "A value over the limit is refused with both numbers, and the old value stays",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const { maxPayloadBytes } = bus.capabilities;
      await bus.kv.put(BUCKET, "key", "small");
      const large = new Uint8Array(maxPayloadBytes + 1);
      const writes = {
        put: () => bus.kv.put(BUCKET, "key", large),
        create: () => bus.kv.create(BUCKET, "other", large),
        cas: () => bus.kv.cas(BUCKET, "third", large, 0),
      };
      for (const [name, write] of Object.entries(writes)) {
        const error = await checkCode(write, "PAYLOAD_TOO_LARGE", name);
        checkEqual(error.details.bytes, large.length, `details.bytes of ${name}`);
        checkEqual(error.details.maxBytes, maxPayloadBytes, `details.maxBytes of ${name}`);
      }
      checkEqual(await textAt(bus, "key"), "small", "the value");
    },
  },
  {
    id: "KV-PUT-005",
    title: "Keys that differ in case, in a dot, a slash or another sign are different keys",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const keys = ["a.b", "a/b", "a_b", "a-b", "a=b", "ab", "A.B", "a", "a.b.c", "/", "=", "-"];
      keys.push("k".repeat(256), "0", "_", "a//b", "n=1/x.y-z_");
      for (const key of keys) await bus.kv.put(BUCKET, key, `value of ${key}`);
      for (const key of keys) {
        checkEqual(await textAt(bus, key), `value of ${key}`, `the value of ${key}`);
      }
      const { keys: listed } = await bus.kv.keys(BUCKET);
      checkEqual(listed, keys.toSorted(), "the keys");
    },
  },
  {
    id: "KV-PUT-006",
    title: "Racing writers on two buses get different revisions, and the greatest one is the value",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const written = new Map<number, string>();
      await inWaves(100, 20, async (index) => {
        const writer = buses[index % 2] as typeof bus;
        written.set(await writer.kv.put(BUCKET, "key", `${index}`), `${index}`);
      });
      checkEqual(written.size, 100, "different revisions");
      const last = Math.max(...written.keys());
      const entry = await bus.kv.get(BUCKET, "key");
      checkEqual(entry?.revision, last, "the revision that stands");
      checkEqual(entry && toText(entry.value), written.get(last), "the value that stands");
    },
  },
];
