import type { Clock } from "./clock.ts";
import type { CloseReport } from "./close.ts";
import { closedError } from "./failures.ts";

/** Something a bus owns while it is open: a subscription, a server, a watch, a lease. */
export interface Owned {
  /** Stops within `drainMs`; says what was left. */
  stop(drainMs: number): Promise<CloseReport>;
}

/**
 * The life of a bus: *open* -> `close()` -> *closing* (nothing new begins, everything owned is
 * stopped with the same deadline) -> *closed*.
 */
export class Lifecycle {
  readonly #what: string;
  readonly #clock: Clock;
  readonly #owned = new Set<Owned>();
  readonly #ending = new AbortController();
  #closing: Promise<CloseReport> | undefined;

  constructor(what: string, clock: Clock) {
    this.#what = what;
    this.#clock = clock;
  }

  /** Whether `close` was not called yet. */
  get isOpen(): boolean {
    return this.#closing === undefined;
  }

  /** Aborts, with `CLOSED` as reason, when closing begins. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** How many things are owned: for leak checks. */
  get size(): number {
    return this.#owned.size;
  }

  /** @throws BusError `CLOSED` */
  checkOpen(): void {
    if (this.#closing !== undefined) throw closedError(this.#what);
  }

  /** Stops `owned` when the bus closes; at once if that has begun: it was under way meanwhile. */
  add(owned: Owned): void {
    if (this.isOpen) {
      this.#owned.add(owned);
      return;
    }
    // Later, because constructors call this before they are done.
    void Promise.resolve()
      .then(() => owned.stop(0))
      .catch(() => undefined);
  }

  /** `owned` stopped by itself. */
  remove(owned: Owned): void {
    this.#owned.delete(owned);
  }

  /**
   * Stops everything owned, then calls `finish`. Never takes longer than `drainMs` and twice
   * `graceMs` (once for what is owned, once for `finish`): what did not stop by then counts as
   * abandoned. The second call gives the first one's result.
   */
  close(drainMs: number, finish: () => Promise<void>, graceMs = 500): Promise<CloseReport> {
    this.#closing ??= this.#close(drainMs, finish, graceMs);
    return this.#closing;
  }

  async #close(
    drainMs: number,
    finish: () => Promise<void>,
    graceMs: number,
  ): Promise<CloseReport> {
    // Lets `this.#closing` be set before anybody reacts to the signal.
    await Promise.resolve();
    this.#ending.abort(closedError(this.#what));
    let abandoned = 0;
    const stops = [...this.#owned].map(async (owned) => {
      let left: number | undefined;
      const stop = async (): Promise<void> => {
        left = (await owned.stop(drainMs)).abandoned;
      };
      await within(this.#clock, stop(), drainMs + graceMs);
      abandoned += left ?? 1;
    });
    await Promise.all(stops);
    this.#owned.clear();
    await within(
      this.#clock,
      Promise.resolve().then(() => finish()),
      graceMs,
    );
    return { abandoned };
  }
}

/** Waits for `work`, but not longer than `limitMs`. Errors of `work` are taken for its end. */
export async function within(
  clock: Clock,
  work: Promise<unknown>,
  limitMs: number,
): Promise<boolean> {
  let finished = false;
  const done = work.then(
    () => {
      finished = true;
    },
    () => {
      finished = true;
    },
  );
  await new Promise<void>((resolve) => {
    const timer = clock.setTimer(resolve, limitMs);
    void done.then(() => {
      timer.cancel();
      resolve();
    });
  });
  return finished;
}
