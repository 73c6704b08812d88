import { contractsIn, levelsIn, passedOf, skipsByReason } from "./counts.ts";
import type { CaseResult, ConformanceReport } from "./report.ts";

const MARKS: Readonly<Record<CaseResult["status"], string>> = {
  passed: "passed",
  failed: "**failed**",
  skipped: "skipped",
};

/** The report as a Markdown page. */
export function formatMarkdown(report: ConformanceReport): string {
  const { passed, failed, skipped, cases } = report;
  const startedAt = new Date(report.startedAtMs).toISOString();
  const sections = [
    `# Conformance of ${cell(report.server)}`,
    `${passed} passed, ${failed} failed, ${skipped} skipped`,
    ...(report.interrupted ? ["**Interrupted** before all cases had run."] : []),
    code(report.badge),
    `Suite ${cell(report.suite)}, backend ${cell(report.backend)}, levels up to ${report.level}, seed ${report.seed}, ${cell(report.runtime)}, ${startedAt}, ${(report.ms / 1_000).toFixed(1)} s.`,
    countsTable(cases),
    ...failures(report),
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
  const levels = levelsIn(cases);
  const rows = contractsIn(cases).map((contract) => {
    const own = cases.filter((result) => result.contract === contract);
    const counts = levels.map((level) => passedOf(own.filter((result) => result.level === level)));
    return [contract, ...counts];
  });
  return table(["Contract", ...levels], rows);
}

function failures({ cases, command }: ConformanceReport): string[] {
  const failed = cases.filter((result) => result.status === "failed");
  if (failed.length === 0) return [];
  const rows = failed.map(({ id, title, reason = "" }) => [id, cell(title), cell(reason)]);
  const sections = ["## Failures", table(["Case", "What must hold", "What happened"], rows)];
  return command === undefined
    ? sections
    : [...sections, `Repeat one with ${code(`${command} --only ID`)}.`];
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
  return text.replace(/[|\\`*_<>[\]&]/g, "\\$&").replace(/\s+/g, " ");
}

/** A span of code, also around backticks. */
function code(text: string): string {
  const longest = Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  const space = longest > 0 ? " " : "";
  return `${fence}${space}${text.replace(/\s+/g, " ")}${space}${fence}`;
}
