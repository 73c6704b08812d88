import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A way to a server that can be cut while the server goes on. */
export interface Proxy {
  readonly url: string;
  /** Breaks all connections and takes no new ones. */
  cut(): void;
  /** Takes connections again. */
  mend(): void;
  /** Nothing comes back to a client any more once it has sent something with this text. */
  muteAfter(text: string): void;
  close(): Promise<void>;
}

/** Opens a way to a port of this machine. */
export async function openProxy(port: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let isCut = false;
  let mutedBy: string | undefined;
  const server = createServer((client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    const upstream = connect(port, "127.0.0.1");
    client.on("data", (chunk: Buffer) => {
      if (mutedBy !== undefined && chunk.includes(mutedBy)) upstream.unpipe(client);
    });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.pipe(other);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    mend: () => {
      isCut = false;
      mutedBy = undefined;
    },
    muteAfter: (text) => {
      mutedBy = text;
    },
    close: async () => {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
