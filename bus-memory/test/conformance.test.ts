import { describeConformance } from "@busbar/conformance-tests/vitest";
import { type Clock, openBus, type Timer, VirtualClock } from "@busbar/core";
import { MemoryServer } from "../src/index.ts";
import { leftovers } from "./support.ts";

/** A program's own clock: as fast as the server's, but its monotonic time began elsewhere. */
class OtherClock implements Clock {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  monotonic(): number {
    return this.#clock.monotonic() + 1_234_567.25;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    return this.#clock.setTimer(callback, delayMs);
  }

  sleep(delayMs: number, options?: { readonly signal?: AbortSignal }): Promise<void> {
    return this.#clock.sleep(delayMs, options);
  }
}

// The suite runs with one clock for all elsewhere; here no two monotonic times may be compared.
describeConformance({
  title: "conformance with a clock for each program",
  harness: () => {
    const clock = new VirtualClock();
    const server = new MemoryServer({ clock, seed: 1 });
    return Promise.resolve({
      name: "memory, a clock for each program",
      open: (options) => {
        return openBus({ backend: "memory", server, clock: new OtherClock(clock), ...options });
      },
      time: { clock, run: (promise) => clock.autoAdvance(promise) },
      toleranceMs: 10,
      leaks: () => {
        // What was abandoned in the hands of a program ends by the server's time.
        const abandoned = ["unsettled", "leasedJobs", "leases", "pendingDeadlines"];
        const left = Object.keys(leftovers(server));
        return Promise.resolve(left.filter((what) => !abandoned.includes(what)));
      },
      close: () => Promise.resolve(),
    });
  },
});
