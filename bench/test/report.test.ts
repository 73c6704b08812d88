import { describe, expect, it } from "vitest";
import { isMet, type Report, type Row, toJson, toTable } from "../src/report.ts";

const ratio: Row = {
  name: "publish",
  unit: "per second",
  busbar: 150,
  raw: 100,
  rawDefault: 50,
  ratio: 1.5,
  target: { of: "ratio", bound: "atLeast", value: 1.5 },
};
const latency: Row = {
  name: "pick-up",
  unit: "ms",
  busbar: 5.1,
  target: { of: "busbar", bound: "atMost", value: 5 },
};
const plain: Row = { name: "informational", unit: "per second", busbar: 12_345.6 };
const report: Report = {
  suite: "bench test",
  environment: { node: "v24", server: "none", cpus: 2, cpu: "some", rounds: 5, date: "today" },
  rows: [ratio, latency, plain],
};

describe("isMet", () => {
  it("compares the ratio, or Busbar's own figure, with its bound", () => {
    expect(report.rows.map(isMet)).toEqual([true, false, undefined]);
  });

  it("misses a ratio that was not measured", () => {
    expect(isMet({ ...latency, target: ratio.target })).toBe(false);
  });
});

describe("toJson", () => {
  it("gives each row with its figures, and its target where it has one", () => {
    const parsed = JSON.parse(toJson(report)) as { rows: unknown[] };
    expect(parsed.rows).toEqual([
      {
        name: "publish",
        unit: "per second",
        busbar: 150,
        raw: 100,
        rawDefault: 50,
        ratio: 1.5,
        target: 1.5,
        targetOf: "ratio",
        targetBound: "atLeast",
        met: true,
      },
      {
        name: "pick-up",
        unit: "ms",
        busbar: 5.1,
        target: 5,
        targetOf: "busbar",
        targetBound: "atMost",
        met: false,
      },
      plain,
    ]);
  });
});

describe("toTable", () => {
  it("marks rows against their targets and counts them", () => {
    const table = toTable(report);
    expect(table).toMatch(/publish .* 1\.50 +>= 1\.5 +met$/m);
    expect(table).toMatch(/pick-up .* <= 5 +MISSED$/m);
    expect(table).toMatch(/informational .* 12,346$/m);
    expect(table).toContain("1 of 2 targets met");
  });
});
