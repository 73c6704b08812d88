import { skipsByReason } from "./report/counts.ts";
import type { CaseResult, ConformanceReport } from "./report/report.ts";

/** Where a run talks to: `process.stdout` has this shape. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
}

const MARKS: Readonly<Record<CaseResult["status"], string>> = {
  passed: "ok  ",
  failed: "FAIL",
  skipped: "skip",
};

const MOST_LISTED = 30;

/** Prints a line for every case on a terminal; elsewhere only for what did not pass. */
export function printResult(output: Output, result: CaseResult): void {
  if (result.status === "passed" && !output.isTTY) return;
  const { id, title, reason, stack, status } = result;
  const tail = status === "skipped" ? `: ${reason ?? ""}` : ` (${Math.round(result.ms)} ms)`;
  output.write(`${MARKS[status]} ${id} ${title}${tail}\n`);
  if (status !== "failed") return;
  output.write(`     ${reason ?? ""}\n`);
  if (stack !== undefined) output.write(`${stack.replace(/^\s*/gm, "       ")}\n`);
}

/** Prints counts, skips by reason, and the badge line. */
export function printSummary(output: Output, report: ConformanceReport): void {
  const { passed, failed, skipped, cases } = report;
  const failures = cases.filter((result) => result.status === "failed");
  const lines = [
    "",
    `${report.suite} on ${report.server} (${report.harness}), seed ${report.seed}, ${(report.ms / 1_000).toFixed(1)} s`,
    `${passed} passed, ${failed} failed, ${skipped} skipped`,
    ...[...skipsByReason(cases)].map(
      ([reason, ids]) => `  skipped, ${reason} (${ids.length}): ${listed(ids)}`,
    ),
    ...failures.map(({ id, title }) => `  failed: ${id} ${title}`),
    ...(report.command !== undefined && failures.length > 0
      ? [`repeat one with: ${report.command} --only ID`]
      : []),
    ...(report.interrupted ? ["interrupted before all cases had run"] : []),
    report.badge,
  ];
  output.write(`${lines.join("\n")}\n`);
}

/** An interrupted run can have skipped most of the suite. */
function listed(ids: readonly string[]): string {
  const more = ids.length - MOST_LISTED;
  return ids.slice(0, MOST_LISTED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
