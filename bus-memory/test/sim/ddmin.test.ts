import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ddmin } from "../../src/sim/ddmin.ts";
import { smallerSteps } from "../../src/sim/smaller-steps.ts";

describe("ddmin", () => {
  it("leaves what is needed, in its order, and nothing else", async () => {
    const items = fc.uniqueArray(fc.nat(), { minLength: 1, maxLength: 60 });
    const cases = items.chain((all) => fc.tuple(fc.constant(all), fc.subarray(all)));
    await fc.assert(
      fc.asyncProperty(cases, async ([all, needed]) => {
        const left = await ddmin(all, async (some) => needed.every((item) => some.includes(item)));
        expect(left).toEqual(needed);
      }),
    );
  });

  it("asks few times where little is needed", async () => {
    let asked = 0;
    const left = await ddmin([...Array(1_000).keys()], async (some) => {
      asked += 1;
      return some.includes(500);
    });
    expect(left).toEqual([500]);
    expect(asked).toBeLessThan(60);
  });
});

describe("smallerSteps", () => {
  it("changes one number or list at a time", () => {
    expect([...smallerSteps({ do: "x", n: 9, of: [{ k: 2 }, { k: 1 }] })]).toEqual([
      { do: "x", n: 1, of: [{ k: 2 }, { k: 1 }] },
      { do: "x", n: 4, of: [{ k: 2 }, { k: 1 }] },
      { do: "x", n: 9, of: [{ k: 2 }] },
      { do: "x", n: 9, of: [{ k: 1 }, { k: 1 }] },
    ]);
  });
});
