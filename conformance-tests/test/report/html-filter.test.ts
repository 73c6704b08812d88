import { formatHtml } from "@busbar/conformance-tests";
import { selectAll } from "css-select";
import { parseDocument } from "htmlparser2";
import { beforeAll, describe, expect, it } from "vitest";
import { sampleReport } from "../support/sample-report.ts";

type Page = ReturnType<typeof parseDocument>;
type PageNode = Page | Page["children"][number];
type PageElement = Extract<PageNode, { readonly attribs: unknown }>;

function all(query: string, within: PageNode): PageElement[] {
  return selectAll<PageNode, PageElement>(query, within);
}

// The rules of the real style sheet, applied by a real selector engine to the real page.
describe("the filters of the HTML report", () => {
  let page = "";
  beforeAll(async () => {
    page = formatHtml(await sampleReport());
  });

  /** What a reader sees who has chosen these fields: ids of cases, names of contracts. */
  function shown(...chosen: readonly string[]): string[] {
    const document = parseDocument(page);
    for (const id of chosen) {
      const [field] = all(`#${id}`, document);
      if (field === undefined) throw new Error(`no field ${id}`);
      for (const other of all(`input[name=${field.attribs["name"]}]`, document)) {
        delete other.attribs["checked"];
      }
      field.attribs["checked"] = "";
    }
    const hiding = [...page.matchAll(/^(.+) \{ display: none \}$/gm)].map(([, rule = ""]) => rule);
    expect(hiding.length).toBeGreaterThan(0);
    const hidden = new Set<unknown>(hiding.flatMap((rule) => all(rule, document)));
    return all("section[data-contract], tr[data-status]", document)
      .filter((element) => !isHidden(element, hidden))
      .map(({ attribs }) => attribs["data-contract"] ?? attribs["id"] ?? "");
  }

  function isHidden(node: PageNode, hidden: ReadonlySet<unknown>): boolean {
    if (hidden.has(node)) return true;
    return node.parent !== null && isHidden(node.parent as PageNode, hidden);
  }

  it("show everything at first", () => {
    expect(shown()).toEqual(["lifecycle", "X-001", "X-002", "kv", "Y-001", "Y-002"]);
  });

  it("show cases of one status, and no contract without any", () => {
    expect(shown("status-passed")).toEqual(["lifecycle", "X-001", "kv", "Y-002"]);
    expect(shown("status-failed")).toEqual(["lifecycle", "X-002"]);
    expect(shown("status-skipped")).toEqual(["kv", "Y-001"]);
  });

  it("show one contract", () => {
    expect(shown("contract-kv")).toEqual(["kv", "Y-001", "Y-002"]);
    expect(shown("contract-lifecycle")).toEqual(["lifecycle", "X-001", "X-002"]);
  });

  it("show what both leave, and everything again", () => {
    expect(shown("contract-kv", "status-passed")).toEqual(["kv", "Y-002"]);
    expect(shown("contract-kv", "status-failed")).toEqual([]);
    expect(shown("status-failed", "status-all")).toEqual(shown());
  });

  it("are fields with a name, of which one of each group is chosen", () => {
    const document = parseDocument(page);
    for (const group of all("fieldset", document)) {
      expect(all("legend", group).length).toBe(1);
      expect(all("label > input[type=radio]", group).length).toBeGreaterThan(1);
      const chosen = all("input:checked", group).map(({ attribs }) => attribs["value"]);
      expect(chosen).toEqual(["all"]);
    }
  });
});
