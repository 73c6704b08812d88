// Loaded here already, so that no script pays for it.
import "@busbar/bus-nats";
import { type Bus, type Clock, openBus, systemClock } from "@busbar/core";
import { type NatsServer, startNatsServer } from "@busbar/scripts";
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { Script } from "./script.ts";
import type { Traits, World } from "./world.ts";

/** How a server for scripts is started. */
export interface NatsHostOptions {
  readonly binary: { readonly path: string; readonly version: string };
}

/** A private nats-server on which many scripts run at a time, each in a namespace of its own. */
export class NatsHost {
  readonly traits: Traits;
  readonly #binary: NatsHostOptions["binary"];
  readonly #server: NatsServer;
  readonly #connection: NatsConnection;
  readonly #manager: JetStreamManager;
  #worlds = 0;

  private constructor(
    server: NatsServer,
    parts: {
      readonly binary: NatsHostOptions["binary"];
      readonly connection: NatsConnection;
      readonly manager: JetStreamManager;
      readonly traits: Traits;
    },
  ) {
    this.#binary = parts.binary;
    this.#server = server;
    this.#connection = parts.connection;
    this.#manager = parts.manager;
    this.traits = parts.traits;
  }

  /** Starts a server. */
  static async start({ binary }: NatsHostOptions): Promise<NatsHost> {
    return NatsHost.#start(binary);
  }

  /** Another server of the same kind. */
  another(): Promise<NatsHost> {
    return NatsHost.#start(this.#binary);
  }

  static async #start(binary: NatsHostOptions["binary"]): Promise<NatsHost> {
    const server = await startNatsServer({ binary });
    const connection = await connect({ servers: server.url, maxReconnectAttempts: -1 });
    const manager = await jetstreamManager(connection);
    const bus = await openBus({ backend: "nats", servers: server.url, namespace: "traits" });
    const { keyTtl, maxPayloadBytes } = bus.capabilities;
    await bus.close();
    const traits = { version: server.version, keyTtl, maxPayloadBytes };
    return new NatsHost(server, { binary, connection, manager, traits });
  }

  /** A fresh namespace. */
  world(
    script: Script,
    options: { readonly unitMs: number; readonly storage: "file" | "memory" },
  ): World {
    const namespace = `n${++this.#worlds}`;
    const buses: Bus[] = [];
    const { dedupWindow } = script;
    return {
      clock: systemClock satisfies Clock,
      openBus: async () => {
        const bus = await openBus({
          backend: "nats",
          servers: this.#server.url,
          namespace,
          storage: options.storage,
          reconnectWaitMs: 50,
          ...(dedupWindow !== undefined && {
            dedupWindowMs: Math.round(dedupWindow * options.unitMs),
          }),
        });
        buses.push(bus);
        return bus;
      },
      restartServer: () => this.#server.restart(),
      close: async () => {
        await Promise.all(buses.map((bus) => bus.close({ drainMs: 0 })));
        await this.#clean(namespace);
      },
    };
  }

  /** Stops the server. */
  async close(): Promise<void> {
    await this.#connection.close();
    await this.#server.stop();
  }

  async #clean(namespace: string): Promise<void> {
    const names: string[] = [];
    for await (const name of this.#manager.streams.names()) {
      if (name.split("_").includes(namespace)) names.push(name);
    }
    await Promise.all(names.map((name) => this.#manager.streams.delete(name).catch(() => false)));
  }
}
