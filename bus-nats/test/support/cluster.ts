import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { type NatsServer, type NatsServerBinary, startNatsServer } from "@busbar/scripts";

/** Starts three servers that form a cluster. */
export async function startCluster(binary: NatsServerBinary): Promise<readonly NatsServer[]> {
  const ports = [await freePort(), await freePort(), await freePort()];
  const routes = ports.map((port) => `nats://127.0.0.1:${port}`).join(", ");
  return Promise.all(
    ports.map((port) =>
      startNatsServer({
        binary,
        config: `cluster { name: "c", listen: "127.0.0.1:${port}", routes: [${routes}] }`,
      }),
    ),
  );
}

/** Below the range from which systems choose ports by themselves. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    const probe = createServer().listen(port, "127.0.0.1");
    const free = await Promise.race([
      once(probe, "listening").then(() => true),
      once(probe, "error").then(() => false),
    ]);
    if (!free) continue;
    probe.close();
    await once(probe, "close");
    return port;
  }
}
