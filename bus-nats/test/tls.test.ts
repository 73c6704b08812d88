import type { NatsTls } from "@busbar/core";
import { type NatsServer, type NatsServerBinary, startNatsServer } from "@busbar/scripts";
import { afterAll, describe, expect, it } from "vitest";
import { defer, open } from "./support/buses.ts";
import { createCertificates } from "./support/certificates.ts";
import { atLeast, onEachServer } from "./support/servers.ts";
import { errorOf } from "./support/streams.ts";

const certificates = await createCertificates();
afterAll(() => certificates[Symbol.asyncDispose]());

const { caFile, serverCert, serverKey, clientCert, clientKey } = certificates;
const mutual: NatsTls = { caFile, certFile: clientCert, keyFile: clientKey };

async function start(binary: NatsServerBinary, lines: string): Promise<NatsServer> {
  const server = await startNatsServer({
    binary,
    config: `tls { cert_file: "${serverCert}", key_file: "${serverKey}"\n${lines}\n}`,
  });
  defer(() => server.stop());
  return server;
}

async function checkWorks(url: string, tls: NatsTls): Promise<void> {
  const bus = await open(url, { tls });
  expect(await bus.kv.put("b", "k", "v")).toBeGreaterThan(0);
}

await onEachServer((binary) => {
  it("trusts an authority of its own", async () => {
    const { url } = await start(binary, "");
    await checkWorks(url, { caFile });
  });

  it("shows a certificate where the server wants one, and is refused without", async () => {
    const { url } = await start(binary, `ca_file: "${caFile}", verify: true`);
    await checkWorks(url, mutual);
    const error = await errorOf(open(url, { tls: { caFile }, connectTimeoutMs: 1_000 }));
    expect(["DISCONNECTED", "PERMISSION_DENIED", "INVALID_CONFIG"]).toContain(error.code);
  });

  it("refuses a server that it cannot trust at once, saying why", async () => {
    const { url } = await start(binary, "");
    const from = performance.now();
    const error = await errorOf(open(url, { tls: true, connectTimeoutMs: 10_000 }));
    expect(error.code).toBe("INVALID_CONFIG");
    expect(error.message).toMatch(/tls.*certificate/);
    expect(performance.now() - from).toBeLessThan(2_000);
  });

  it("says which file it cannot read", async () => {
    const { url } = await start(binary, "");
    const error = await errorOf(open(url, { tls: { caFile: "/nowhere/ca.pem" } }));
    expect(error.code).toBe("INVALID_CONFIG");
    expect(error.message).toContain("/nowhere/ca.pem");
  });

  describe.skipIf(!atLeast(binary, 11))("TLS before the greeting", () => {
    it("works with handshakeFirst", async () => {
      const { url } = await start(binary, "handshake_first: true");
      await checkWorks(url, { caFile, handshakeFirst: true });
    });
  });
});
