import { allCases, LEVELS, selectCases } from "@busbar/conformance-tests";
import { describe, expect, it } from "vitest";

describe("allCases", () => {
  it("has 150 cases or more, of every level and contract", () => {
    expect(allCases.length).toBeGreaterThanOrEqual(150);
    expect([...new Set(allCases.map(({ level }) => level))].sort()).toEqual(LEVELS);
    const contracts = [...new Set(allCases.map(({ contract }) => contract))].sort();
    expect(contracts).toEqual([
      "capabilities",
      "faults",
      "jobs",
      "kv",
      "lease",
      "lifecycle",
      "names",
      "pubsub",
      "rpc",
    ]);
  });

  it("has unique, well-formed ids", () => {
    const ids = allCases.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[A-Z]{2,5}(?:-[A-Z]+)*-\d{3}$/);
  });

  it("has a title for every case that says what holds", () => {
    for (const { id, title } of allCases) {
      expect(title.length, id).toBeGreaterThan(10);
      expect(title, id).not.toMatch(/\bshould\b|\n|\.$/);
    }
    const titles = allCases.map(({ contract, title }) => `${contract}: ${title}`);
    expect(new Set(titles).size).toBe(titles.length);
  });

  it("requires a server that can be killed in all faults, and in nothing below L4", () => {
    const reason = "needs a harness that can kill and restart the server";
    for (const { id, level, requires = [] } of allCases) {
      const kills = requires.some((requirement) => requirement.reason === reason);
      expect(kills, id).toBe(level === "L4");
    }
  });
});

describe("selectCases", () => {
  it("goes up to L3 unless it is told otherwise, and to L4 for a named case", () => {
    const levels = (level?: "L0" | "L4"): string[] => [
      ...new Set(selectCases(allCases, { level }).map((item) => item.level)),
    ];
    expect(levels().sort()).toEqual(["L0", "L1", "L2", "L3"]);
    expect(levels("L0")).toEqual(["L0"]);
    expect(levels("L4").sort()).toEqual([...LEVELS]);
    const fault = allCases.find(({ level }) => level === "L4");
    expect(selectCases(allCases, { only: [fault?.id ?? ""] })).toEqual([fault]);
  });

  it("takes the beginning of ids", () => {
    const group = selectCases(allCases, { only: ["LC-", "NAME-"] });
    expect(group.length).toBeGreaterThan(10);
    for (const { id } of group) expect(id).toMatch(/^(?:LC|NAME)-/);
  });

  it("refuses an id that nobody has", () => {
    expect(() => selectCases(allCases, { only: ["ZZ-9"] })).toThrow(/ZZ-9/);
  });
});
