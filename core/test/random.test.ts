import { describe, expect, it } from "vitest";
import { newId, seededRandom, systemRandom } from "../src/index.ts";

const take = (random: { next(): number }, count: number): number[] =>
  Array.from({ length: count }, () => random.next());

describe("seededRandom", () => {
  it("gives the same numbers for the same seed, everywhere", () => {
    // The published values of mulberry32 for this seed.
    expect(take(seededRandom(1), 3)).toEqual([
      0.6270739405881613, 0.002735721180215478, 0.5274470399599522,
    ]);
    expect(take(seededRandom(7), 100)).toEqual(take(seededRandom(7), 100));
    expect(take(seededRandom(7), 5)).not.toEqual(take(seededRandom(8), 5));
  });

  it("gives numbers from 0 to 1, evenly", () => {
    const buckets = Array.from({ length: 10 }, () => 0);
    for (const value of take(seededRandom(3), 100_000)) {
      expect(value >= 0 && value < 1).toBe(true);
      buckets[Math.floor(value * 10)]! += 1;
    }
    for (const count of buckets) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });
});

describe("newId", () => {
  it("has 22 letters and digits, or as many as wanted", () => {
    expect(newId()).toMatch(/^[0-9A-Za-z]{22}$/);
    expect(newId(systemRandom, 5)).toHaveLength(5);
    expect(newId(seededRandom(1))).toBe(newId(seededRandom(1)));
    expect(newId({ next: () => 0 }, 3)).toBe("000");
    expect(newId({ next: () => 1 - 2 ** -53 }, 3)).toBe("zzz");
  });

  it("does not repeat", () => {
    expect(new Set(Array.from({ length: 10_000 }, () => newId())).size).toBe(10_000);
  });
});
