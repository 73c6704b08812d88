import { describe, expect, it } from "vitest";
import { type Execution, executionsOf, problemsOf } from "./history.ts";

const run = (
  id: string,
  fromMs: number,
  toMs: number,
  more: Partial<Execution> = {},
): Execution => ({
  worker: "w",
  id,
  tenant: "a",
  fence: 1,
  attempt: 1,
  fromMs,
  toMs,
  lostAtMs: undefined,
  ...more,
});
const problems = (executions: readonly Execution[], ids = ["1"]): string[] =>
  problemsOf(executions, { a: 1 }, ids);

describe("the checker of a history", () => {
  it("finds what runs beside too many others, and nothing where one ends as the next begins", () => {
    expect(problems([run("1", 0, 10), run("2", 10, 20)], ["1", "2"])).toEqual([]);
    expect(problems([run("1", 0, 10), run("2", 9, 20)], ["1", "2"])).toEqual([
      "2 of 1 of a run when 2 begins",
    ]);
  });

  it("finds what was never begun", () => {
    expect(problems([run("1", 0, 10)], ["1", "2"])).toEqual(["2 was never begun"]);
  });

  it("finds what is begun again before its first lease has ended", () => {
    const again = run("1", 20, 30, { worker: "v", fence: 2 });
    expect(problems([run("1", 0, 10, { lostAtMs: 12 }), again])).toEqual([]);
    for (const lostAtMs of [undefined, 25]) {
      expect(problems([run("1", 0, 10, { lostAtMs }), again])).toEqual([
        "1 is begun at v while it is that of w",
      ]);
    }
    const stale = run("1", 20, 30, { worker: "v" });
    expect(problems([run("1", 0, 10, { lostAtMs: 12 }), stale])).toEqual(["1: fence 1 came twice"]);
  });

  it("takes the kill of a process for the end of what runs in it", () => {
    const line = { id: "1", tenant: "a", fence: 1, attempt: 1 };
    const begin = { ...line, type: "begin", atMs: 5 } as const;
    const [killed] = executionsOf("w", [begin], 8);
    expect(killed).toMatchObject({ fromMs: 5, toMs: 8, lostAtMs: 8 });
    const [ended] = executionsOf("w", [begin, { ...line, type: "end", atMs: 6 }], 8);
    expect(ended).toMatchObject({ fromMs: 5, toMs: 6, lostAtMs: 8 });
    const [lost] = executionsOf("w", [begin, { ...line, type: "aborted", atMs: 6 }], undefined);
    expect(lost).toMatchObject({ fromMs: 5, toMs: 6, lostAtMs: 6 });
    const [goesOn] = executionsOf("w", [begin], undefined);
    expect(goesOn).toMatchObject({ toMs: Number.POSITIVE_INFINITY });
  });
});
