import { describe, expect, it } from "vitest";
import { median, medianRatio, percentile } from "../src/statistics.ts";

describe("median", () => {
  it("is the middle of an odd number of values, in any order", () => {
    expect(median([9, 1, 5])).toBe(5);
  });

  it("is the mean of the two in the middle of an even number", () => {
    expect(median([4, 1, 3, 100])).toBe(3.5);
  });

  it("leaves its input alone", () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe("percentile", () => {
  it("interpolates between neighbours", () => {
    expect(percentile([0, 10], 99)).toBeCloseTo(9.9);
  });

  it("is not a number where there are no values", () => {
    expect(percentile([], 50)).toBeNaN();
  });
});

describe("medianRatio", () => {
  it("pairs the rounds, so that a slow round of both counts for nothing", () => {
    expect(medianRatio([100, 10, 100], [50, 5, 50])).toBe(2);
  });
});
