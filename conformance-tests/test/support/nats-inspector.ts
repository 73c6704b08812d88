import { systemClock } from "@busbar/core";
import {
  connect,
  type ConnectionOptions,
  type JetStreamManager,
  JSONCodec,
  type NatsConnection,
} from "nats";

interface Connections {
  readonly data?: { readonly connections?: readonly { readonly name?: string }[] };
}

const ATTEMPTS = 10;
const OPTIONS = { maxReconnectAttempts: -1, reconnectTimeWait: 25, pingInterval: 1_000 };

/** Accounts of a server that a {@link NatsInspector} can look into; clients need no password. */
export const INSPECTED_ACCOUNTS = `
accounts {
  $SYS { users: [ { user: inspector, password: inspector } ] }
  APP { jetstream: enabled, users: [ { user: app, password: app } ] }
}
no_auth_user: app
`;

/**
 * Sees what buses left on a nats-server, with a client that has nothing in common with theirs. A
 * bus of a namespace is known by the name of its connection, which is the namespace, and a stream
 * by its name, of which the namespace is a part between two underscores.
 */
export class NatsInspector {
  readonly #system: NatsConnection | undefined;
  readonly #app: NatsConnection;
  readonly #streams: JetStreamManager;

  private constructor(
    system: NatsConnection | undefined,
    app: NatsConnection,
    streams: JetStreamManager,
  ) {
    this.#system = system;
    this.#app = app;
    this.#streams = streams;
  }

  /** Connects to a server with {@link INSPECTED_ACCOUNTS}. */
  static async connect(url: string): Promise<NatsInspector> {
    const user = { user: "inspector", pass: "inspector" };
    const system = await connect({ servers: url, ...user, ...OPTIONS });
    return NatsInspector.#connect({ servers: url }, system);
  }

  /** Connects to any server: it does not see the connections of others. */
  static connectAsUser(options: ConnectionOptions): Promise<NatsInspector> {
    return NatsInspector.#connect(options, undefined);
  }

  static async #connect(
    options: ConnectionOptions,
    system: NatsConnection | undefined,
  ): Promise<NatsInspector> {
    const app = await connect({ name: "inspector", ...OPTIONS, ...options });
    return new NatsInspector(system, app, await app.jetstreamManager());
  }

  /** Connections of closed buses, and consumers that nobody can come back to. */
  leaks(namespace: string): Promise<string[]> {
    return patiently(() => this.#leaks(namespace));
  }

  /** Removes the streams of a namespace. */
  clean(namespace: string): Promise<void> {
    return patiently(async () => {
      for (const stream of await this.#streamsOf(namespace)) {
        await this.#streams.streams.delete(stream);
      }
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#system?.close(), this.#app.close()]);
  }

  async #leaks(namespace: string): Promise<string[]> {
    const found: string[] = [];
    const connections = await this.#connectionsNamed(namespace);
    if (connections > 0) found.push(`${connections} connections`);
    for (const stream of await this.#streamsOf(namespace)) {
      for await (const { name, config } of this.#streams.consumers.list(stream)) {
        if (config.durable_name === undefined) found.push(`consumer ${name} of ${stream}`);
      }
    }
    return found;
  }

  async #connectionsNamed(name: string): Promise<number> {
    if (!this.#system) return 0;
    const codec = JSONCodec<Connections>();
    const request = JSONCodec().encode({ limit: 10_000 });
    const reply = await this.#system.request("$SYS.REQ.SERVER.PING.CONNZ", request);
    const { data } = codec.decode(reply.data);
    return data?.connections?.filter((connection) => connection.name === name).length ?? 0;
  }

  async #streamsOf(namespace: string): Promise<string[]> {
    const names: string[] = [];
    for await (const name of this.#streams.streams.names()) {
      const isOurs = (part: string): boolean =>
        part === namespace || part.startsWith(`${namespace}--`);
      if (name.split("_").some(isOurs)) names.push(name);
    }
    return names;
  }
}

/** What is asked of a server that a case has just started again may need to be asked once more. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await systemClock.sleep(100);
    }
  }
}
