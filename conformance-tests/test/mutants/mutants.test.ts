import { allCases } from "@busbar/conformance-tests";
import { describe, expect, it } from "vitest";
import { onMessages } from "./contracts.ts";
import { allMutants } from "./index.ts";
import { tryMutant } from "./kill.ts";
import type { Mutant } from "./mutant.ts";
import { unbroken } from "./unbroken.ts";

describe("allMutants", () => {
  it("has 36 or more, with unique ids, each of a killer that exists", () => {
    expect(allMutants.length).toBeGreaterThanOrEqual(36);
    const ids = allMutants.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const cases = new Set(allCases.map(({ id }) => id));
    for (const { id, killedBy } of allMutants) {
      expect(killedBy.length, id).toBeGreaterThan(0);
      for (const killer of killedBy) expect(cases, `${id}: ${killer}`).toContain(killer);
    }
  });

  // That a fault is found means nothing if the wrapping alone is found as well.
  it("does not touch what it wraps: the killers pass where nothing is broken", async () => {
    const killers = [...new Set(allMutants.flatMap(({ killedBy }) => killedBy))];
    const { kills, ran } = await tryMutant(unbroken, { only: killers });
    expect(kills).toEqual([]);
    // One is about backends that declare less.
    expect(ran).toBeGreaterThanOrEqual(killers.length - 1);
  });
});

describe("the suite", () => {
  it.each(allMutants.map((mutant) => [mutant.id, mutant] as const))(
    "kills %s",
    async (_, mutant) => {
      const { kills, problems } = await tryMutant(mutant, { only: mutant.killedBy });
      expect(problems).toEqual([]);
      expect(kills.map(({ id }) => id).sort()).toEqual([...mutant.killedBy].sort());
    },
  );
});

describe("tryMutant", () => {
  const base = {
    id: "test",
    title: "A test",
    contract: "pubsub",
    killedBy: ["PS-ACK-002"],
  } as const;

  it("says so if the declared killer passes", async () => {
    const mutant: Mutant = { ...base, wrap: (world) => world.open };
    const { kills, problems } = await tryMutant(mutant, { only: base.killedBy });
    expect(kills).toEqual([]);
    expect(problems).toEqual(["PS-ACK-002 passed"]);
  });

  it("does not take an error of the mutant's own code for a kill", async () => {
    const wrap: Mutant["wrap"] = (world) =>
      onMessages(world, () => () => {
        throw new TypeError("a slip");
      });
    const { kills, problems } = await tryMutant({ ...base, wrap }, { only: base.killedBy });
    expect(kills).toHaveLength(1);
    expect(problems).toEqual([
      expect.stringContaining("failed for another reason: TypeError: a slip"),
    ]);
  });
});
