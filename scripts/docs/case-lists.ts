import { allCases, type ConformanceCase } from "@busbar/conformance-tests";

/** The group of a case: its id without the number. */
export function groupOf(id: string): string {
  return id.replace(/-\d+$/, "");
}

/** The groups of all cases, in their order. */
export function caseGroups(): string[] {
  return [...new Set(allCases.map(({ id }) => groupOf(id)))];
}

/** The cases of some groups as a list. */
export function renderCases(groups: readonly string[]): string {
  const cases = allCases.filter(({ id }) => groups.includes(groupOf(id)));
  for (const group of groups) {
    if (!cases.some(({ id }) => groupOf(id) === group)) throw new Error(`no case is in ${group}`);
  }
  return cases.map(line).join("\n");
}

function line({ id, level, title, requires = [] }: ConformanceCase): string {
  const reasons = requires.map(({ reason }) => `*${reason}*`);
  return [`- \`${id}\` ${level}: ${title}`, ...reasons].join("; ");
}
