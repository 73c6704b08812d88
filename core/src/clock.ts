/** A pending timer. */
export interface Timer {
  /** Stops the timer. Does nothing if it fired or was cancelled before. */
  cancel(): void;
}

/** What {@link Clock.setTimer} may be told. */
export interface TimerOptions {
  /**
   * False if the timer alone must not keep the process alive.
   * @defaultValue true
   */
  readonly keepAlive?: boolean;
}

/**
 * Where all time comes from. Library code reads no other clock, so that a test can put a
 * {@link VirtualClock} in its place.
 */
export interface Clock {
  /** Wall time, in milliseconds since the Unix epoch. May jump. For people and records. */
  now(): number;
  /** Milliseconds from an arbitrary start that only grow. For waits, leases and deadlines. */
  monotonic(): number;
  /** Calls `callback` once, not before `delayMs` milliseconds from now (0 or more). */
  setTimer(callback: () => void, delayMs: number, options?: TimerOptions): Timer;
  /**
   * Resolves after `delayMs` milliseconds.
   * Rejects with `signal.reason` when the signal aborts first.
   */
  sleep(delayMs: number, options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
}

// Node cuts longer delays to 1 ms; 24.8 days.
const MAX_NATIVE_DELAY_MS = 2_147_483_647;

/** The machine's clock. Stateless: one instance serves everybody. */
export class SystemClock implements Clock {
  now(): number {
    return Date.now();
  }

  monotonic(): number {
    return performance.now();
  }

  setTimer(callback: () => void, delayMs: number, options: TimerOptions = {}): Timer {
    const dueAt = performance.now() + delayMs;
    let handle: ReturnType<typeof setTimeout>;
    const start = (leftMs: number): void => {
      // What is overdue is no negative delay: Node warns of those.
      const delay = Math.max(0, Math.min(Math.ceil(leftMs), MAX_NATIVE_DELAY_MS));
      handle = setTimeout(onTimeout, delay);
      if (options.keepAlive === false) unref(handle);
    };
    // The machine's timers cut fractions off and come up to two milliseconds early; long delays
    // are waited for in parts.
    const onTimeout = (): void => {
      const leftMs = dueAt - performance.now();
      if (leftMs > 0) start(leftMs);
      else callback();
    };
    start(delayMs);
    return { cancel: () => clearTimeout(handle) };
  }

  sleep(
    delayMs: number,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    return sleepOn(this, delayMs, options.signal);
  }
}

/** The shared {@link SystemClock}. */
export const systemClock: Clock = new SystemClock();

/** `sleep` for any clock that has timers. */
export function sleepOn(
  clock: Pick<Clock, "setTimer">,
  delayMs: number,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.setTimer(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, delayMs);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * Lets everything that is already runnable run: promise chains of any depth, and what they post to
 * the event loop. Virtual time needs it between two timers.
 */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}

function unref(handle: unknown): void {
  if (typeof handle === "object" && handle !== null && "unref" in handle) {
    (handle as { unref(): void }).unref();
  }
}
