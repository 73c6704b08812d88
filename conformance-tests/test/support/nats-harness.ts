import type { Harness, HarnessFactory } from "@busbar/conformance-tests";
import { openBus } from "@busbar/core";
import { type NatsServerBinary, startNatsServer } from "@busbar/scripts";

/** A nats-server of the run's own, which cases may kill, restart and freeze. */
export function natsServerHarness(binary: NatsServerBinary): HarnessFactory {
  return async () => {
    const server = await startNatsServer({ binary });
    const harness: Harness = {
      name: `nats-server ${server.version} of its own`,
      open: (options) =>
        openBus({
          backend: "nats",
          servers: server.url,
          reconnectWaitMs: 50,
          pingIntervalMs: 1_000,
          ...options,
        }),
      faults: {
        kill: () => server.kill(),
        start: () => server.restart(),
        pause: () => Promise.resolve(server.pause()),
        resume: () => Promise.resolve(server.resume()),
      },
      close: () => server.stop(),
    };
    return harness;
  };
}
