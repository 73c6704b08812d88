import {
  type ConformanceReport,
  check,
  formatJson,
  formatJunit,
  formatMarkdown,
  runConformance,
} from "@busbar/conformance-tests";
import { describe, expect, it } from "vitest";
import { caseOf, fakeHarness } from "./support/fake-harness.ts";

const never = { reason: "needs the <moon>", met: () => false };

function sample(): Promise<ConformanceReport> {
  return runConformance(() => Promise.resolve(fakeHarness().harness), {
    seed: 9,
    cases: [
      caseOf("X-001", () => undefined),
      caseOf("X-002", () => check(false, 'a "bad" <end> & more | \u0000')),
      caseOf("Y-001", () => undefined, { level: "L2", contract: "kv", requires: [never] }),
      caseOf("Y-002", () => undefined, { level: "L2", contract: "kv" }),
    ],
  });
}

describe("report", () => {
  it("has the promised shape as JSON", async () => {
    const report = JSON.parse(formatJson(await sample())) as ConformanceReport;
    expect(report).toMatchObject({
      schemaVersion: 1,
      suite: expect.stringMatching(/^@busbar\/conformance-tests \d/) as string,
      backend: "fake",
      server: "fake-server 1.2.3",
      level: "L3",
      seed: 9,
      passed: 2,
      failed: 1,
      skipped: 1,
    });
    expect(report.cases.map(({ id, status }) => `${id} ${status}`)).toEqual([
      "X-001 passed",
      "X-002 failed",
      "Y-001 skipped",
      "Y-002 passed",
    ]);
    for (const { ms } of report.cases) expect(ms).toBeTypeOf("number");
    expect(report.cases[0]).not.toHaveProperty("reason");
    expect(report.cases[2]?.reason).toBe("needs the <moon>");
  });

  it("has a badge line", async () => {
    expect((await sample()).badge).toBe("L1 1/2 · L2 1/2 · fake 1.2.3");
  });

  it("is well-formed as JUnit", async () => {
    const xml = formatJunit(await sample());
    expect(xml).toContain('<testsuite name="lifecycle" tests="2" failures="1" errors="0"');
    expect(xml).toContain('<skipped message="needs the &lt;moon&gt;"/>');
    expect(xml).toContain("a &quot;bad&quot; &lt;end&gt; &amp; more | \ufffd");
    const open = xml.match(/<(?!\/|\?)[a-z]+[^>]*(?<!\/)>/g) ?? [];
    const closed = xml.match(/<\/[a-z]+>/g) ?? [];
    expect(open.length).toBe(closed.length);
  });

  it("is a page as Markdown", async () => {
    const page = formatMarkdown(await sample());
    expect(page).toContain("2 passed, 1 failed, 1 skipped");
    expect(page).toContain("`L1 1/2 · L2 1/2 · fake 1.2.3`");
    expect(page).toContain("| needs the \\<moon\\> | Y-001 |");
    expect(page).toMatch(/\| X-002 \| does X-002 \| a "bad" \\<end\\> & more \\\|/);
  });
});
