import { type ConformanceReport, formatJunit } from "@busbar/conformance-tests";
import { DOMParser, type Document, type Element, onErrorStopParsing } from "@xmldom/xmldom";
import { describe, expect, it } from "vitest";
import { interruptedReport, sampleReport } from "../support/sample-report.ts";

// What Jenkins' schema allows, and GitLab and the actions of GitHub read: attributes and children.
const ALLOWED: Readonly<Record<string, readonly [readonly string[], readonly string[]]>> = {
  testsuites: [["name", "tests", "failures", "errors", "skipped", "time"], ["testsuite"]],
  testsuite: [
    ["name", "tests", "failures", "errors", "skipped", "time", "timestamp"],
    ["properties", "testcase"],
  ],
  properties: [[], ["property"]],
  property: [["name", "value"], []],
  testcase: [
    ["name", "classname", "time"],
    ["skipped", "failure", "error"],
  ],
  skipped: [["message"], []],
  failure: [["message"], []],
  error: [["message"], []],
};
const NEEDED = ["name", "tests", "failures", "errors", "skipped", "time", "message", "classname"];

function parse(report: ConformanceReport): Document {
  const parser = new DOMParser({ onError: onErrorStopParsing });
  return parser.parseFromString(formatJunit(report), "text/xml");
}

function elements(of: Document | Element, name = "*"): Element[] {
  return [...of.getElementsByTagName(name)];
}

describe("formatJunit", () => {
  it("has nothing but what the readers of JUnit know, and all that they need", async () => {
    for (const report of [await sampleReport(), await interruptedReport()]) {
      for (const element of elements(parse(report))) {
        const [attributes] = ALLOWED[element.tagName] ?? [[]];
        const own = [...element.attributes].map(({ name }) => name);
        const needed = attributes.filter((name) => NEEDED.includes(name));
        expect(attributes).toEqual(expect.arrayContaining(own));
        expect(own).toEqual(expect.arrayContaining(needed));
        expect(ALLOWED).toHaveProperty(element.tagName);
        const parent = element.parentNode as Element | null;
        if (parent?.tagName) expect(ALLOWED[parent.tagName]?.[1]).toContain(element.tagName);
      }
    }
  });

  it("counts what it holds, in every suite and in all", async () => {
    for (const report of [await sampleReport(), await interruptedReport()]) {
      const document = parse(report);
      for (const suite of [
        ...elements(document, "testsuites"),
        ...elements(document, "testsuite"),
      ]) {
        const count = (name: string): string => `${elements(suite, name).length}`;
        expect(suite.getAttribute("tests")).toBe(count("testcase"));
        expect(suite.getAttribute("failures")).toBe(count("failure"));
        expect(suite.getAttribute("errors")).toBe(count("error"));
        expect(suite.getAttribute("skipped")).toBe(count("skipped"));
      }
    }
  });

  it("gives a reader the text of a backend as it was, but for what XML cannot say", async () => {
    const report = await sampleReport();
    const [failure] = elements(parse(report), "failure");
    const reason = report.cases[1]?.reason?.replace(/[\0\u0085\ud800]/g, "\ufffd") ?? "";
    expect(reason).toContain("<script>");
    expect(failure?.getAttribute("message")).toBe(reason);
    expect(failure?.textContent).toContain(`${reason}\n`);
    expect(failure?.textContent).toContain("sample-report.ts");
    expect(failure?.textContent).toContain("--bus '<bus>' --seed 9 --only X-002");
    expect(elements(parse(report), "skipped")[0]?.getAttribute("message")).toBe("needs the <moon>");
  });

  it("names cases and says where and with which seed they ran", async () => {
    const document = parse(await sampleReport());
    const names = elements(document, "testcase").map((item) => item.getAttribute("name"));
    expect(names).toContain("X-001 does X-001");
    expect(elements(document, "testcase")[3]?.getAttribute("classname")).toBe("kv.L2");
    const properties = elements(document, "property").map(
      (item) => `${item.getAttribute("name")}=${item.getAttribute("value")}`,
    );
    expect(properties).toContain("seed=9");
    expect(properties).toContain("server=fake-server 1.2.3");
  });

  it("has an error for a run that was interrupted", async () => {
    const [error] = elements(parse(await interruptedReport()), "error");
    expect(error?.getAttribute("message")).toMatch(/^interrupted/);
    expect(elements(parse(await sampleReport()), "error")).toEqual([]);
  });
});
