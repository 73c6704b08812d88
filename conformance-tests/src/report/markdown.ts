import { LEVELS } from "../levels.ts";
import { type CaseResult, type ConformanceReport, skipsByReason } from "./report.ts";

const MARKS: Readonly<Record<CaseResult["status"], string>> = {
  passed: "passed",
  failed: "**failed**",
  skipped: "skipped",
};

/** The report as a Markdown page. */
export function formatMarkdown(report: ConformanceReport): string {
  const { passed, failed, skipped, cases } = report;
  const sections = [
    `# Conformance of ${cell(report.server)}`,
    `${passed} passed, ${failed} failed, ${skipped} skipped`,
    `\`${report.badge}\``,
    `Suite ${cell(report.suite)}, backend ${cell(report.backend)}, levels up to ${report.level}, seed ${report.seed}, ${(report.ms / 1_000).toFixed(1)} s.`,
    countsTable(cases),
    ...failures(cases),
    ...skips(cases),
    "## Cases",
    table(
      ["Case", "Level", "Result", "ms"],
      cases.map((result) => [
        `${result.id} ${cell(result.title)}`,
        result.level,
        MARKS[result.status],
        String(result.ms),
      ]),
    ),
  ];
  return `${sections.join("\n\n")}\n`;
}

function countsTable(cases: readonly CaseResult[]): string {
  const levels = LEVELS.filter((level) => cases.some((result) => result.level === level));
  const contracts = [...new Set(cases.map((result) => result.contract))];
  const rows = contracts.map((contract) => [
    contract,
    ...levels.map((level) => {
      const all = cases.filter((one) => one.contract === contract && one.level === level);
      const passed = all.filter((one) => one.status === "passed").length;
      return all.length === 0 ? "" : `${passed}/${all.length}`;
    }),
  ]);
  return table(["Contract", ...levels], rows);
}

function failures(cases: readonly CaseResult[]): string[] {
  const failed = cases.filter((result) => result.status === "failed");
  if (failed.length === 0) return [];
  const rows = failed.map(({ id, title, reason = "" }) => [id, cell(title), cell(reason)]);
  return ["## Failures", table(["Case", "What must hold", "What happened"], rows)];
}

function skips(cases: readonly CaseResult[]): string[] {
  const groups = skipsByReason(cases);
  if (groups.size === 0) return [];
  const rows = [...groups].map(([reason, ids]) => [cell(reason), ids.join(", ")]);
  return ["## Skips", table(["Reason", "Cases"], rows)];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function cell(text: string): string {
  return text.replace(/[|\\`*_<>[\]]/g, "\\$&").replace(/\s+/g, " ");
}
