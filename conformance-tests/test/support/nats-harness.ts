// Loaded here already, so that no case pays for it from its budget.
import "@busbar/bus-nats";
import { busHarness, type Harness, type HarnessFactory } from "@busbar/conformance-tests";
import { openBus } from "@busbar/core";
import { type NatsServerBinary, startNatsServer } from "@busbar/scripts";
import type { ConnectionOptions } from "nats";
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
      // Several cases at a time share two cores with the server: timers come late then.
      toleranceMs: 500,
      elsewhere: (namespace) => `${server.url}?namespace=${namespace}`,
      faults: {
        kill: () => server.kill(),
        start: () => server.restart(),
        pause: () => server.pause(),
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

/** A server that is there already, by its URL: what the suite writes there is removed again. */
export async function existingNatsHarness(url: string): Promise<HarnessFactory> {
  const open = await busHarness(url);
  return async () => {
    const inspector = await NatsInspector.connectAsUser(connectionOptions(url));
    const harness = await open();
    return {
      ...harness,
      toleranceMs: 500,
      leaks: (namespace) => inspector.leaks(namespace),
      clean: (namespace) => inspector.clean(namespace),
      close: async () => {
        await inspector.close();
        await harness.close();
      },
    };
  };
}

function connectionOptions(url: string): ConnectionOptions {
  const [, scheme = "", credentials, hosts = ""] =
    /^(\w+):\/\/(?:([^@/]*)@)?([^/?]*)/.exec(url) ?? [];
  const [user = "", pass] = (credentials ?? "").split(":").map(decodeURIComponent);
  return {
    servers: hosts.split(","),
    ...(scheme === "tls" ? { tls: {} } : {}),
    ...(credentials === undefined ? {} : pass === undefined ? { token: user } : { user, pass }),
  };
}
