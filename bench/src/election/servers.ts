import { type NatsServer, type NatsServerBinary, startNatsServer } from "@busbar/scripts";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { startCluster } from "../../../bus-nats/test/support/cluster.ts";

/** Of every stream that has a new leader. */
const ELECTED = "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.";
/** Part of the name of the stream that has the leases. */
const LEASES = "leases";

/** A server that was killed. */
export interface KilledServer {
  /** When all streams that it led had a leader again, by `performance.now()`; `undefined` until then. */
  electedAtMs: number | undefined;
  start(): Promise<void>;
}

/** The servers of a bench: one, or a cluster of three with three replicas of everything. */
export class Servers implements AsyncDisposable {
  readonly url: string;
  readonly #servers: readonly NatsServer[];
  /** One to each server: they hear of elections while one is down. */
  readonly #listening: NatsConnection[] = [];
  #killed: KilledServer | undefined;
  /** Streams without a leader. */
  readonly #led = new Set<string>();

  private constructor(servers: readonly NatsServer[]) {
    this.#servers = servers;
    const hosts = servers.map(({ port }) => `127.0.0.1:${port}`).join(",");
    this.url = `nats://${hosts}?replicas=${servers.length}&connectTimeoutMs=30000`;
  }

  static async start(binary: NatsServerBinary, isCluster: boolean): Promise<Servers> {
    const servers = new Servers(
      isCluster ? await startCluster(binary) : [await startNatsServer({ binary })],
    );
    await servers.#listen();
    return servers;
  }

  /** Kills the server that leads the stream of the leases. */
  async killStreamLeader(): Promise<KilledServer> {
    const servers = this.#servers.map(({ url }) => url);
    const connection = await connect({ servers, timeout: 30_000 });
    const manager = await jetstreamManager(connection, { checkAPI: false });
    const leaders = new Map<string, string | undefined>();
    for await (const { config, cluster } of manager.streams.list()) {
      leaders.set(config.name, cluster?.leader);
    }
    const leader = [...leaders].find(([stream]) => stream.includes(LEASES))?.[1];
    await connection.close();
    for (const server of this.#servers) {
      const one = await connect({ servers: server.url, timeout: 30_000 });
      const isLeader = one.info?.server_name === leader;
      await one.close();
      if (!isLeader) continue;
      this.#led.clear();
      for (const [stream, its] of leaders) if (its === leader) this.#led.add(stream);
      this.#killed = { electedAtMs: undefined, start: () => server.restart() };
      await server.kill();
      return this.#killed;
    }
    throw new Error(`no server is the leader ${leader}`);
  }

  async #listen(): Promise<void> {
    for (const { url } of this.#servers) {
      const connection = await connect({
        servers: url,
        timeout: 30_000,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
      });
      connection.subscribe(`${ELECTED}*`, {
        callback: (_error, { subject }) => {
          const isLast = this.#led.delete(subject.slice(ELECTED.length)) && this.#led.size === 0;
          if (isLast && this.#killed) this.#killed.electedAtMs = performance.now();
        },
      });
      this.#listening.push(connection);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#listening.map((connection) => connection.close()));
    await Promise.all(this.#servers.map((server) => server.stop()));
  }
}
