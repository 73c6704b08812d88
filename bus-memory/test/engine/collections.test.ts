import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Arena } from "../../src/engine/arena.ts";
import { Bag } from "../../src/engine/bag.ts";
import { DedupWindow } from "../../src/engine/dedup-window.ts";
import { Fifo } from "../../src/engine/fifo.ts";
import { SequenceLog } from "../../src/engine/sequence-log.ts";
import { SortedKeys } from "../../src/engine/sorted-keys.ts";
import { SubjectLine } from "../../src/engine/subject-line.ts";

describe("Fifo", () => {
  it("gives what an array would, whatever is pushed and taken", () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 1, max: 400 }) }),
      fc.record({ take: fc.integer({ min: 1, max: 400 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
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

describe("SequenceLog", () => {
  it("finds items by number and drops the oldest", () => {
    const log = new SequenceLog<number>();
    for (let sequence = 1; sequence <= 5_000; sequence++) {
      expect(log.next).toBe(sequence);
      log.push(sequence);
      if (sequence % 3 !== 0) expect(log.dropFirst()).toBe(log.first - 1);
    }
    for (let sequence = log.first; sequence < log.next; sequence++) {
      expect(log.get(sequence)).toBe(sequence);
    }
    expect(log.get(log.first - 1)).toBeUndefined();
    expect(log.get(log.next)).toBeUndefined();
    while (log.size > 0) log.dropFirst();
    expect(log.dropFirst()).toBeUndefined();
    log.push(5_001);
    expect(log.get(5_001)).toBe(5_001);
  });
});

describe("SubjectLine", () => {
  it("finds the first from a sequence on, with good and bad hints, also after drops", () => {
    const line = new SubjectLine();
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
});

describe("Arena", () => {
  it("gives copies that share no byte", () => {
    const arena = new Arena();
    const sources = [0, 1, 7, 100, 2_048, 2_049, 20_000, 3].map((length, index) => {
      return new Uint8Array(length).fill(index);
    });
    const copies = sources.map((source) => arena.copy(source));
    for (const copy of copies) copy.fill(255 - (copy[0] ?? 0));
    for (const [index, copy] of copies.entries()) {
      expect(copy.length).toBe(sources[index]?.length);
      expect(copy.every((byte) => byte === 255 - index)).toBe(true);
      expect(sources[index]?.every((byte) => byte === index)).toBe(true);
    }
  });
});
