import { type NatsServer, type NatsServerBinary, startNatsServer } from "@busbar/scripts";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { startCluster } from "../../../bus-nats/test/support/cluster.ts";

/** The servers of a bench: one, or a cluster of three with three replicas of everything. */
export class Servers implements AsyncDisposable {
  readonly url: string;
  readonly #servers: readonly NatsServer[];

  private constructor(servers: readonly NatsServer[]) {
    this.#servers = servers;
    const hosts = servers.map(({ port }) => `127.0.0.1:${port}`).join(",");
    this.url = `nats://${hosts}?replicas=${servers.length}&connectTimeoutMs=30000`;
  }

  static async start(binary: NatsServerBinary, isCluster: boolean): Promise<Servers> {
    return new Servers(
      isCluster ? await startCluster(binary) : [await startNatsServer({ binary })],
    );
  }

  /** Kills the server that leads the stream of the leases. @returns what starts it again */
  async killStreamLeader(): Promise<() => Promise<void>> {
    const servers = this.#servers.map(({ url }) => url);
    const connection = await connect({ servers, timeout: 30_000 });
    const manager = await jetstreamManager(connection, { checkAPI: false });
    let leader: string | undefined;
    for await (const { config, cluster } of manager.streams.list()) {
      if (config.name.includes("leases")) leader = cluster?.leader;
    }
    await connection.close();
    for (const server of this.#servers) {
      const one = await connect({ servers: server.url, timeout: 30_000 });
      const isLeader = one.info?.server_name === leader;
      await one.close();
      if (!isLeader) continue;
      await server.kill();
      return () => server.restart();
    }
    throw new Error(`no server is the leader ${leader}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
  }
}
