import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NatsAuth } from "@busbar/core";
import { startNatsServer } from "@busbar/scripts";
import { nkeys } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";
import { defer, open } from "./support/buses.ts";
import { createOperator } from "./support/operator.ts";
import { onEachServer, useServer } from "./support/servers.ts";
import { errorOf } from "./support/streams.ts";

const seedOf = (key: ReturnType<typeof nkeys.createUser>): string =>
  new TextDecoder().decode(key.getSeed());

/** How long a refusal may take: it must not be tried again until the time is over. */
const AT_ONCE_MS = 2_000;

async function checkAccepted(url: string, auth: NatsAuth | undefined): Promise<void> {
  const bus = await open(url, { auth });
  const revision = await bus.kv.put("b", "k", "v");
  expect((await bus.kv.get("b", "k"))?.revision).toBe(revision);
}

async function checkRefused(
  url: string,
  auth: NatsAuth | undefined,
  secret: string,
): Promise<void> {
  const from = performance.now();
  const error = await errorOf(open(url, { auth, connectTimeoutMs: 10_000 }));
  expect(error.code).toBe("PERMISSION_DENIED");
  expect(performance.now() - from).toBeLessThan(AT_ONCE_MS);
  expect(error.message).not.toContain(secret);
}

await onEachServer((binary) => {
  describe("user and password", () => {
    const context = useServer({
      binary,
      config: 'authorization { user: "ann", password: "s3cret-p" }',
    });

    it("opens with the right ones, in the configuration or in the URL", async () => {
      const { url, port } = context.server;
      await checkAccepted(url, { user: "ann", password: "s3cret-p" });
      await checkAccepted(`nats://ann:s3cret-p@127.0.0.1:${port}`, undefined);
    });

    it("refuses wrong ones at once, without naming them", async () => {
      const { url, port } = context.server;
      await checkRefused(url, { user: "ann", password: "wr0ng-p" }, "wr0ng-p");
      await checkRefused(`nats://ann:wr0ng-p@127.0.0.1:${port}`, undefined, "wr0ng-p");
      await checkRefused(url, undefined, "s3cret-p");
    });
  });

  describe("token", () => {
    const context = useServer({ binary, config: 'authorization { token: "t0ken" }' });

    it("opens with the right one and refuses another", async () => {
      await checkAccepted(context.server.url, { token: "t0ken" });
      await checkRefused(context.server.url, { token: "0ther" }, "0ther");
    });
  });

  describe("nkey", () => {
    const user = nkeys.createUser();
    const context = useServer({
      binary,
      config: `authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`,
    });

    it("opens with the right seed and refuses another", async () => {
      await checkAccepted(context.server.url, { nkeySeed: seedOf(user) });
      const other = seedOf(nkeys.createUser());
      await checkRefused(context.server.url, { nkeySeed: other }, other);
    });
  });

  describe("credentials file", () => {
    it("opens with a user of the operator's account and refuses a foreign one", async () => {
      const operator = createOperator();
      const server = await startNatsServer({ binary, config: operator.config });
      const dir = await mkdtemp(join(tmpdir(), "busbar-creds-"));
      defer(() => rm(dir, { recursive: true }));
      defer(() => server.stop());
      const right = join(dir, "right.creds");
      const foreign = join(dir, "foreign.creds");
      await writeFile(right, operator.credentials);
      await writeFile(foreign, operator.foreignCredentials);
      await checkAccepted(server.url, { credentialsFile: right });
      await checkRefused(server.url, { credentialsFile: foreign }, "SU");
    });

    it("refuses a file that is not there, naming the field", async () => {
      const error = await errorOf(
        open("nats://127.0.0.1:1", { auth: { credentialsFile: "/nowhere/x.creds" } }),
      );
      expect(error.code).toBe("INVALID_CONFIG");
      expect(error.message).toContain("auth.credentialsFile");
    });
  });

  describe("permissions", () => {
    it("rejects what the user may not do with PERMISSION_DENIED", async () => {
      const server = await startNatsServer({
        binary,
        config:
          'authorization { users: [ { user: "u", password: "p", permissions: { publish: { deny: ["busbar.*.rpc.>"] } } } ] }',
      });
      defer(() => server.stop());
      const bus = await open(server.url, { auth: { user: "u", password: "p" } });
      const from = performance.now();
      const error = await errorOf(bus.rpc.request("s", "v", { timeoutMs: 5_000 }));
      expect(error.code).toBe("PERMISSION_DENIED");
      expect(performance.now() - from).toBeLessThan(AT_ONCE_MS);
    });
  });
});
