import {
  findNatsServer,
  NATS_SERVER_GENERATIONS,
  type NatsServer,
  type NatsServerBinary,
  startNatsServer,
  type StartNatsServerOptions,
} from "@busbar/scripts";
import { afterAll, beforeAll, describe, it } from "vitest";

/** A block of tests, once for each generation of nats-server. */
export async function onEachServer(body: (binary: NatsServerBinary) => void): Promise<void> {
  for (const version of NATS_SERVER_GENERATIONS) {
    const found = await findNatsServer({ version }).catch((error: Error) => error);
    if (found instanceof Error) it.skip(`nats-server ${version}: ${found.message}`);
    else describe(`nats-server ${found.version}`, () => body(found));
  }
}

/** A server for all tests of a block. */
export function useServer(options: StartNatsServerOptions): { readonly server: NatsServer } {
  let server: NatsServer | undefined;
  beforeAll(async () => {
    server = await startNatsServer(options);
  });
  afterAll(async () => {
    await server?.stop();
  });
  return {
    get server(): NatsServer {
      if (!server) throw new Error("the server runs only while tests do");
      return server;
    },
  };
}

/** Whether a server is at least 2.`minor`. */
export function atLeast(binary: NatsServerBinary, minor: number): boolean {
  return Number(binary.version.split(".")[1]) >= minor;
}
