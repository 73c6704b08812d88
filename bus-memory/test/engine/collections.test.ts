import { type Headers, toBytes, toText } from "@busbar/core";
import { NO_HEADERS } from "@busbar/core/adapter";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Arena, copyOf } from "../../src/engine/arena.ts";
import { Bag } from "../../src/engine/bag.ts";
import { DedupWindow } from "../../src/engine/dedup-window.ts";
import { Fifo } from "../../src/engine/fifo.ts";
import { FreshJobs } from "../../src/engine/fresh-jobs.ts";
import { MessageLog } from "../../src/engine/message-log.ts";
import { SortedKeys } from "../../src/engine/sorted-keys.ts";
import type { JobContent } from "../../src/engine/stored-job.ts";
import { SubjectLine } from "../../src/engine/subject-line.ts";

describe("Fifo", () => {
  it("gives what an array would, whatever is pushed and taken", () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 1, max: 400 }) }),
      fc.record({ take: fc.integer({ min: 1, max: 400 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30, size: "max" }), (steps) => {
        const fifo = new Fifo<number>();
        const model: number[] = [];
        let item = 0;
        for (const one of steps) {
          if ("push" in one) {
            for (let count = one.push; count > 0; count--) {
              fifo.push(++item);
              model.push(item);
            }
          } else {
            for (let count = one.take; count > 0; count--) {
              expect(fifo.peek()).toBe(model[0]);
              expect(fifo.shift()).toBe(model.shift());
            }
          }
          expect(fifo.size).toBe(model.length);
        }
        expect(fifo.drain()).toEqual(model);
        expect(fifo.size).toBe(0);
      }),
    );
  });
});

describe("Bag", () => {
  it("holds what was added and not removed", () => {
    const bag = new Bag<{ bagSlot: number; readonly name: string }>();
    const items = ["a", "b", "c", "d"].map((name) => ({ name, bagSlot: -1 }));
    for (const item of items) bag.add(item);
    bag.remove(items[1] as (typeof items)[0]);
    bag.remove(items[3] as (typeof items)[0]);
    expect(bag.size).toBe(2);
    const left = bag.drain().map(({ name }) => name);
    expect(left.sort()).toEqual(["a", "c"]);
    expect(items.every(({ bagSlot }) => bagSlot === -1)).toBe(true);
  });
});

describe("MessageLog", () => {
  it("finds messages by sequence and drops the oldest", () => {
    const log = new MessageLog();
    const arena = new Arena();
    for (let sequence = 1; sequence <= 2_000; sequence++) {
      expect(log.next).toBe(sequence);
      arena.write(toBytes(`payload ${sequence}`));
      const headers = sequence % 7 === 0 ? { n: String(sequence) } : NO_HEADERS;
      log.push(`s.${sequence % 3}`, sequence * 1.5, headers, arena);
      if (sequence % 3 !== 0) log.dropFirst();
    }
    expect(log.size).toBe(666);
    for (let sequence = log.first; sequence < log.next; sequence++) {
      const message = log.get(sequence);
      expect(message && toText(copyOf(message))).toBe(`payload ${sequence}`);
      expect(message?.headers).toEqual(sequence % 7 === 0 ? { n: String(sequence) } : {});
      expect(log.subjectOf(sequence)).toBe(`s.${sequence % 3}`);
      expect(log.publishedAtMs(sequence)).toBe(sequence * 1.5);
      expect(log.lengthOf(sequence)).toBe(`payload ${sequence}`.length);
    }
    expect(log.get(log.first - 1)).toBeUndefined();
    expect(log.get(log.next)).toBeUndefined();
    while (log.size > 0) log.dropFirst();
    log.dropFirst();
    expect(log.first).toBe(2_001);
    log.push("s", 1, NO_HEADERS, arena);
    expect(log.get(2_001)?.subject).toBe("s");
  });

  it("drops the newest, whose sequences it gives again, also if they were dropped as oldest", () => {
    const step = fc.tuple(
      fc.constantFrom("push", "first", "last"),
      fc.integer({ min: 1, max: 600 }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20, size: "max" }), (steps) => {
        const log = new MessageLog();
        let model: { readonly sequence: number; readonly headers: Headers }[] = [];
        let next = 1;
        let text = 0;
        for (const [what, count] of steps) {
          for (let left = count; left > 0; left--) {
            if (what === "push") {
              const headers = ++text % 7 === 0 ? { n: String(text) } : NO_HEADERS;
              log.push(`s.${text}`, text, headers, new Arena());
              model.push({ sequence: next++, headers });
            } else if (what === "first") {
              log.dropFirst();
              model.shift();
            } else if (next > 1) {
              log.dropLast();
              next -= 1;
              model = model.filter(({ sequence }) => sequence < next);
            }
          }
          expect([log.next, log.size]).toEqual([next, model.length]);
          for (const { sequence, headers } of model) {
            expect(log.get(sequence)?.headers).toEqual(headers);
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("FreshJobs", () => {
  it("gives what an array would, whatever is pushed, taken and removed", () => {
    const kind = fc.constantFrom("push", "shift", "drop", "remove");
    const step = fc.tuple(kind, fc.integer({ min: 1, max: 300 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30, size: "max" }), (steps) => {
        const jobs = new FreshJobs(3);
        const arena = new Arena();
        let model: number[] = [];
        let number = 0;
        for (const [what, count] of steps) {
          if (what === "drop") {
            // The numbers are given again.
            number = Math.max(number - count, 0);
            jobs.dropFrom(number + 1);
            model = model.filter((one) => one <= number);
            expect(jobs.size).toBe(model.length);
            continue;
          }
          for (let left = count; left > 0; left--) {
            if (what === "push") {
              number += 1 + (left % 3);
              model.push(number);
              arena.write(toBytes(String(number)));
              jobs.push(number, contentOf(number), arena);
            } else if (what === "remove") {
              // Some are there, some were removed before, some never were.
              const one = number - left * 2;
              const wanted = model.includes(one) ? contentOf(one) : undefined;
              expect(jobs.find(one)).toEqual(wanted && expect.objectContaining(wanted));
              expect(jobs.remove(one)).toBe(wanted !== undefined);
              model = model.filter((other) => other !== one);
            } else if (model.length > 0) {
              const wanted = model.shift() as number;
              expect(jobs.firstNumber).toBe(wanted);
              const job = jobs.shift();
              expect(job).toMatchObject({ number: wanted, rank: wanted, ...contentOf(wanted) });
              expect(toText(copyOf(job))).toBe(String(wanted));
            }
          }
          expect(jobs.size).toBe(model.length);
        }
      }),
      { numRuns: 50 },
    );
  });
});

function contentOf(number: number): JobContent {
  return {
    headers: number % 5 === 0 ? { n: String(number) } : NO_HEADERS,
    dedupKey: number % 4 === 0 ? `key ${number}` : undefined,
    priority: 3,
    maxAttempts: (number % 9) + 1,
    enqueuedAtMs: number + 0.5,
  };
}

describe("SubjectLine", () => {
  it("finds the first from a sequence on, with good and bad hints, also after drops", () => {
    const line = new SubjectLine("s");
    for (let sequence = 2; sequence <= 8_000; sequence += 2) line.push(sequence);
    for (let drops = 0; drops < 3_000; drops++) line.dropFirst();
    expect(line.last).toBe(8_000);
    for (const from of [1, 6_001, 6_002, 6_003, 7_000, 7_999, 8_000]) {
      const expected = Math.max(6_002, from % 2 === 0 ? from : from + 1);
      for (const hint of [0, 1, 3_000, 3_500, 4_000, 9_000, line.indexFrom(from, 0)]) {
        expect(line.at(line.indexFrom(from, hint))).toBe(expected);
      }
    }
    expect(line.at(line.indexFrom(8_001, 0))).toBeUndefined();
  });

  it("drops the newest, and finds what comes in its place", () => {
    const line = new SubjectLine("s");
    for (const sequence of [1, 2, 3]) line.push(sequence);
    const hint = line.indexFrom(3, 0) + 1;
    line.dropLast();
    line.dropLast();
    expect(line.last).toBe(1);
    expect(line.at(line.indexFrom(2, hint))).toBeUndefined();
    line.push(2);
    expect(line.at(line.indexFrom(2, hint))).toBe(2);
    line.dropFirst();
    line.dropLast();
    expect(line.isEmpty).toBe(true);
  });
});

describe("SortedKeys", () => {
  it("walks in order from any start, whatever was added and removed", () => {
    const key = fc.stringMatching(/^[a-c]{1,4}$/);
    fc.assert(
      fc.property(fc.array(key, { maxLength: 200 }), key, (touched, start) => {
        const keys = new SortedKeys();
        const model = new Set<string>();
        for (const one of touched) {
          if (model.delete(one)) {
            keys.remove(one);
          } else {
            keys.add(one);
            model.add(one);
          }
        }
        expect(keys.size).toBe(model.size);
        const wanted = [...model].filter((one) => one >= start).sort();
        expect([...keys.from(start)]).toEqual(wanted);
      }),
    );
  });

  it("keeps many keys in order", () => {
    const keys = new SortedKeys();
    const all = Array.from({ length: 5_000 }, (_, index) => String((index * 7_919) % 5_000));
    for (const key of all) keys.add(key);
    expect([...keys.from("")]).toEqual([...all].sort());
    for (const key of all) keys.remove(key);
    expect([...keys.from("")]).toEqual([]);
  });
});

describe("DedupWindow", () => {
  it("knows an id until its window is over, and forgets it then", () => {
    const window = new DedupWindow<number>(100);
    window.add("a", 1, 0);
    expect(window.find("a", 0)).toBe(1);
    expect(window.find("a", 99.9)).toBe(1);
    expect(window.find("a", 100)).toBeUndefined();
    expect(window.size).toBe(0);
  });

  it("forgets an id that is removed, and keeps it for its whole time if it comes again", () => {
    const window = new DedupWindow<number>(100);
    window.add("a", 1, 0);
    window.remove("a", 2);
    expect(window.find("a", 0)).toBe(1);
    window.remove("a", 1);
    expect(window.find("a", 0)).toBeUndefined();
    window.add("a", 3, 50);
    expect(window.find("a", 149)).toBe(3);
    expect(window.find("a", 150)).toBeUndefined();
  });
});

describe("Arena", () => {
  it("stores copies that share no byte", () => {
    const arena = new Arena();
    const sources = [0, 1, 7, 100, 1_024, 1_025, 20_000, 3, 1_000].map((length, index) => {
      return new Uint8Array(length).fill(index + 1);
    });
    const places = sources.map((source) => {
      arena.write(source);
      const { slab, at, length } = arena;
      source.fill(0);
      return { slab, at, length };
    });
    for (const [index, place] of places.entries()) {
      expect(place.length).toBe(sources[index]?.length);
      const copy = copyOf(place);
      expect(copy.buffer.byteLength).toBe(place.length);
      expect(copy.every((byte) => byte === index + 1)).toBe(true);
      copy.fill(0);
    }
  });
});
