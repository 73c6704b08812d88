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
    leaks: () => Promise.resolve([...leaksOf(server), ...timersOf(clock)]),
    close: () => Promise.resolve(),
  });
};

/** One simulated server for the run, on the machine's clock. */
export const realTimeMemoryHarness: HarnessFactory = () => {
  const server = new MemoryServer();
  return Promise.resolve<Harness>({
    name: "memory, real time",
    open: (options) => openBus({ backend: "memory", server, ...options }),
    close: () => {
      const leaks = leaksOf(server);
      if (leaks.length > 0) throw new Error(`left on the server: ${leaks.join(", ")}`);
      return Promise.resolve();
    },
  });
};

/** What must be gone when all buses of a server are closed. */
function leaksOf(server: MemoryServer): string[] {
  const { consumers, durables, ...stats } = server.stats();
  const counts = {
    ephemerals: consumers - durables,
    buses: stats.buses,
    subscriptions: stats.subscriptions,
    listeners: stats.listeners,
    responders: stats.responders,
    pendingRequests: stats.pendingRequests,
    watches: stats.watches,
    waitingClaims: stats.waitingClaims,
    timers: stats.timers,
  };
  return Object.entries(counts).flatMap(([what, count]) => (count > 0 ? [`${count} ${what}`] : []));
}

function timersOf(clock: VirtualClock): string[] {
  return clock.pendingTimers > 0 ? [`${clock.pendingTimers} timers of the clock`] : [];
}
