import { MemoryServer } from "@busbar/bus-memory";
import type { Harness, HarnessFactory } from "@busbar/conformance-tests";
import { openBus, VirtualClock } from "@busbar/core";

/** A simulated server for each case, on virtual time: nothing is late there. */
export const virtualMemoryHarness: HarnessFactory = () => {
  const clock = new VirtualClock();
  const server = new MemoryServer({ clock });
  return Promise.resolve<Harness>({
    name: "memory, virtual time",
    open: (options) => openBus({ backend: "memory", server, clock, ...options }),
    time: { clock, run: (promise) => clock.autoAdvance(promise) },
    toleranceMs: 10,
    close: () => Promise.resolve(),
  });
};

/** One simulated server for the run, on the machine's clock. */
export const realTimeMemoryHarness: HarnessFactory = () => {
  const server = new MemoryServer();
  return Promise.resolve<Harness>({
    name: "memory, real time",
    open: (options) => openBus({ backend: "memory", server, ...options }),
    close: () => Promise.resolve(),
  });
};
