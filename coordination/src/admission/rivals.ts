import type { Clock } from "@busbar/core";
import type { UsageRecord } from "./usage-record.ts";

/** A reservation that its holder did not renew for so long is seen as void. */
const VOID_AFTER_MS = 30_000;

/** The other holders in a record, and since when each of them is silent, by the clock of this process. */
export class Rivals {
  readonly #holder: string;
  readonly #clock: Clock;
  readonly #seen = new Map<string, { readonly stamp: number; readonly sinceMs: number }>();

  constructor(holder: string, clock: Clock) {
    this.#holder = holder;
    this.#clock = clock;
  }

  /** The record was read. */
  look(holders: UsageRecord["holders"]): void {
    const sinceMs = this.#clock.monotonic();
    for (const name of this.#seen.keys()) if (!(name in holders)) this.#seen.delete(name);
    for (const [name, { stamp }] of Object.entries(holders)) {
      if (this.#seen.get(name)?.stamp !== stamp) this.#seen.set(name, { stamp, sinceMs });
    }
  }

  /** What the others hold, but for those that were silent for too long. */
  of(holders: UsageRecord["holders"]): UsageRecord["holders"] {
    const nowMs = this.#clock.monotonic();
    const others = Object.entries(holders).filter(
      ([name]) =>
        name !== this.#holder && nowMs - (this.#seen.get(name)?.sinceMs ?? nowMs) < VOID_AFTER_MS,
    );
    return Object.fromEntries(others);
  }
}
