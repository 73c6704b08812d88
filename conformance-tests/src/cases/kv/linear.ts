import { toText } from "@busbar/core";
import { checkEqual, ConformanceFailure } from "../../assert.ts";
import type { Change } from "./helpers.ts";

/**
 * What one operation on a key learnt: the revision that it wrote, read, or was told in a conflict;
 * 0 for "there was no value". Begin and end are places in one order of all begins and ends.
 */
export interface Observation {
  readonly what: string;
  readonly revision: number;
  readonly wrote: boolean;
  /** The value that was read or written, where the operation knows it. */
  readonly text?: string;
  readonly begin: number;
  readonly end: number;
}

/**
 * Checks that the operations on one key could have happened one after the other, in the order of the
 * key's history, each between its begin and its end. `past` has to be the whole history.
 *
 * Place 0 of the time line is "never written", place n is the n-th change. An operation that began
 * after another one had ended must not stand before it. Where several places fit ("no value"), the
 * first one is taken: it binds later operations the least.
 */
export function checkLinear(past: readonly Change[], observations: readonly Observation[]): void {
  const placed: { readonly place: number; readonly end: number }[] = [];
  for (const one of observations.toSorted((a, b) => a.end - b.end)) {
    let lowest = 0;
    for (const { place, end } of placed) if (end < one.begin) lowest = Math.max(lowest, place);
    const place = placeOf(past, one, lowest);
    if (place === undefined || (one.wrote && place <= lowest)) {
      throw new ConformanceFailure(
        `${one.what} came to revision ${one.revision}, but what had ended before it began ` +
          `had seen place ${lowest} of ${describe(past)}`,
      );
    }
    const change = past[place - 1];
    if (one.text !== undefined && change?.type === "put") {
      checkEqual(toText(change.value), one.text, `the value of revision ${one.revision}`);
    }
    placed.push({ place, end: one.end });
  }
}

function placeOf(past: readonly Change[], one: Observation, lowest: number): number | undefined {
  for (let place = lowest; place <= past.length; place++) {
    const change = past[place - 1];
    const isEmpty = change === undefined || change.type === "delete";
    if (one.revision === 0 ? isEmpty : !isEmpty && change.revision === one.revision) return place;
  }
  return undefined;
}

function describe(past: readonly Change[]): string {
  return past.map(({ type, revision }) => `${type}@${revision}`).join(" ");
}
