import { type Clock, type Timer, type TimerOptions } from "@busbar/core";
import { sleepOn } from "@busbar/core/adapter";
import type { Gate } from "./gate.ts";

/** How far a process's clock is off. */
export interface ClockSkew {
  /** By how much its wall clock is ahead of the world's, in milliseconds; may be negative. */
  readonly offsetMs: number;
  /** How fast it runs: 1.05 gains five per cent. */
  readonly rate: number;
}

/** More than what is lost when times are multiplied and divided by a rate. */
const ROUNDING_MS = 1e-6;

/**
 * The clock of one simulated process: its wall clock may be wrong, it may run too fast or too slow,
 * and while the process is paused its timers wait, but time goes on.
 */
export class ProcessClock implements Clock {
  readonly #world: Clock;
  readonly #gate: Gate;
  readonly #skew: ClockSkew;
  readonly #timers = new Set<Timer>();

  constructor(world: Clock, gate: Gate, skew: ClockSkew) {
    this.#world = world;
    this.#gate = gate;
    this.#skew = skew;
  }

  /** How far it is off. */
  get skew(): ClockSkew {
    return this.#skew;
  }

  now(): number {
    const { offsetMs, rate } = this.#skew;
    const elapsedMs = this.#world.monotonic();
    // The drift adds to what was wrong from the start.
    return Math.round(this.#world.now() + offsetMs + elapsedMs * (rate - 1));
  }

  monotonic(): number {
    return this.#world.monotonic() * this.#skew.rate;
  }

  setTimer(callback: () => void, delayMs: number, options?: TimerOptions): Timer {
    const timer = this.#world.setTimer(
      () => {
        this.#timers.delete(handle);
        this.#gate.pass(() => {
          if (!cancelled) callback();
        });
      },
      this.#worldMs(delayMs),
      options,
    );
    let cancelled = false;
    const handle: Timer = {
      cancel: () => {
        cancelled = true;
        this.#timers.delete(handle);
        timer.cancel();
      },
    };
    this.#timers.add(handle);
    return handle;
  }

  sleep(
    delayMs: number,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    return sleepOn(this, delayMs, options.signal);
  }

  /** How long a time of this clock is by the world's; a timer never comes before its time. */
  #worldMs(delayMs: number): number {
    const { rate } = this.#skew;
    return rate === 1 ? Math.max(0, delayMs) : Math.max(0, delayMs) / rate + ROUNDING_MS;
  }

  /** The process is dead: its timers are gone. */
  stop(): void {
    for (const timer of this.#timers) timer.cancel();
  }
}
