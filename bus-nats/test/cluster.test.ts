import { type Bus, isBusError, type KvEvent, toText } from "@busbar/core";
import type { NatsServer } from "@busbar/scripts";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newNamespace, open } from "./support/buses.ts";
import { startCluster } from "./support/cluster.ts";
import { onEachServer } from "./support/servers.ts";
import { take } from "./support/streams.ts";

/** Tries again while the cluster is busy with itself. */
async function persist<T>(work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const mayPass = isBusError(error) && error.retryable;
      if (!mayPass || performance.now() > deadline) throw error;
    }
  }
}

/** Which of the servers leads a stream. */
async function leaderOf(servers: readonly NatsServer[], stream: string): Promise<number> {
  const names: (string | undefined)[] = [];
  let leader: string | undefined;
  for (const { url } of servers) {
    const connection = await connect({ servers: url });
    names.push(connection.info?.server_name);
    leader = (await (await jetstreamManager(connection)).streams.info(stream)).cluster?.leader;
    await connection.close();
  }
  return names.indexOf(leader);
}

await onEachServer((binary) => {
  describe("three servers and three replicas", () => {
    let servers: readonly NatsServer[] = [];

    beforeAll(async () => {
      servers = await startCluster(binary);
      // A cluster has no JetStream until it has elected who leads.
      await persist(async () => (await openOn(0)).kv.put("b", "k", "v"));
    }, 60_000);

    afterAll(async () => {
      await Promise.all(servers.map((server) => server.stop()));
    });

    function openOn(index: number, namespace = newNamespace()): Promise<Bus> {
      const first = servers[index]?.url as string;
      const others = servers.map(({ url }) => url).filter((url) => url !== first);
      return persist(() =>
        open(first, {
          namespace,
          replicas: 3,
          servers: [first, ...others],
          connectTimeoutMs: 10_000,
        }),
      );
    }

    it("acknowledges by a quorum, and reads what was acknowledged from any server", async () => {
      const namespace = newNamespace();
      const buses = await Promise.all([0, 1, 2].map((index) => openOn(index, namespace)));
      const [writer] = buses as [Bus];
      expect(writer.capabilities.ackMeaning).toBe("quorum");
      await persist(() => writer.kv.put("b", "k", "start"));
      for (let round = 0; round < 100; round++) {
        const revision = await writer.kv.put("b", "k", `${round}`);
        const entries = await Promise.all(buses.map((bus) => bus.kv.get("b", "k")));
        expect(entries.map((entry) => entry?.revision)).toEqual([revision, revision, revision]);
      }
      expect((await buses[1]?.kv.keys("b"))?.keys).toEqual(["k"]);
    }, 60_000);

    it("lets one of many win, from any server", async () => {
      const namespace = newNamespace();
      const buses = await Promise.all([0, 1, 2].map((index) => openOn(index, namespace)));
      await persist(() => (buses[0] as Bus).kv.put("b", "k", "v"));
      const leases = await Promise.allSettled(
        Array.from({ length: 9 }, (_, index) =>
          (buses[index % 3] as Bus).kv.lease("b", "k", { ttlMs: 20_000 }),
        ),
      );
      expect(leases.filter(({ status }) => status === "fulfilled").length).toBe(1);
      const creates = await Promise.allSettled(
        Array.from({ length: 9 }, (_, index) =>
          (buses[index % 3] as Bus).kv.create("b", "new", `${index}`),
        ),
      );
      expect(creates.filter(({ status }) => status === "fulfilled").length).toBe(1);
    }, 60_000);

    it("says while a stream has no leader that it may be tried again", async () => {
      const namespace = newNamespace();
      const bus = await openOn(0, namespace);
      await persist(() => bus.pubsub.publish("s", ""));
      const errors: unknown[] = [];
      const publish = (): Promise<boolean> =>
        bus.pubsub.publish("s", "", { timeoutMs: 300 }).then(
          () => true,
          (error: unknown) => {
            errors.push(error);
            return false;
          },
        );
      const index = await leaderOf(servers, `BUSBAR_${namespace}_MSG`);
      await servers[index]?.kill();
      await expect.poll(publish, { timeout: 30_000, interval: 0 }).toBe(true);
      expect(errors.length).toBeGreaterThan(0);
      expect(errors.filter((error) => !isBusError(error) || !error.retryable)).toEqual([]);
      await servers[index]?.restart();
    }, 90_000);

    it("goes on without a gap when a server is killed", async () => {
      const namespace = newNamespace();
      const [watcher, writer] = await Promise.all([openOn(1, namespace), openOn(2, namespace)]);
      await persist(() => writer.kv.ensureBucket("b", { history: 64 }));
      const watch = await persist(() => watcher.kv.watch("b"));
      await take(watch, 1);
      const events: KvEvent[] = [];
      void (async () => {
        for await (const event of watch) events.push(event);
      })();
      const revisions: number[] = [];
      for (let index = 0; index < 60; index++) {
        if (index === 20) await servers[1]?.kill();
        revisions.push(await persist(() => writer.kv.put("b", `k${index % 5}`, `${index}`)));
        if (index === 40) await servers[1]?.restart();
      }
      const seen = (): number[] =>
        events.flatMap((event) => (event.type === "put" ? [event.revision] : []));
      // A consumer may have been placed on the server that died: then a heartbeat has to be missed.
      await expect
        .poll(() => seen().at(-1), { timeout: 45_000, interval: 20 })
        .toBe(revisions.at(-1));
      expect(revisions.filter((revision) => !seen().includes(revision))).toEqual([]);
      const last = await persist(() => watcher.kv.get("b", "k4"));
      expect(toText(last?.value ?? new Uint8Array())).toBe("59");
    }, 90_000);
  });
});
