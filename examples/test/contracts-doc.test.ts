import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { allCases } from "@busbar/conformance-tests";
import { describe, expect, it } from "vitest";

const page = readFileSync(
  fileURLToPath(new URL("../../docs/contracts.md", import.meta.url)),
  "utf8",
);
const lines = [...page.matchAll(/^- `(?<id>[A-Z0-9-]+)` (?<level>L\d): (?<rest>.*)$/gm)];
const named = new Set(lines.map((line) => line.groups?.["id"]));

describe("docs/contracts.md", () => {
  it("names cases of the suite and nothing else", () => {
    const ids = new Set(allCases.map((item) => item.id));
    expect([...named].filter((id) => !ids.has(id ?? ""))).toEqual([]);
  });

  it("names every case that a backend must pass", () => {
    const must = allCases.filter(({ level }) => level === "L0" || level === "L1");
    expect(must.filter(({ id }) => !named.has(id)).map(({ id }) => id)).toEqual([]);
  });

  it("says of every case what the suite says; npm run docs brings it up to date", () => {
    const said = new Map(lines.map(({ groups }) => [groups?.["id"], groups]));
    const stale = allCases.filter(({ id, level, title }) => {
      const line = said.get(id);
      return line?.["level"] !== level || !line["rest"]?.startsWith(title);
    });
    expect(stale.map(({ id }) => id)).toEqual([]);
  });

  it("has a list of cases in every section", () => {
    const silent = page
      .split(/^### /m)
      .slice(1)
      .filter((section) => !section.includes("<!-- begin: cases"))
      .map((section) => section.split("\n")[0]);
    expect(silent).toEqual([]);
  });
});
