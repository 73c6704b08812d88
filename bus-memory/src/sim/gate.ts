/**
 * What stands between a simulated process and everything that reaches it: results, deliveries,
 * timers.
 *
 * States: *open* -> `pause()` -> *paused* (everything waits, in order) -> `open()` -> *open*;
 * any -> `kill()` -> *dead*: nothing ever arrives, so the code of the process stops where it waits.
 */
export class Gate {
  #state: "open" | "paused" | "dead" = "open";
  #waiting: (() => void)[] = [];

  /** Whether everything arrives at once. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Whether nothing will ever arrive again. */
  get isDead(): boolean {
    return this.#state === "dead";
  }

  /** Calls `arrive` now, or when the process goes on, or never. */
  pass(arrive: () => void): void {
    if (this.#state === "open") arrive();
    else if (this.#state === "paused") this.#waiting.push(arrive);
  }

  /** The result of `promise` as the process gets it. */
  through<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => this.pass(() => resolve(value)),
        (error: unknown) => this.pass(() => reject(error)),
      );
    });
  }

  /** Nothing arrives for now. */
  pause(): void {
    if (this.#state === "open") this.#state = "paused";
  }

  /** What waited arrives, in its order. */
  open(): void {
    if (this.#state !== "paused") return;
    this.#state = "open";
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const arrive of waiting) this.pass(arrive);
  }

  /** Nothing arrives any more. */
  kill(): void {
    this.#state = "dead";
    this.#waiting = [];
  }
}
