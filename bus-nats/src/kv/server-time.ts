import type { Clock } from "@busbar/core";

/** After this time of use a new look at the server's clock is due. */
const STALE_MS = 10_000;

/**
 * The server's time, as a bound that it has certainly reached: the last time it told, and what has
 * passed here since that arrived. Never compares two machines' clocks.
 *
 * Needed because servers remove what is too old up to a second late.
 */
export class ServerTime {
  readonly #clock: Clock;
  #toldMs = Number.NEGATIVE_INFINITY;
  #heardAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The server told its time. Servers before 2.10 do not. */
  learn(told: string | undefined): void {
    const toldMs = told === undefined ? Number.NaN : Date.parse(told);
    if (Number.isNaN(toldMs)) return;
    this.#toldMs = toldMs;
    this.#heardAt = this.#clock.monotonic();
  }

  /** It is at least this late on the server; `-Infinity` if that is not known. */
  get atLeastMs(): number {
    return this.#toldMs + (this.#clock.monotonic() - this.#heardAt);
  }

  /** Whether the server should be asked again. */
  get stale(): boolean {
    return this.#toldMs > 0 && this.#clock.monotonic() - this.#heardAt > STALE_MS;
  }
}
