import type { TaskRecord } from "@busbar/coordination";
import { describe, expect, it } from "vitest";
import { isKept, mostAtOnce } from "../demo/promises.ts";

function record(...attempts: readonly (readonly [startedAtMs: number, endedAtMs: number])[]) {
  return {
    status: "done",
    type: "mail",
    attempts: attempts.map(([startedAtMs, endedAtMs], index) => {
      return { attempt: index + 1, workerId: "one", startedAtMs, endedAtMs };
    }),
    logs: [],
    updatedAtMs: 0,
  } satisfies TaskRecord;
}

describe("what the demo judges", () => {
  it("counts the attempts that ran at the same time", () => {
    expect(mostAtOnce([])).toBe(0);
    expect(mostAtOnce([record([0, 10], [20, 30]), record([5, 25])])).toBe(2);
    expect(mostAtOnce([record([0, 10]), record([0, 10]), record([9, 12])])).toBe(3);
  });

  it("lets one begin where another one ends", () => {
    expect(mostAtOnce([record([0, 10]), record([10, 20])])).toBe(1);
  });

  it("tells what was kept from what was not", () => {
    const found = (must: "is" | "atLeast" | "atMost", wanted: number) =>
      isKept({ what: "tasks", found: 3, must, wanted });
    expect([found("is", 3), found("atLeast", 2), found("atMost", 4)]).toEqual([true, true, true]);
    expect([found("is", 2), found("atLeast", 4), found("atMost", 2)]).toEqual([
      false,
      false,
      false,
    ]);
  });
});
