import type { Draw } from "./draws.ts";

/** Draws that say how long something takes or how wrong a clock is; all others say whether it happens. */
export const SCHEDULE: readonly string[] = [
  "out",
  "back",
  "after",
  "for",
  "slowFor",
  "skew",
  "drift",
  "sign",
];

/** What begins after a time, and lasts. */
const SPELLS: readonly string[] = ["partition", "pause", "crash"];

/** What is decided, without by whom: `dropReply` of `worker-1/dropReply`. */
export function kindOf(label: string): string {
  return label.slice(label.lastIndexOf("/") + 1);
}

/** Whether a draw says that something goes wrong, rather than how long something takes. */
export function isFault({ label }: Draw): boolean {
  return !SCHEDULE.includes(kindOf(label));
}

/** Whether a draw with this label begins something that lasts. */
export function isSpell(label: string): boolean {
  return SPELLS.includes(kindOf(label));
}
