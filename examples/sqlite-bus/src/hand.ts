import type { Clock } from "@busbar/core";
import { within } from "@busbar/core/adapter";

/** Something that is in somebody's hands for a time. */
export interface Holdable {
  /** Until when, by the monotonic clock of this process. */
  readonly deadlineMs: number;
}

/** What a program has in hand: unsettled deliveries, leased jobs, requests without a reply. */
export class Hand<T extends Holdable> {
  readonly #clock: Clock;
  readonly #held = new Set<T>();
  #onEmpty: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many are held: those whose time is over are not any more. */
  get size(): number {
    const nowMs = this.#clock.monotonic();
    for (const item of this.#held) if (item.deadlineMs <= nowMs) this.#held.delete(item);
    return this.#held.size;
  }

  /** In how many milliseconds the first of them is over. */
  get firstEndMs(): number {
    let end = Number.POSITIVE_INFINITY;
    for (const { deadlineMs } of this.#held) end = Math.min(end, deadlineMs);
    return end - this.#clock.monotonic();
  }

  /** One more. */
  add(item: T): void {
    this.#held.add(item);
  }

  /** One less. */
  remove(item: T): void {
    this.#held.delete(item);
    if (this.#held.size === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  /** Takes out all. */
  drain(): T[] {
    const rest = [...this.#held];
    this.#held.clear();
    return rest;
  }

  /** Waits until nothing is held, but not longer than `drainMs`. @returns how many are left. */
  async empty(drainMs: number): Promise<number> {
    if (this.size > 0 && drainMs > 0) {
      let lastEndMs = 0;
      const nowMs = this.#clock.monotonic();
      for (const { deadlineMs } of this.#held) lastEndMs = Math.max(lastEndMs, deadlineMs - nowMs);
      const settled = new Promise<void>((resolve) => this.#onEmpty.push(resolve));
      await within(this.#clock, settled, Math.min(drainMs, lastEndMs));
    }
    return this.size;
  }
}
