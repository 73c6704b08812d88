import type { Contract, Level } from "../case.ts";
import { LEVELS } from "../levels.ts";
import type { CaseResult } from "./report.ts";

/** How many results have each status. */
export type StatusCounts = Readonly<Record<CaseResult["status"], number>>;

/** Counts results by their status. */
export function countStatuses(cases: readonly CaseResult[]): StatusCounts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { status } of cases) counts[status] += 1;
  return counts;
}

/** The levels that some case has, in order. */
export function levelsIn(cases: readonly CaseResult[]): Level[] {
  return LEVELS.filter((level) => cases.some((result) => result.level === level));
}

/** The contracts that some case has, in order of appearance. */
export function contractsIn(cases: readonly CaseResult[]): Contract[] {
  return [...new Set(cases.map(({ contract }) => contract))];
}

/** Passed of all, such as `13/18`; empty if there is no case. */
export function passedOf(cases: readonly CaseResult[]): string {
  return cases.length === 0 ? "" : `${countStatuses(cases).passed}/${cases.length}`;
}

/** The skipped cases by their reason, in order of appearance. */
export function skipsByReason(cases: readonly CaseResult[]): ReadonlyMap<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { id, status, reason = "" } of cases) {
    if (status !== "skipped") continue;
    const ids = groups.get(reason);
    if (ids) ids.push(id);
    else groups.set(reason, [id]);
  }
  return groups;
}
