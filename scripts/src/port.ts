import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/**
 * Below the range from which systems choose the local ports of outgoing connections. Inside that
 * range a client that tries again and again to reach a stopped server can be given the server's
 * own port, connect to itself, and so keep the server from coming back.
 */
const FIRST_PORT = 10_000;
const END_PORT = 30_000;
const ATTEMPTS = 100;

/** A port on 127.0.0.1 that is free now. */
export async function pickPort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(FIRST_PORT, END_PORT);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port on 127.0.0.1 in ${ATTEMPTS} tries`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
