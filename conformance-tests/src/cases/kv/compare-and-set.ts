import { type Bus, errorCode, isBusError, toText } from "@busbar/core";
import { check, checkCode, checkEqual, checkOptionRefused } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { bounded, outcomes, range } from "../jobs/timing.ts";
import { BUCKET, textAt } from "./helpers.ts";

/** `create` and `cas`. */
export const compareAndSetCases: readonly ConformanceCase[] = [
  {
    id: "KV-CREATE-001",
    title: "create of a key with a value fails with CONFLICT and its revision, and changes nothing",
    contract: "kv",
    level: "L0",
    async run({ bus }) {
      const revision = await bus.kv.create(BUCKET, "key", "first");
      const error = await checkCode(
        bus.kv.create(BUCKET, "key", "second"),
        "CONFLICT",
        "the second create",
      );
      checkEqual(error.details.revision, revision, "details.revision");
      checkEqual(error.retryable, false, "retryable");
      const entry = await bus.kv.get(BUCKET, "key");
      checkEqual(entry && toText(entry.value), "first", "the value");
      checkEqual(entry?.revision, revision, "the revision");
    },
  },
  {
    id: "KV-CREATE-002",
    title: "create works again after a delete, with a greater revision, any number of times",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      let before = 0;
      for (const round of range(5)) {
        const revision = await bus.kv.create(BUCKET, "key", `${round}`);
        check(revision > before, `revision ${revision} comes after ${before}`);
        checkEqual(await textAt(bus, "key"), `${round}`, "the value");
        await bus.kv.delete(BUCKET, "key");
        before = revision;
      }
    },
  },
  {
    id: "KV-CREATE-003",
    title: "Of 20 concurrent creates of a key one wins; the others learn the winner's revision",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await checkOneWinner(bus, await context.open(), (one, index) =>
        one.kv.create(BUCKET, "key", `${index}`),
      );
    },
  },
  {
    id: "KV-CREATE-004",
    title: "Of 20 concurrent creates of a deleted key one wins",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await bus.kv.put(BUCKET, "key", "old");
      await bus.kv.delete(BUCKET, "key");
      await checkOneWinner(bus, await context.open(), (one, index) =>
        one.kv.create(BUCKET, "key", `${index}`),
      );
    },
  },
  {
    id: "KV-CAS-001",
    title: "cas with the current revision writes and gives the next one",
    contract: "kv",
    level: "L0",
    async run({ bus }) {
      let revision = await bus.kv.put(BUCKET, "key", "0");
      for (const round of range(5)) {
        const next = await bus.kv.cas(BUCKET, "key", `${round}`, revision);
        check(next > revision, `revision ${next} comes after ${revision}`);
        const entry = await bus.kv.get(BUCKET, "key");
        checkEqual(entry && toText(entry.value), `${round}`, "the value");
        checkEqual(entry?.revision, next, "the revision");
        revision = next;
      }
    },
  },
  {
    id: "KV-CAS-002",
    title: "cas with another revision fails with CONFLICT and the current one, and changes nothing",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const old = await bus.kv.put(BUCKET, "key", "old");
      const current = await bus.kv.put(BUCKET, "key", "current");
      for (const expected of [old, current + 1, current + 1_000_000]) {
        const error = await checkCode(
          bus.kv.cas(BUCKET, "key", "wrong", expected),
          "CONFLICT",
          `cas with ${expected}`,
        );
        checkEqual(error.details.revision, current, `details.revision of cas with ${expected}`);
      }
      const entry = await bus.kv.get(BUCKET, "key");
      checkEqual(entry && toText(entry.value), "current", "the value");
      checkEqual(entry?.revision, current, "the revision");
    },
  },
  {
    id: "KV-CAS-003",
    title: "cas with 0 is create: it writes where nothing is, and fails where something is",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const revision = await bus.kv.cas(BUCKET, "key", "first", 0);
      const error = await checkCode(
        bus.kv.cas(BUCKET, "key", "second", 0),
        "CONFLICT",
        "cas with 0 where a value is",
      );
      checkEqual(error.details.revision, revision, "details.revision");
      checkEqual(await textAt(bus, "key"), "first", "the value");
    },
  },
  {
    id: "KV-CAS-004",
    title:
      "After a delete, cas with the old revision conflicts with revision 0, and cas with 0 works",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const old = await bus.kv.put(BUCKET, "key", "old");
      await bus.kv.delete(BUCKET, "key");
      const error = await checkCode(
        bus.kv.cas(BUCKET, "key", "wrong", old),
        "CONFLICT",
        "cas with the revision before the delete",
      );
      checkEqual(error.details.revision, 0, "details.revision");
      checkEqual(await bus.kv.get(BUCKET, "key"), undefined, "the value");
      const missing = await checkCode(
        bus.kv.cas(BUCKET, "never", "wrong", 7),
        "CONFLICT",
        "cas of a key that never was",
      );
      checkEqual(missing.details.revision, 0, "details.revision of the key that never was");
      const revision = await bus.kv.cas(BUCKET, "key", "new", 0);
      check(revision > old, `revision ${revision} comes after ${old}`);
    },
  },
  {
    id: "KV-CAS-005",
    title: "Of 20 concurrent cas with the same right revision one wins",
    contract: "kv",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const revision = await bus.kv.put(BUCKET, "key", "start");
      await checkOneWinner(bus, await context.open(), (one, index) =>
        one.kv.cas(BUCKET, "key", `${index}`, revision),
      );
    },
  },
  {
    id: "KV-CAS-006",
    title: "A counter that writers on two buses raise with cas loses no step",
    contract: "kv",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      await bus.kv.put(BUCKET, "counter", "0");
      const raise = async (one: Bus): Promise<void> => {
        const next = bounded("attempts to raise the counter");
        for (;;) {
          next();
          const entry = await one.kv.get(BUCKET, "counter");
          check(entry, "the counter is gone");
          try {
            await one.kv.cas(
              BUCKET,
              "counter",
              `${Number(toText(entry.value)) + 1}`,
              entry.revision,
            );
            return;
          } catch (error) {
            if (errorCode(error) !== "CONFLICT") throw error;
          }
        }
      };
      const writer = async (index: number): Promise<void> => {
        for (const _ of range(25)) await raise(buses[index % 2] as Bus);
      };
      await Promise.all(range(6).map(writer));
      checkEqual(await textAt(bus, "counter"), "150", "the counter");
    },
  },
  {
    id: "KV-CAS-007",
    title: "Writes to other keys neither spoil a cas nor lend it their revision",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const mine = await bus.kv.put(BUCKET, "mine", "1");
      const others = await bus.kv.put(BUCKET, "other", "1");
      const error = await checkCode(
        bus.kv.cas(BUCKET, "mine", "wrong", others),
        "CONFLICT",
        "cas with the revision of another key",
      );
      checkEqual(error.details.revision, mine, "details.revision");
      const next = await bus.kv.cas(BUCKET, "mine", "2", mine);
      check(next > others, `revision ${next} comes after ${others} of the other key`);
    },
  },
  {
    id: "KV-CAS-008",
    title: "A value that changed and changed back does not match its first revision",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      const first = await bus.kv.put(BUCKET, "key", "a");
      await bus.kv.put(BUCKET, "key", "b");
      const last = await bus.kv.put(BUCKET, "key", "a");
      const error = await checkCode(
        bus.kv.cas(BUCKET, "key", "c", first),
        "CONFLICT",
        "cas with the first revision",
      );
      checkEqual(error.details.revision, last, "details.revision");
    },
  },
  {
    id: "KV-CAS-009",
    title: "An expected revision that is no revision is refused",
    contract: "kv",
    level: "L1",
    async run({ bus }) {
      await bus.kv.put(BUCKET, "key", "value");
      for (const expected of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        await checkOptionRefused(
          () => bus.kv.cas(BUCKET, "key", "wrong", expected),
          "expectedRevision",
        );
        await checkOptionRefused(
          () => bus.kv.delete(BUCKET, "key", { expectedRevision: expected }),
          "expectedRevision",
        );
      }
      checkEqual(await textAt(bus, "key"), "value", "the value");
    },
  },
];

/** Starts 20 writes on two buses; one has to win, and the others to learn of it. */
async function checkOneWinner(
  bus: Bus,
  other: Bus,
  write: (bus: Bus, index: number) => Promise<number>,
): Promise<void> {
  const settled = await Promise.allSettled(
    range(20).map((index) => write(index % 2 === 0 ? bus : other, index)),
  );
  const { values, errors } = outcomes(settled);
  for (const error of errors) checkEqual(errorCode(error), "CONFLICT", "the code of a loser");
  checkEqual(values.length, 1, "winners");
  for (const error of errors) {
    const revision = isBusError(error) ? error.details.revision : undefined;
    checkEqual(revision, values[0], "details.revision of a loser");
  }
  const winner = settled.findIndex(({ status }) => status === "fulfilled");
  const entry = await other.kv.get(BUCKET, "key");
  checkEqual(entry?.revision, values[0], "the revision that stands");
  checkEqual(entry && toText(entry.value), `${winner}`, "the value that stands");
}
