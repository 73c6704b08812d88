import { seededRandom } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { Bucket } from "../../../src/engine/bucket.ts";
import { linearizableKv, type World } from "../../../src/index.ts";
import { every, finding, plant } from "./planted.ts";
import { finalVerdict, Story, verdict } from "./story.ts";
import { clerk } from "./workload.ts";

async function clerks(world: World): Promise<void> {
  const names = ["k1", "k2", "k3"];
  const writers = names.map((name) => world.process(name, (context) => clerk(context, 40)));
  await Promise.all(writers.map(({ done }) => done));
}

const checkers = () => [linearizableKv()];
const NO_ORDER = /stock\/key-\d: no order of its operations explains/;

describe("linearizableKv finds in the engine", () => {
  it("a read of an old value", async () => {
    const now = every(5);
    const old = new Map<string, ReturnType<Bucket["get"]>>();
    plant(Bucket.prototype, "get", (right) => {
      return function stale(this: Bucket, key) {
        const record = right.call(this, key);
        if (now() && old.has(key)) return old.get(key);
        old.set(key, record);
        return record;
      };
    });
    expect(await finding(checkers, clerks)).toMatch(NO_ORDER);
  });

  it("a write that is not kept", async () => {
    const now = every(5);
    plant(Bucket.prototype, "put", (right) => {
      return function lossy(this: Bucket, key, value, ttlMs) {
        const before = this.get(key);
        const revision = right.call(this, key, value, ttlMs);
        if (now() && before?.value) right.call(this, key, before.value, ttlMs);
        return revision;
      };
    });
    expect(await finding(checkers, clerks)).toMatch(NO_ORDER);
  });

  it("a compare-and-set that compares nothing", async () => {
    plant(Bucket.prototype, "cas", () => {
      return function blind(this: Bucket, key, value, _expected, ttlMs) {
        return this.put(key, value, ttlMs);
      };
    });
    expect(await finding(checkers, clerks)).toMatch(NO_ORDER);
  });

  it("a compare-and-set that writes, and says that it did not", async () => {
    plant(Bucket.prototype, "cas", (right) => {
      return function writing(this: Bucket, key, value, expected, ttlMs) {
        try {
          return right.call(this, key, value, expected, ttlMs);
        } catch (error) {
          this.put(key, value, ttlMs);
          throw error;
        }
      };
    });
    expect(await finding(checkers, clerks)).toMatch(NO_ORDER);
  });

  it("a delete that does nothing", async () => {
    plant(Bucket.prototype, "delete", () => () => undefined);
    expect(await finding(checkers, clerks)).toMatch(NO_ORDER);
  });

  it("a revision that is given twice, and one that goes down", async () => {
    for (const [revisionOf, wrong] of [
      [() => 1, /two writes of its bucket have revision 1/],
      [(revision: number) => 1_000 - revision, /got revision \d+, but one that was answered/],
    ] as const) {
      plant(Bucket.prototype, "put", (right) => {
        return function confused(this: Bucket, ...write) {
          return revisionOf(right.apply(this, write));
        };
      });
      expect(await finding(checkers, clerks)).toMatch(wrong);
    }
  });
});

type Facts = Readonly<Record<string, unknown>>;

function op(story: Story, kind: string, asked: Facts = {}, got: Facts = {}): Story {
  return story.did("p", `kv.${kind}`, "b/k", { asked, got });
}

function put(story: Story, value: string, revision: number): Story {
  return op(story, "put", { value }, { revision });
}

/** A read, of no value if there is no revision. */
function read(story: Story, value?: string, revision?: number): Story {
  return op(story, "get", {}, { value, revision });
}

/** A write of which nobody knows how it ended. */
function lost(story: Story, kind: string, asked: Facts): Story {
  return story.error(story.call("p", `kv.${kind}`, "b/k", asked), "TIMEOUT");
}

function conflict(story: Story, kind: string, asked: Facts, revision?: number): Story {
  return story.error(story.call("p", `kv.${kind}`, "b/k", asked), "CONFLICT", { revision });
}

async function expectFine(story: Story): Promise<void> {
  expect(await finalVerdict(linearizableKv(), story)).toEqual([]);
}

async function expectWrong(story: Story, wrong: RegExp = /no order of its/): Promise<void> {
  const found = await finalVerdict(linearizableKv(), story);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(wrong);
}

describe("linearizableKv, what it says of", () => {
  it("one operation after the other: each sees the one before it", async () => {
    const start = () => put(read(new Story()), "a", 3);
    await expectFine(read(start(), "a", 3));
    await expectWrong(read(start()), /get of p .* \(no value\); at best there was value a, .* 3/);
    await expectWrong(read(start(), "b", 3));
    await expectWrong(read(start(), "a", 2));
    await expectWrong(read(new Story(), "a", 1));
    await expectFine(read(op(start(), "delete")));
    await expectWrong(read(op(start(), "delete"), "a", 3));
  });

  it("operations at the same time: in either order, if the revisions allow it", async () => {
    const both = (a: number, b: number): Story => {
      const story = new Story();
      const one = story.call("one", "kv.put", "b/k", { value: "a" });
      const other = story.call("other", "kv.put", "b/k", { value: "b" });
      return story.result(one, { revision: a }).result(other, { revision: b });
    };
    await expectFine(read(both(1, 2), "b", 2));
    await expectFine(read(both(2, 1), "a", 2));
    await expectWrong(read(both(1, 2), "a", 1));
  });

  it("a delete at the same time as a write: it may remove nothing, or what is written", async () => {
    const both = (): Story => {
      const story = new Story();
      const deleting = story.call("one", "kv.delete", "b/k");
      const writing = story.call("other", "kv.put", "b/k", { value: "a" });
      return story.result(deleting).result(writing, { revision: 1 });
    };
    await expectFine(read(both()));
    await expectFine(read(both(), "a", 1));
  });

  it("a read while a write is under way: before or after it, and never back", async () => {
    const reads = (values: readonly (string | undefined)[]): Story => {
      const story = new Story();
      const open = story.call("w", "kv.put", "b/k", { value: "a" });
      for (const value of values) read(story, value, value === undefined ? undefined : 1);
      return story.result(open, { revision: 1 });
    };
    await expectFine(reads([undefined, undefined, "a", "a"]));
    await expectWrong(reads(["a", undefined]));
  });

  it("a write of unknown outcome: at some time after its call, or never, and once", async () => {
    const start = () => lost(put(new Story(), "a", 1), "put", { value: "b" });
    await expectFine(read(start(), "a", 1));
    await expectFine(read(start(), "b", 2));
    await expectFine(read(read(start(), "a", 1), "b", 2));
    await expectWrong(read(read(start(), "b", 2), "a", 1));
    await expectWrong(read(put(read(start(), "b", 2), "c", 3), "b", 2));
    await expectWrong(read(lost(put(new Story(), "a", 2), "put", { value: "b" }), "b", 1));
    const before = read(new Story(), "b", 1);
    await expectWrong(lost(before, "put", { value: "b" }));
  });

  it("a call that was never answered: as one of unknown outcome", async () => {
    const story = put(new Story(), "a", 1);
    story.call("killed", "kv.delete", "b/k");
    await expectFine(read(read(story, "a", 1)));
    await expectFine(read(put(new Story(), "a", 1), "a", 1));
    await expectWrong(read(put(new Story(), "a", 1)));
  });

  it("a write that was refused: it never happened", async () => {
    for (const [code, facts] of [
      ["INVALID_ARGUMENT", {}],
      ["DISCONNECTED", { outcome: "notSent" }],
    ] as const) {
      const story = put(new Story(), "a", 1);
      story.error(story.call("p", "kv.put", "b/k", { value: "b" }), code, facts);
      await expectWrong(read(story, "b", 2));
    }
    const unsure = put(new Story(), "a", 1);
    unsure.error(unsure.call("p", "kv.put", "b/k", { value: "b" }), "DISCONNECTED");
    await expectFine(read(unsure, "b", 2));
  });

  it("a cas: it writes over the revision that it expects, and no other", async () => {
    const cas = (expectedRevision: number) =>
      op(put(new Story(), "a", 3), "cas", { value: "b", expectedRevision }, { revision: 4 });
    await expectFine(cas(3));
    await expectWrong(cas(2), /cas of p .* expected revision 2, revision 4/);
    await expectWrong(cas(0));
    await expectWrong(read(cas(3), "a", 3));
    await expectFine(op(new Story(), "cas", { value: "b", expectedRevision: 0 }, { revision: 1 }));
    await expectWrong(op(new Story(), "cas", { value: "b", expectedRevision: 1 }, { revision: 2 }));
  });

  it("a create, and a delete with a revision", async () => {
    const start = () => put(new Story(), "a", 3);
    await expectWrong(op(start(), "create", { value: "b" }, { revision: 4 }));
    await expectFine(op(op(start(), "delete"), "create", { value: "b" }, { revision: 5 }));
    await expectFine(op(start(), "delete", { expectedRevision: 3 }));
    await expectWrong(op(start(), "delete", { expectedRevision: 2 }));
  });

  it("two creates at the same time: one may win, not both", async () => {
    const story = (answers: readonly (number | "conflict")[]): Story => {
      const creates = new Story();
      const calls = answers.map((_, index) =>
        creates.call(`p${index}`, "kv.create", "b/k", { value: `${index}` }),
      );
      for (const [index, answer] of answers.entries()) {
        if (answer === "conflict") creates.error(calls[index] as number, "CONFLICT");
        else creates.result(calls[index] as number, { revision: answer });
      }
      return creates;
    };
    await expectFine(story([1, "conflict"]));
    await expectWrong(story([1, 2]));
    await expectWrong(story(["conflict", "conflict"]));
  });

  it("a conflict: it was there, and it names what was there", async () => {
    const start = () => put(new Story(), "a", 3);
    const asked = { value: "b", expectedRevision: 2 };
    await expectFine(conflict(start(), "cas", asked, 3));
    await expectWrong(conflict(start(), "cas", asked, 2), /a conflict, revision 2/);
    await expectWrong(conflict(start(), "cas", { ...asked, expectedRevision: 3 }, 3));
    await expectWrong(conflict(start(), "cas", asked, 0));
    await expectFine(conflict(new Story(), "cas", asked, 0));
    await expectWrong(read(conflict(start(), "cas", asked, 3), "b", 4));
  });

  it("revisions over the keys of a bucket: each once, and greater than what was answered", () => {
    const other = (story: Story, revision: number, about = "b/x") =>
      story.did("q", "kv.put", about, { asked: { value: "x" }, got: { revision } });
    const start = () => put(new Story(), "a", 3);
    expect(verdict(linearizableKv(), other(start(), 3))).toMatch(/two writes .* revision 3/);
    expect(verdict(linearizableKv(), other(start(), 2))).toMatch(/q got revision 2, .* has 3/);
    expect(verdict(linearizableKv(), other(start(), 4))).toBeUndefined();
    expect(verdict(linearizableKv(), other(start(), 3, "other/k"))).toBeUndefined();
    // Both were under way: either may be first.
    const open = new Story();
    const call = open.call("q", "kv.put", "b/x", { value: "x" });
    expect(verdict(linearizableKv(), put(open, "a", 3).result(call, { revision: 2 }))).toBe(
      undefined,
    );
  });

  it("a crash that lost writes: nothing is known after it, but what is read", async () => {
    const crashed = (lostWritesMs: number) =>
      put(new Story(), "a", 3).fault("server", "serverCrash", { lostWritesMs });
    await expectWrong(read(crashed(0)));
    await expectFine(read(crashed(10)));
    await expectFine(read(crashed(10), "a", 3));
    await expectWrong(read(read(crashed(10)), "a", 3));
    await expectFine(put(crashed(10), "b", 3));
    // What was under way in the crash took effect before it, after it, or never.
    const under = put(new Story(), "a", 1);
    const open = under.call("q", "kv.put", "b/k", { value: "q" });
    under.fault("server", "serverCrash", { lostWritesMs: 10 });
    await expectFine(read(read(under, "a", 1), "q", 2).result(open, { revision: 2 }));
  });

  it("keys and buckets with a time to live, or that were deleted: they are skipped", async () => {
    const vanished = (story: Story) => read(put(story, "a", 1));
    await expectWrong(vanished(new Story()));
    for (const skipped of [
      vanished(new Story().did("p", "kv.ensureBucket", "b", { asked: { ttlMs: 1_000 } })),
      vanished(new Story()).did("p", "kv.deleteBucket", "b"),
      vanished(op(new Story(), "put", { value: "x", ttlMs: 10 }, { revision: 0.5 })),
    ]) {
      const checker = linearizableKv();
      expect(await finalVerdict(checker, skipped)).toEqual([]);
      expect(checker.counts).toMatchObject({ skipped: 1, keys: 0 });
    }
    await expectWrong(vanished(new Story().did("p", "kv.ensureBucket", "b", { asked: {} })));
  });

  it("a search that takes too long: it gives up and counts that", async () => {
    const story = new Story();
    for (let count = 0; count < 12; count += 1) lost(story, "put", { value: `${count}` });
    for (let count = 0; count < 6; count += 1) read(story, `${count}`, count + 1);
    read(story, "none", 7);
    const checker = linearizableKv({ maxSteps: 20 });
    expect(await finalVerdict(checker, story)).toEqual([]);
    expect(checker.counts).toMatchObject({ gaveUp: 1, keys: 1 });
    await expectWrong(story);
    expect(() => linearizableKv({ maxSteps: 0 })).toThrow(/maxSteps.*1.*1000000000.*0/);
  });
});

/** A register that really is one, with calls that overlap; `random` decides everything. */
function overlapping(random: { next(): number }, mayLose: boolean): Story {
  const story = new Story();
  const open: (() => void)[] = [];
  let state: { value: string; revision: number } | undefined;
  let revision = 0;
  for (let count = 0; count < 60; count += 1) {
    if (open.length > 0 && random.next() < 0.5) {
      open.splice(Math.floor(random.next() * open.length), 1)[0]?.();
      continue;
    }
    const isWrite = random.next() < 0.5;
    const value = `${count}`;
    const call = story.call(`p${count}`, isWrite ? "kv.put" : "kv.get", "b/k", { value });
    const isLost = mayLose && isWrite && random.next() < 0.3;
    const happens = !isLost || random.next() < 0.5;
    let result: (() => void) | undefined;
    // It takes effect at the first of two of its turns, and is answered at the second.
    open.push(() => {
      if (result !== undefined) return result();
      if (isWrite && happens) state = { value, revision: (revision += 1) };
      const seen = isWrite ? { revision } : { ...state };
      result = () => (isLost ? story.error(call, "TIMEOUT") : story.result(call, seen));
      open.push(result);
    });
  }
  while (open.length > 0) open.shift()?.();
  return story;
}

describe("linearizableKv on random histories, seeds 1 to 300", () => {
  it("finds an order where there is one", async () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const story = overlapping(seededRandom(seed), seed % 2 === 0);
      expect(await finalVerdict(linearizableKv(), story), `seed ${seed}`).toEqual([]);
    }
  });

  it("finds none where the last read is of a value that was written over", async () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const story = overlapping(seededRandom(seed), seed % 2 === 0);
      put(put(story, "old", 1_000), "new", 1_001);
      read(story, "old", 1_000);
      expect(await finalVerdict(linearizableKv(), story), `seed ${seed}`).toHaveLength(1);
    }
  });
});
