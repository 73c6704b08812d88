import { type ConformanceReport, check, runConformance } from "@busbar/conformance-tests";
import { caseOf, fakeHarness } from "./fake-harness.ts";

/** What a backend may put into its messages to break out of a report. */
export const HOSTILE =
  "</p><script>alert(\"1\")</script><img src=x onerror=y> \u0000\u0085\ud800 & 'q' ]]>\n|\ttail";

/** Two cases pass, one fails with {@link HOSTILE}, one is skipped. */
export async function sampleReport(): Promise<ConformanceReport> {
  const never = { reason: "needs the <moon>", met: () => false };
  const report = await runConformance(() => Promise.resolve(fakeHarness().harness), {
    seed: 9,
    cases: [
      caseOf("X-001", () => undefined),
      caseOf("X-002", () => check(false, HOSTILE)),
      caseOf("Y-001", () => undefined, { level: "L2", contract: "kv", requires: [never] }),
      caseOf("Y-002", () => undefined, { level: "L2", contract: "kv" }),
    ],
  });
  return { ...report, command: "npx busbar-conformance --bus '<bus>' --seed 9" };
}

/** The sample as it would be if a signal had ended it. */
export async function interruptedReport(): Promise<ConformanceReport> {
  return { ...(await sampleReport()), interrupted: true, failed: 0, badge: "L1 1/2 · interrupted" };
}
