import type { Environment } from "./environment.ts";

/** What a row has to reach: of its ratio, or of Busbar's own figure. */
export interface Target {
  readonly of: "ratio" | "busbar";
  readonly bound: "atLeast" | "atMost";
  readonly value: number;
}

/** One measured figure. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  /** Busbar's figure: the median of the rounds. */
  readonly busbar: number;
  /** That of the raw client with its best options. */
  readonly raw?: number | undefined;
  /** That of the raw client with its default options. */
  readonly rawDefault?: number | undefined;
  /** `busbar / raw`: the median of the ratios of the rounds. */
  readonly ratio?: number | undefined;
  readonly target?: Target | undefined;
  readonly note?: string | undefined;
}

/** What a bench run gives. */
export interface Report {
  readonly suite: string;
  readonly environment: Environment;
  readonly rows: readonly Row[];
}

/** Whether a row reaches its target; `undefined` if it has none. */
export function isMet(row: Row): boolean | undefined {
  const { target } = row;
  if (target === undefined) return undefined;
  const value = target.of === "ratio" ? row.ratio : row.busbar;
  if (value === undefined) return false;
  return target.bound === "atLeast" ? value >= target.value : value <= target.value;
}

/** The report as JSON: each row with its target as one number and whether it is met. */
export function toJson(report: Report): string {
  const rows = report.rows.map(({ target, ...row }) => ({
    ...row,
    ...(target === undefined
      ? {}
      : {
          target: target.value,
          targetOf: target.of,
          targetBound: target.bound,
          met: isMet({ ...row, target }),
        }),
  }));
  return `${JSON.stringify({ suite: report.suite, environment: report.environment, rows }, undefined, 2)}\n`;
}

const COLUMNS = ["", "unit", "busbar", "raw best", "raw default", "ratio", "target", ""] as const;

/** The report as a table of plain text. */
export function toTable(report: Report): string {
  const lines = [COLUMNS as readonly string[], ...report.rows.map(cells)];
  const widths = COLUMNS.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? "").length)),
  );
  const table = lines.map((line) =>
    line
      .map((cell, column) =>
        column < 2 || column === COLUMNS.length - 1
          ? cell.padEnd(widths[column] as number)
          : cell.padStart(widths[column] as number),
      )
      .join("  ")
      .trimEnd(),
  );
  const notes = report.rows.flatMap((row) => (row.note ? [`${row.name}: ${row.note}`] : []));
  return [...table, ...(notes.length > 0 ? ["", ...notes] : []), "", summary(report)].join("\n");
}

function summary({ environment, rows }: Report): string {
  const judged = rows.map(isMet).filter((met) => met !== undefined);
  const met = judged.filter((one) => one).length;
  const facts = Object.entries(environment).map(([name, value]) => `${name} ${value}`);
  return `${facts.join(", ")}\n${met} of ${judged.length} targets met`;
}

function cells(row: Row): readonly string[] {
  const met = isMet(row);
  return [
    row.name,
    row.unit,
    figure(row.busbar),
    figure(row.raw),
    figure(row.rawDefault),
    row.ratio === undefined ? "" : row.ratio.toFixed(2),
    row.target === undefined ? "" : targetText(row.target),
    met === undefined ? "" : met ? "met" : "MISSED",
  ];
}

function targetText({ bound, value }: Target): string {
  return `${bound === "atLeast" ? ">=" : "<="} ${figure(value)}`;
}

/** Three digits where there are decimals, whole numbers with separators above. */
function figure(value: number | undefined): string {
  if (value === undefined) return "";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
