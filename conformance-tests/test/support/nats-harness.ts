// Loaded here already, so that no case pays for it from its budget.
import "@busbar/bus-nats";
import type { Harness, HarnessFactory } from "@busbar/conformance-tests";
import { openBus } from "@busbar/core";
import { type NatsServerBinary, startNatsServer } from "@busbar/scripts";
import { INSPECTED_ACCOUNTS, NatsInspector } from "./nats-inspector.ts";

/** A nats-server of the run's own, which cases may kill, restart and freeze. */
export function natsServerHarness(binary: NatsServerBinary): HarnessFactory {
  return async () => {
    const server = await startNatsServer({ binary, config: INSPECTED_ACCOUNTS });
    const inspector = await NatsInspector.connect(server.url);
    const harness: Harness = {
      name: `nats-server ${server.version} of its own`,
      open: (options) =>
        openBus({
          backend: "nats",
          servers: server.url,
          clientName: options.namespace,
          reconnectWaitMs: 50,
          pingIntervalMs: 1_000,
          connectTimeoutMs: 5_000,
          ...options,
        }),
      elsewhere: (namespace) => `${server.url}?namespace=${namespace}`,
      faults: {
        kill: () => server.kill(),
        start: () => server.restart(),
        pause: () => Promise.resolve(server.pause()),
        resume: () => Promise.resolve(server.resume()),
      },
      leaks: (namespace) => inspector.leaks(namespace),
      clean: (namespace) => inspector.clean(namespace),
      close: async () => {
        await inspector.close();
        await server.stop();
      },
    };
    return harness;
  };
}
