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
import { errorOf, takeOne } from "./support/streams.ts";

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
    const user = (permissions: string): string =>
      `authorization { users: [ { user: "u", password: "p", permissions: { ${permissions} } } ] }`;
    const auth = { user: "u", password: "p" };

    it("needs no more than docs/wire-format.md says", async () => {
      const server = await startNatsServer({
        binary,
        config: user(
          `publish: ["busbar.app.>", "$KV.>", "$JS.API.>", "$JS.ACK.>", "_INBOX.>"],
           subscribe: ["_INBOX.>", "busbar.app.>", "$KV.busbar-leases_app.>",
             "$JS.EVENT.ADVISORY.CONSUMER.DELETED.BUSBAR_app_MSG.*"]`,
        ),
      });
      defer(() => server.stop());
      const bus = await open(server.url, { auth, namespace: "app" });
      const warnings: string[] = [];
      void (async () => {
        for await (const status of bus.status()) {
          if (status.type === "warning") warnings.push(status.code);
        }
      })();
      const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
      const listener = await bus.pubsub.listen("s");
      await bus.pubsub.publish("s", "v");
      await bus.pubsub.notify("s", "v");
      await (await takeOne(subscription)).ack({ confirm: true });
      await takeOne(listener);
      await bus.rpc.serve("s", () => "v");
      await bus.rpc.request("s", "v");
      const watch = await bus.kv.watch("b");
      await bus.kv.create("b", "k", "v");
      await bus.kv.delete("b", "k");
      await bus.kv.keys("b");
      await bus.kv.history("b", "k");
      await takeOne(watch);
      const lease = await bus.kv.lease("b", "k", { ttlMs: 10_000 });
      const waiting = bus.kv.lease("b", "k", { ttlMs: 10_000, waitMs: 10_000 });
      await lease.heartbeat();
      await lease.release();
      await waiting;
      await bus.jobs.enqueue("q", { payload: "v" });
      const [job] = await bus.jobs.claim("q", { workerId: "w", waitMs: 5_000 });
      await job?.heartbeat();
      await job?.deadLetter("bad");
      await bus.jobs.pause("q");
      const [letter] = (await bus.jobs.deadLetters.list("q")).entries;
      expect(await bus.jobs.deadLetters.replay("q", letter?.id ?? "")).toBe(true);
      expect(warnings.filter((code) => code === "server-error")).toEqual([]);
    });

    it("rejects what the user may not do with PERMISSION_DENIED, at once", async () => {
      const server = await startNatsServer({
        binary,
        config: user(
          `publish: { deny: ["busbar.*.rpc.>"] }, subscribe: { deny: ["busbar.*.live.>", "busbar.*.rpc.>"] }`,
        ),
      });
      defer(() => server.stop());
      const bus = await open(server.url, { auth });
      for (const refused of [
        () => bus.rpc.request("s", "v", { timeoutMs: 5_000 }),
        () => bus.rpc.serve("s", () => "v"),
        () => bus.pubsub.listen("s"),
      ]) {
        const from = performance.now();
        expect((await errorOf(refused())).code).toBe("PERMISSION_DENIED");
        expect(performance.now() - from).toBeLessThan(AT_ONCE_MS);
      }
      expect(await bus.kv.put("b", "k", "v")).toBeGreaterThan(0);
    });
  });
});
