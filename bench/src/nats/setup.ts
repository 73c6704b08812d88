import { createServer } from "node:net";
import { type Bus, openBus } from "@busbar/core";
import { type NatsServer, type NatsServerBinary, startNatsServer } from "@busbar/scripts";
import { openRaw, type RawClient } from "./raw-client.ts";

const NAMESPACE = "bench";

const PAYLOAD_BYTES = 128;

/** The payload of everything. */
export const PAYLOAD: Uint8Array = new Uint8Array(PAYLOAD_BYTES).fill(0x62);

/** Looks at what was received, as every reader does. */
export function checkPayload(payload: Uint8Array): void {
  if (payload.byteLength !== PAYLOAD_BYTES) {
    throw new Error(`received ${payload.byteLength} bytes instead of ${PAYLOAD_BYTES}`);
  }
}

/** One server and everybody who is measured on it. */
export interface NatsSetup extends AsyncDisposable {
  readonly server: NatsServer;
  /** Where the server tells about itself. */
  readonly monitorUrl: string;
  readonly bus: Bus;
  /** Another bus with a connection of its own, in a namespace that nobody used before. */
  openBus(): Promise<Bus>;
  /** The raw client with its best options. */
  readonly best: RawClient;
  /** The raw client as it is without options. */
  readonly plain: RawClient;
}

/** Names of what Busbar makes on the server, as `docs/wire-format.md` has them. */
export const busbarNames = {
  messages: `BUSBAR_${NAMESPACE}_MSG`,
  jobs: (queue: string): string => `BUSBAR_${NAMESPACE}_JOB_${queue}`,
  bucket: (bucket: string): string => `KV_busbar_${NAMESPACE}_${bucket}`,
} as const;

/** Starts a server of its own and connects all sides. */
export async function openNatsSetup(binary: NatsServerBinary): Promise<NatsSetup> {
  const monitorPort = await freePort();
  const server = await startNatsServer({ binary, config: `http: "127.0.0.1:${monitorPort}"` });
  const bus = await openBus({ backend: "nats", servers: server.url, namespace: NAMESPACE });
  let namespaces = 0;
  const best = await openRaw(server.url, "best");
  const plain = await openRaw(server.url, "default");
  return {
    server,
    monitorUrl: `http://127.0.0.1:${monitorPort}`,
    bus,
    openBus: () =>
      openBus({
        backend: "nats",
        servers: server.url,
        namespace: `${NAMESPACE}-${(namespaces += 1)}`,
      }),
    best,
    plain,
    [Symbol.asyncDispose]: async () => {
      await bus.close({ drainMs: 0 });
      await best.connection.close();
      await plain.connection.close();
      await server.stop();
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
