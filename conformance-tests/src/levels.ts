import type { ConformanceCase, Level } from "./case.ts";

/** All levels, in order. */
export const LEVELS: readonly Level[] = ["L0", "L1", "L2", "L3", "L4"];

/** Where a run stops unless it is told otherwise: faults of the server are asked for by name. */
export const DEFAULT_LEVEL: Level = "L3";

/** Which cases of a list to run. */
export interface Selection {
  /** All levels up to this one. @defaultValue "L3"; with `only`: "L4" */
  readonly level?: Level | undefined;
  /** Ids, or beginnings of ids (`JQ-LEASE`); whoever matches one of them is in. Default: all. */
  readonly only?: readonly string[] | undefined;
}

/**
 * The cases of a selection, in their order.
 * @throws RangeError if an entry of `only` matches no case at all
 */
export function selectCases(
  cases: readonly ConformanceCase[],
  selection: Selection = {},
): ConformanceCase[] {
  const only = selection.only ?? [];
  for (const wanted of only) {
    if (!cases.some((item) => matchesId(item.id, wanted))) {
      throw new RangeError(`no case has the id ${wanted} or one that begins with it`);
    }
  }
  const last = LEVELS.indexOf(levelOf(selection));
  return cases.filter(
    (item) =>
      LEVELS.indexOf(item.level) <= last &&
      (only.length === 0 || only.some((wanted) => matchesId(item.id, wanted))),
  );
}

/** The highest level of a selection. */
export function levelOf({ level, only = [] }: Selection): Level {
  return level ?? (only.length > 0 ? "L4" : DEFAULT_LEVEL);
}

function matchesId(id: string, wanted: string): boolean {
  return id === wanted || id.startsWith(wanted);
}
