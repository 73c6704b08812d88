import { makeBadge } from "badge-maker";
import { printable } from "./markup.ts";
import type { ConformanceReport } from "./report.ts";

/**
 * The badge line as an SVG image: green if nothing failed, red if something did, grey if the run was
 * interrupted. It says the same to screen readers as to the eye, and needs no other file.
 */
export function formatBadge(report: ConformanceReport): string {
  const color = report.failed > 0 ? "#c62828" : report.interrupted ? "#616161" : "#2e7d32";
  const message = printable(report.badge).replace(/\s+/g, " ");
  return `${makeBadge({ label: "busbar", message, color })}\n`;
}
