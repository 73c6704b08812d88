import type { Clock } from "@busbar/core";
import { within } from "@busbar/core/adapter";

/** Lets a `close` wait for work that somebody else counts. */
export class IdleGate {
  #waiting: (() => void)[] = [];

  /** The work is done for now. */
  open(): void {
    if (this.#waiting.length === 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Waits for the next {@link IdleGate.open}, but not longer than `limitMs`. */
  async wait(clock: Clock, limitMs: number): Promise<void> {
    if (limitMs <= 0) return;
    await within(clock, new Promise<void>((resolve) => this.#waiting.push(resolve)), limitMs);
  }
}
