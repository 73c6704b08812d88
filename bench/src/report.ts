import type { Environment } from "./environment.ts";
import type { BySide } from "./measure.ts";

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
  /** CPU time of the client's thread for one operation, in microseconds. */
  readonly cpuUs?: BySide | undefined;
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

const COLUMNS: readonly string[] = [
  "",
  "unit",
  "busbar",
  "raw best",
  "raw default",
  "ratio",
  "target",
  "",
  "cpu µs",
  "raw cpu µs",
];
/** Columns of text; the others are numbers. */
const TEXT = new Set([0, 1, 7]);

/** The report as a table of plain text. A column in which no row has anything is left out. */
export function toTable(report: Report): string {
  const rows = report.rows.map(cells);
  const used = COLUMNS.map((_, column) => column).filter((column) =>
    rows.some((row) => row[column]),
  );
  const width = (column: number): number =>
    Math.max(...[COLUMNS, ...rows].map((row) => (row[column] ?? "").length));
  const pad = (cell: string, column: number): string =>
    TEXT.has(column) ? cell.padEnd(width(column)) : cell.padStart(width(column));
  const table = [COLUMNS, ...rows].map((row) =>
    used
      .map((column) => pad(row[column] ?? "", column))
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
    figure(row.cpuUs?.busbar),
    figure(row.cpuUs?.raw),
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
