import { formatBadge } from "@busbar/conformance-tests";
import { DOMParser, onErrorStopParsing } from "@xmldom/xmldom";
import { describe, expect, it } from "vitest";
import { HOSTILE, interruptedReport, sampleReport } from "../support/sample-report.ts";

async function badge(
  change: { readonly failed?: number; readonly badge?: string } = {},
): Promise<{ title: string; svg: string }> {
  const svg = formatBadge({ ...(await sampleReport()), ...change });
  const parser = new DOMParser({ onError: onErrorStopParsing });
  const root = parser.parseFromString(svg, "image/svg+xml").documentElement;
  expect(root?.tagName).toBe("svg");
  return { title: root?.getElementsByTagName("title")[0]?.textContent ?? "", svg };
}

describe("formatBadge", () => {
  it("is an image with the badge line, also for those who cannot see it", async () => {
    const { title, svg } = await badge();
    expect(title).toBe("busbar: L1 1/2 · L2 1/2 · fake 1.2.3");
    expect(svg).toContain('aria-label="busbar: L1 1/2');
    expect(svg.replace("http://www.w3.org/2000/svg", "")).not.toMatch(/http|href|url\((?!#)/);
  });

  it("tells success, failure and interruption apart", async () => {
    const green = (await badge({ failed: 0 })).svg;
    const red = (await badge()).svg;
    const grey = formatBadge(await interruptedReport());
    expect(green).toContain("#2e7d32");
    expect(red).toContain("#c62828");
    expect(grey).toContain("#616161");
    expect(grey).toContain("interrupted");
  });

  it("stays an image whatever the server calls itself", async () => {
    const { title, svg } = await badge({ badge: HOSTILE });
    expect(title).toContain("<script>");
    expect(svg).not.toContain("<script");
  });
});
