import type { BusError, JobLease, Timer } from "@busbar/core";
import type { Link } from "./link.ts";

/** The time a claimed job is its worker's; a timer runs only once somebody looks at `lost`. */
export class NatsJobLease implements JobLease {
  readonly #link: Link;
  readonly #deadline: () => number;
  readonly #error: () => BusError;
  readonly #controller = new AbortController();
  #timer: Timer | undefined;
  #stopListening: (() => void) | undefined;
  #over = false;

  constructor(link: Link, deadline: () => number, error: () => BusError) {
    this.#link = link;
    this.#deadline = deadline;
    this.#error = error;
  }

  get expiresAtMs(): number {
    const { clock } = this.#link;
    return Math.floor(clock.now() + (this.#deadline() - clock.monotonic()));
  }

  get lost(): AbortSignal {
    // A process that stood still finds out here, not by its timers.
    if (!this.#over && this.#deadline() <= this.#link.clock.monotonic()) this.#lose();
    if (!this.#over && !this.#timer) {
      this.#timer = this.#arm();
      this.#stopListening = this.#link.onDisconnect(() => this.moved());
    }
    return this.#controller.signal;
  }

  moved(): void {
    if (!this.#timer) return;
    this.#timer.cancel();
    this.#timer = this.#arm();
  }

  settled(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#stopListening?.();
  }

  /** Whether `lost` has fired: that is final. */
  get isLost(): boolean {
    return this.#controller.signal.aborted;
  }

  #lose(): void {
    if (this.#over) return;
    this.settled();
    this.#controller.abort(this.#error());
  }

  #arm(): Timer {
    const { clock } = this.#link;
    return clock.setTimer(() => this.#lose(), Math.max(0, this.#deadline() - clock.monotonic()), {
      keepAlive: false,
    });
  }
}
