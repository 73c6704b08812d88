import { styleText } from "node:util";
import Table from "cli-table3";
import type { TaskRecord } from "@busbar/coordination";

/** Something that was promised, and what was found. */
export interface Promised {
  readonly what: string;
  readonly found: number;
  readonly must: "is" | "atLeast" | "atMost";
  readonly wanted: number;
}

const WORDS = { is: "", atLeast: " or more", atMost: " or less" } as const;

/** Whether it was kept. */
export function isKept({ found, must, wanted }: Promised): boolean {
  if (must === "is") return found === wanted;
  return must === "atLeast" ? found >= wanted : found <= wanted;
}

/** The promises as a table for people. */
export function formatPromises(promises: readonly Promised[]): string {
  const table = new Table({
    head: ["", "found", "must be", ""],
    colAligns: ["left", "right", "right", "left"],
    style: { head: [], border: [], compact: true },
  });
  for (const promised of promises) {
    const { what, found, must, wanted } = promised;
    const verdict = isKept(promised) ? styleText("green", "ok") : styleText("red", "OFF");
    table.push([what, shown(found), `${shown(wanted)}${WORDS[must]}`, verdict]);
  }
  return table.toString();
}

/** How many attempts ran at the same time, at most. All clocks are those of one machine. */
export function mostAtOnce(records: readonly TaskRecord[]): number {
  const changes = records
    .flatMap(({ attempts }) => attempts)
    .flatMap(({ startedAtMs, endedAtMs }) => [
      { atMs: startedAtMs, by: 1 },
      { atMs: endedAtMs, by: -1 },
    ])
    // At the same time, ends are first: who begins then may have their place.
    .sort((a, b) => a.atMs - b.atMs || a.by - b.by);
  let running = 0;
  let most = 0;
  for (const { by } of changes) {
    running += by;
    most = Math.max(most, running);
  }
  return most;
}

function shown(value: number): string {
  return value.toLocaleString("en");
}
