import { formatHtml, runConformance } from "@busbar/conformance-tests";
import { HtmlValidate } from "html-validate";
import { describe, expect, it } from "vitest";
import { virtualMemoryHarness } from "../support/memory-harness.ts";
import { interruptedReport, sampleReport } from "../support/sample-report.ts";

const validator = new HtmlValidate({
  root: true,
  extends: ["html-validate:standard", "html-validate:a11y", "html-validate:document"],
});

async function problems(page: string): Promise<string[]> {
  const { results } = await validator.validateString(page);
  return results.flatMap(({ messages }) =>
    messages.map(({ line, ruleId, message }) => `line ${line}: ${ruleId}: ${message}`),
  );
}

/** The page without its style sheet. */
function body(page: string): string {
  return page.replace(/<style>.*<\/style>/s, "");
}

describe("formatHtml", () => {
  it("is valid and accessible HTML, whatever a backend says", async () => {
    const memory = await runConformance(virtualMemoryHarness, { level: "L0", seed: 1 });
    for (const report of [memory, await sampleReport(), await interruptedReport()]) {
      expect(await problems(formatHtml(report))).toEqual([]);
    }
  });

  it("would be told if it were not", async () => {
    const page = formatHtml(await sampleReport());
    expect(await problems(page.replace('<th scope="col">', "<th>"))).not.toEqual([]);
    expect(await problems(page.replace("<h2>", "<h4>"))).not.toEqual([]);
    expect(await problems(page.replace("</section>", ""))).not.toEqual([]);
  });

  it("lets nothing of a backend become markup", async () => {
    const report = await sampleReport();
    const hostile = report.cases[1]?.reason ?? "";
    const everywhere = {
      ...report,
      server: hostile,
      harness: hostile,
      badge: hostile,
      command: hostile,
      capabilities: { ...report.capabilities, backend: hostile },
    };
    const page = body(formatHtml(everywhere));
    expect(page).toContain("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;");
    expect(page).not.toMatch(/<script|<img|\0|\u0085|\ud800(?![\udc00-\udfff])/);
    expect(await problems(formatHtml(everywhere))).toEqual([]);
  });

  it("loads nothing and runs nothing", async () => {
    const page = formatHtml(await sampleReport());
    const tags = body(page).match(/<[^>]+>/g) ?? [];
    for (const tag of tags) {
      expect(tag).not.toMatch(/ (?:src|action|on\w+)=|<(?:link|base|iframe|object|script)/);
    }
    for (const [, target = ""] of page.matchAll(/ href="([^"]*)"/g)) {
      expect(target).toMatch(/^#/);
      expect(page).toContain(`id="${target.slice(1)}"`);
    }
    expect(page).not.toMatch(/@import|url\(/);
    expect(page).toContain(
      'content="default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;"',
    );
  });

  it("says of every case what came out, and of a failure where and how to repeat it", async () => {
    const page = formatHtml(await sampleReport());
    for (const id of ["X-001", "X-002", "Y-001", "Y-002"]) {
      expect(page).toMatch(new RegExp(`<tr id="${id}" data-status="(passed|failed|skipped)">`));
    }
    const row = /<tr id="X-002".*?<\/tr>/s.exec(page)?.[0] ?? "";
    expect(row).toContain("does X-002");
    expect(row).toContain("<td>L1</td>");
    expect(row).toContain("sample-report.ts");
    expect(row).toContain("--seed 9 --only X-002");
    expect(/<tr id="Y-001".*?<\/tr>/s.exec(page)?.[0]).toContain("needs the &lt;moon&gt;");
    expect(page).toContain("<dt>Seed</dt><dd>9</dd>");
    expect(page).toContain("<code>settleDurability.jobs</code>");
    expect(page).toMatch(/<th scope="row">kv<\/th><td><\/td><td>1\/2<\/td><td>1\/2<\/td>/);
  });

  it("says that it was interrupted", async () => {
    expect(formatHtml(await interruptedReport())).toContain("interrupted before all cases had run");
    expect(formatHtml(await sampleReport())).not.toContain("interrupted");
  });
});
