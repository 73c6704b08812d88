import { BusError } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { isSame, outcomeOf } from "../src/outcome.ts";

function failing(error: unknown): Promise<unknown> {
  return outcomeOf(
    () => Promise.reject(error as Error),
    () => "ok",
    (revision) => `revision ${revision}`,
  );
}

describe("outcomeOf", () => {
  it("tells the view of a result", async () => {
    expect(await outcomeOf(async () => 4)).toBe("ok");
    expect(
      await outcomeOf(
        async () => 4,
        (four) => four + 1,
      ),
    ).toBe(5);
  });

  it("tells of a BusError its code and the details that are promised, not its text", async () => {
    const details = { field: "key", owner: "w", header: "a", maxBytes: 1, bytes: 2, atMs: 17 };
    expect(await failing(new BusError("INVALID_ARGUMENT", "no key", { details }))).toEqual({
      error: "INVALID_ARGUMENT",
      field: "key",
      owner: "w",
      header: "a",
      maxBytes: 1,
      bytes: 2,
    });
  });

  it("names the revision or sequence of a conflict", async () => {
    const named = { error: "CONFLICT", current: "revision 3" };
    expect(await failing(new BusError("CONFLICT", "", { details: { revision: 3 } }))).toEqual(
      named,
    );
    expect(await failing(new BusError("CONFLICT", "", { details: { sequence: 3 } }))).toEqual(
      named,
    );
  });

  it("takes lists in details for sets", async () => {
    const conflict = (...options: readonly string[]): BusError =>
      new BusError("CONFLICT", "", {
        details: { differences: options.map((option) => ({ option })) },
      });
    expect(await failing(conflict("a", "b"))).toEqual(await failing(conflict("b", "a")));
    expect(await failing(conflict("a", "b"))).not.toEqual(await failing(conflict("a", "c")));
  });

  it("tells what a handler said, and the whole text of a refused argument", async () => {
    const remote = new BusError("REMOTE", "", { details: { code: "E", message: "no" } });
    expect(await failing(remote)).toEqual({ error: "REMOTE", code: "E", message: "no" });
    expect(await failing(new RangeError("limit must be 1"))).toEqual({
      error: "RangeError",
      message: "limit must be 1",
    });
  });

  it("takes any other error for a difference of its own", async () => {
    expect(await failing(new Error("socket"))).toEqual({
      error: "other",
      message: "Error: socket",
    });
  });
});

describe("isSame", () => {
  it("compares plain data, and what is not there", () => {
    expect(isSame({ body: "s1@0", headers: undefined }, { body: "s1@0" })).toBe(true);
    expect(isSame([{ count: 1 }], [{ count: 2 }])).toBe(false);
    expect(isSame(["a", "b"], ["b", "a"])).toBe(false);
    expect(isSame(null, 0)).toBe(false);
  });
});
