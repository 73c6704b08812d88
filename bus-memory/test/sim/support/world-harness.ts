import type { Harness, HarnessFactory } from "@busbar/conformance-tests";
import { BusError, VirtualClock } from "@busbar/core";
import { Draws } from "../../../src/sim/draws.ts";
import { type FaultOptions, resolveFaults } from "../../../src/sim/faults.ts";
import { Recorder } from "../../../src/sim/recorder.ts";
import { World } from "../../../src/sim/world.ts";

/** The suite on the buses of a simulated world: one process for each bus. */
export function worldHarness(name: string, faults: FaultOptions, seed = 1): HarnessFactory {
  return () => {
    const clock = new VirtualClock();
    const draws = new Draws(seed);
    let failure: Error | undefined;
    const world = new World({
      seed,
      clock,
      draws,
      faults: resolveFaults(faults),
      recorder: new Recorder({
        clock,
        draws,
        watchers: [],
        maxEventsAtOnce: Number.POSITIVE_INFINITY,
        circles: () => undefined,
      }),
      unsyncedMs: 0,
      fail: (error) => {
        failure ??= error;
      },
    });
    const [, maxDelayMs] = faults.delayMs ?? [0, 0];
    let buses = 0;
    return Promise.resolve<Harness>({
      name,
      open: async (options) => {
        // What `openBus` does of a backend with a connection.
        if (!world.isServerUp) throw new BusError("DISCONNECTED", "the server is down");
        buses += 1;
        return world.process(`p${buses}`, undefined, options).bus;
      },
      time: { clock, run: (promise) => clock.autoAdvance(promise) },
      toleranceMs: 10 + 4 * maxDelayMs,
      faults: {
        kill: () => Promise.resolve(world.killServer()),
        start: () => Promise.resolve(world.startServer()),
      },
      leaks: async () => {
        // As long as anybody is there the server has a timer for what lies there.
        await world.bus.close();
        const left = clock.pendingTimers - world.backgroundTimers;
        return left > 0 ? [`${left} timers of the clock`] : [];
      },
      close: async () => {
        await world.close();
        if (failure) throw failure;
      },
    });
  };
}
