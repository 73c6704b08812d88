import { type Clock, settle, sleepOn, systemClock, type Timer } from "./clock.ts";
import { Heap } from "./heap.ts";

/** What a {@link VirtualClock} may be told. */
export interface VirtualClockOptions {
  /**
   * Wall time at the start, in milliseconds since the Unix epoch.
   * @defaultValue 1_700_000_000_000
   */
  readonly startAtMs?: number;
}

/** Options of {@link VirtualClock.autoAdvance}. */
export interface AutoAdvanceOptions {
  /** Most virtual time that may pass, in milliseconds. @defaultValue 86_400_000 */
  readonly maxMs?: number;
  /** Most real time to wait for I/O where no timer is set, in milliseconds. @defaultValue 250 */
  readonly graceMs?: number;
  /** How many timers do not count at this moment. Default: none. */
  readonly background?: () => number;
  /** What to add to the message of an error. */
  readonly explain?: () => string;
}

interface Entry {
  readonly atMs: number;
  readonly order: number;
  callback: (() => void) | undefined;
}

/**
 * A clock that stands still until it is told to move. Timers fire in the order of their time, equal
 * ones in the order in which they were set, and everything a timer sets in motion is run to its end
 * before the next one fires. So a test over an hour takes milliseconds and gives one result.
 *
 * States: *still* -> `advance`, `advanceToNext`, `runUntilIdle` or `autoAdvance` -> *moving* ->
 * *still*. Calls that move time while it moves are queued one behind the other.
 */
export class VirtualClock implements Clock {
  readonly #startAtMs: number;
  #elapsedMs = 0;
  #order = 0;
  readonly #heap = new Heap<Entry>(before);
  /** How many entries of the heap were not cancelled. */
  #pending = 0;
  #moving: Promise<unknown> = Promise.resolve();

  constructor(options: VirtualClockOptions = {}) {
    this.#startAtMs = options.startAtMs ?? 1_700_000_000_000;
  }

  now(): number {
    // Whole milliseconds, as the machine's clock has them.
    return this.#startAtMs + Math.floor(this.#elapsedMs);
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const entry: Entry = {
      atMs: this.#elapsedMs + (delayMs > 0 ? delayMs : 0),
      order: this.#order++,
      callback,
    };
    // What never fires does not wait either.
    if (entry.atMs === Number.POSITIVE_INFINITY) return { cancel: () => undefined };
    this.#heap.push(entry);
    this.#pending += 1;
    return { cancel: () => this.#cancel(entry) };
  }

  sleep(
    delayMs: number,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    return sleepOn(this, delayMs, options.signal);
  }

  /** How many timers wait. */
  get pendingTimers(): number {
    return this.#pending;
  }

  /** Moves time on by `byMs` milliseconds and fires every timer that falls due on the way. */
  advance(byMs: number): Promise<void> {
    if (!(byMs >= 0 && Number.isFinite(byMs))) {
      throw new RangeError(`byMs must be a finite number, 0 or more, got ${byMs}`);
    }
    return this.#exclusive(async () => {
      const untilMs = this.#elapsedMs + byMs;
      await settle();
      while (this.#fireNext(untilMs)) await settle();
      this.#elapsedMs = Math.max(this.#elapsedMs, untilMs);
      await settle();
    });
  }

  /**
   * Moves time to the next timer and fires it.
   * Resolves with false, and moves nothing, if there is none.
   */
  advanceToNext(): Promise<boolean> {
    return this.#exclusive(async () => {
      await settle();
      const fired = this.#fireNext(Number.POSITIVE_INFINITY);
      await settle();
      return fired;
    });
  }

  /**
   * Fires timers until none is left, or until the next one lies beyond `maxMs` from now. A program
   * that always sets a new timer (a heartbeat) never gets idle: hence the limit.
   * @returns true if no timer is left.
   */
  runUntilIdle(options: { readonly maxMs?: number } = {}): Promise<boolean> {
    const maxMs = options.maxMs ?? 86_400_000;
    return this.#exclusive(async () => {
      const untilMs = this.#elapsedMs + maxMs;
      await settle();
      while (this.#fireNext(untilMs)) await settle();
      return this.pendingTimers === 0;
    });
  }

  /**
   * Moves time from timer to timer while `promise` is pending, and gives its result.
   * Rejects if nothing can run any more, or if more than `maxMs` of virtual time would pass. Where
   * no timer is set, real I/O may be under way, such as the import of a module: it is waited for
   * up to `graceMs` of real time (default 250). `background` says how many of the timers do not
   * count: if no others are left, nothing can run. `explain` adds to the message of the error.
   */
  async autoAdvance<T>(promise: Promise<T>, options: AutoAdvanceOptions = {}): Promise<T> {
    const { maxMs = 86_400_000, graceMs = 250 } = options;
    const { background = () => 0, explain = () => "" } = options;
    const untilMs = this.#elapsedMs + maxMs;
    const isStuck = (): boolean => this.#pending <= background();
    let done = false;
    const finished = promise.then(
      () => {
        done = true;
      },
      () => {
        done = true;
      },
    );
    await settle();
    while (!done) {
      const moved = await this.#exclusive(async () => {
        const fired = !isStuck() && this.#fireNext(untilMs);
        await settle();
        return fired;
      });
      if (moved || done) continue;
      const startedAt = systemClock.monotonic();
      while (!done && isStuck() && systemClock.monotonic() - startedAt < graceMs) {
        await systemClock.sleep(1);
      }
      if (done) break;
      if (isStuck()) {
        throw new Error(`deadlock: the promise is pending and no timer is set${explain()}`);
      }
      // What is left lies beyond the limit, unless it was set just now.
      if (!this.#isDue(untilMs)) {
        throw new Error(`the promise is still pending at +${this.#elapsedMs} ms${explain()}`);
      }
    }
    await finished;
    return promise;
  }

  #isDue(untilMs: number): boolean {
    return this.#heap.items.some(({ atMs, callback }) => callback !== undefined && atMs <= untilMs);
  }

  #cancel(entry: Entry): void {
    if (entry.callback === undefined) return;
    entry.callback = undefined;
    this.#pending -= 1;
    // Cancelled timers must not pile up: they are swept out when they are the greater part.
    if (this.#heap.size > 64 && this.#pending * 2 < this.#heap.size) {
      this.#heap.retain(({ callback }) => callback !== undefined);
    }
  }

  #fireNext(untilMs: number): boolean {
    for (;;) {
      const next = this.#heap.first;
      if (next === undefined || next.atMs > untilMs) return false;
      this.#heap.pop();
      if (next.callback === undefined) continue;
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs);
      const { callback } = next;
      next.callback = undefined;
      this.#pending -= 1;
      callback();
      return true;
    }
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#moving.then(work);
    this.#moving = result.catch(() => undefined);
    return result;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
