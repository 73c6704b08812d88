import type { ConformanceReport } from "./report.ts";

/** The report as JSON text. */
export function formatJson(report: ConformanceReport): string {
  return `${JSON.stringify(report, undefined, 2)}\n`;
}
