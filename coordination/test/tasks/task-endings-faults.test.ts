import { describe, expect, it } from "vitest";
import { faultSeeds } from "../support/faults.ts";
import { playEndings } from "./task-endings.ts";

describe("tasks under faults", () => {
  it("end exactly once: done, dead, cancelled or purged", { timeout: 3_600_000 }, async () => {
    const seeds = faultSeeds(20);
    const endings = { done: 0, dead: 0, cancelled: 0, purged: 0 };
    for (const seed of seeds) {
      const books = await playEndings(seed);
      expect(books.violations, `seed ${seed}`).toEqual([]);
      for (const how of Object.keys(endings) as (keyof typeof endings)[]) {
        endings[how] += books.endings[how];
      }
    }
    console.log(JSON.stringify(endings));
    // All of them happen.
    expect(Math.min(...Object.values(endings))).toBeGreaterThan(5);
  });
});
