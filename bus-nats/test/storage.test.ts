import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";
import { defer, newNamespace, open } from "./support/buses.ts";
import { onEachServer, useServer } from "./support/servers.ts";

const AT_A_TIME = 50;

await onEachServer((binary) => {
  const context = useServer({ binary });

  describe("a view", () => {
    it("is on the connection of its bus, and leaves nothing there when it is closed", async () => {
      const connection = await connect({ servers: context.server.url });
      defer(() => connection.close());
      const bus = await open(context.server.url, { connection });
      const subscriptions = (): number =>
        (
          connection as never as { protocol: { subscriptions: { size(): number } } }
        ).protocol.subscriptions.size();
      await bus.kv.put("b", "k", "v");
      const before = subscriptions();
      for (let round = 1; round <= 3; round++) {
        const view = await bus.forNamespace("a");
        await view.pubsub.subscribe("s", { durable: "d" });
        await view.pubsub.listen("s");
        await view.rpc.serve("s", () => "v");
        await view.kv.watch("b");
        await view.kv.lease("b", "k", { ttlMs: 5_000 });
        await view.jobs.enqueue("q", { payload: "v" });
        const [job] = await view.jobs.claim("q", { workerId: "w" });
        await job?.nak();
        void view.jobs.claim("none", { workerId: "w", waitMs: 60_000 }).catch(() => undefined);
        await view.jobs.stats("none");
        expect(subscriptions()).toBeGreaterThan(before);
        await view.close();
        // The last pulls drain behind the close.
        await expect.poll(subscriptions).toBe(before);
      }
      expect(connection.isClosed()).toBe(false);
      expect((await bus.kv.get("b", "k"))?.value.length).toBe(1);
    });

    it("hears of a lost connection and of its return, as its bus does", async () => {
      const bus = await open(context.server.url);
      const view = await bus.forNamespace("a");
      const seen: string[] = [];
      const reading = (async () => {
        for await (const { type } of view.status()) {
          seen.push(type);
          if (type === "connected" && seen.length > 1) return;
        }
      })();
      await view.kv.put("b", "k", "v");
      await context.server.kill();
      await context.server.restart();
      await reading;
      expect(seen).toEqual(["connected", "disconnected", "connected"]);
      expect((await view.kv.get("b", "k"))?.value.length).toBe(1);
    });

    it("of a bus that is bound to a stream has a stream of its own", async () => {
      const connection = await connect({ servers: context.server.url });
      defer(() => connection.close());
      const manager = await jetstreamManager(connection);
      const name = `OWN-${newNamespace()}`;
      await manager.streams.add({ name, subjects: [`${name}.>`] });
      const stream = { name, subjectPrefix: name };
      const bus = await open(context.server.url, { stream });
      const view = await bus.forNamespace("a");
      await bus.pubsub.publish("s", "v");
      await view.pubsub.publish("s", "v");
      expect((await manager.streams.info(name)).state.messages).toBe(1);
      expect((await bus.storage()).objects).toBe(1);
      await bus.removeNamespace();
      expect((await manager.streams.info(name)).state.messages).toBe(1);
      await bus.pubsub.publish("s", "v");
    });
  });

  describe("storage and removal", () => {
    it("find more streams than a page of the server's has, and leave those of others alone", async () => {
      const connection = await connect({ servers: context.server.url });
      defer(() => connection.close());
      const { streams } = await jetstreamManager(connection);
      const namespace = newNamespace();
      const bus = await open(context.server.url, { namespace, storage: "memory" });
      const others = [`BUSBAR_${namespace}-x_MSG`, `BUSBAR_${namespace}_OTHER`, `KV_${namespace}`];
      const ours = Array.from(
        { length: 1_100 },
        (_, number) => `BUSBAR_${namespace}--t${number}_MSG`,
      );
      const all = [...others, ...ours];
      for (let index = 0; index < all.length; index += AT_A_TIME) {
        const some = all.slice(index, index + AT_A_TIME);
        await Promise.all(
          some.map((name) => streams.add({ name, subjects: [name], storage: "memory" as never })),
        );
      }
      await connection.flush();
      for (const name of [others[0], ours[0], ours.toSorted().at(-1)])
        connection.publish(name as string);
      await connection.flush();
      await expect.poll(async () => (await bus.storage()).objects).toBe(2);
      const left = async (): Promise<string[]> => {
        const names: string[] = [];
        for await (const name of streams.names()) if (name.includes(namespace)) names.push(name);
        return names.toSorted();
      };
      // The process of the first one ends in the middle: as soon as a stream is gone.
      const interrupted = await open(context.server.url, { namespace });
      const removed = new Promise<void>((resolve) => {
        connection.subscribe("$JS.EVENT.ADVISORY.STREAM.DELETED.*", {
          max: 1,
          callback: () => resolve(),
        });
      });
      await connection.flush();
      const removing = interrupted.removeNamespace().catch((error: Error) => error);
      await removed;
      await interrupted.close({ drainMs: 0 });
      expect(await removing).toMatchObject({ code: "CLOSED" });
      expect((await left()).length).toBeGreaterThan(others.length);
      await bus.removeNamespace();
      expect(await left()).toEqual(others.toSorted());
    });
  });
});
