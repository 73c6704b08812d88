import { type ConformanceReport, formatJson, formatMarkdown } from "@busbar/conformance-tests";
import { describe, expect, it } from "vitest";
import { interruptedReport, sampleReport as sample } from "./support/sample-report.ts";

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
      runtime: `node ${process.versions.node} on ${process.platform} ${process.arch}`,
      interrupted: false,
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

  it("is a page as Markdown", async () => {
    const page = formatMarkdown(await sample());
    expect(page).toContain("2 passed, 1 failed, 1 skipped");
    expect(page).toContain("`L1 1/2 · L2 1/2 · fake 1.2.3`");
    expect(page).toContain("| needs the \\<moon\\> | Y-001 |");
    expect(page).toContain('| X-002 | does X-002 | \\</p\\>\\<script\\>alert("1")');
    expect(page).toContain("`npx busbar-conformance --bus '<bus>' --seed 9 --only ID`");
    expect(page).not.toContain("nterrupted");
    expect(formatMarkdown(await interruptedReport())).toContain("**Interrupted**");
  });
});
