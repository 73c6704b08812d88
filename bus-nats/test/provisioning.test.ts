import { toText } from "@busbar/core";
import { connect } from "@nats-io/transport-node";
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { describe, expect, it } from "vitest";
import { defer, newNamespace, open } from "./support/buses.ts";
import { onEachServer, useServer } from "./support/servers.ts";
import { errorOf } from "./support/streams.ts";

await onEachServer((binary) => {
  const context = useServer({ binary });

  async function manager(): Promise<JetStreamManager> {
    const connection = await connect({ servers: context.server.url });
    defer(() => connection.close());
    return jetstreamManager(connection);
  }

  describe("an existing stream of another shape", () => {
    it("is refused with the differences, and left alone", async () => {
      const namespace = newNamespace();
      const streams = (await manager()).streams;
      const name = `BUSBAR_${namespace}_MSG`;
      await streams.add({ name, subjects: [`busbar.${namespace}.msg.>`], max_age: 60_000_000_000 });
      const bus = await open(context.server.url, { namespace });
      const error = await errorOf(bus.pubsub.publish("s", "v"));
      expect(error).toMatchObject({
        code: "CONFLICT",
        details: {
          differences: expect.arrayContaining([
            { option: "max_age", existing: 60_000_000_000, wanted: 0 },
          ]),
        },
      });
      expect(error.message).toContain(name);
      expect((await streams.info(name)).config.max_age).toBe(60_000_000_000);
    });

    it("is brought into shape with `update`, and keeps what it has", async () => {
      const namespace = newNamespace();
      const streams = (await manager()).streams;
      const name = `BUSBAR_${namespace}_MSG`;
      await streams.add({ name, subjects: [`busbar.${namespace}.msg.>`], max_age: 60_000_000_000 });
      const bus = await open(context.server.url, { namespace, update: true });
      expect(await bus.pubsub.publish("s", "v")).toEqual({ sequence: 1, duplicate: false });
      const { config, state } = await streams.info(name);
      expect([config.max_age, config.allow_direct, state.messages]).toEqual([0, true, 1]);
    });

    it("is named where only its subjects are in the way", async () => {
      const namespace = newNamespace();
      const streams = (await manager()).streams;
      await streams.add({ name: `OTHER_${namespace}`, subjects: [`busbar.${namespace}.>`] });
      const bus = await open(context.server.url, { namespace });
      const error = await errorOf(bus.pubsub.publish("s", "v"));
      expect(error.code).toBe("CONFLICT");
      expect(error.message).toMatch(/overlap/);
    });
  });

  describe("a stream that is made right after one of its name was removed", () => {
    const LANES = ["a", "b", "c", "d"];
    const ROUNDS = Array.from({ length: 40 }, (_, round) => `${round}`);

    it("has none of its messages", async () => {
      const { kv } = await open(context.server.url);
      const lane = async (bucket: string): Promise<void> => {
        for (const round of ROUNDS) {
          await kv.put(bucket, round, "v");
          expect((await kv.keys(bucket)).keys).toEqual([round]);
          await kv.deleteBucket(bucket);
        }
      };
      await Promise.all(LANES.map(lane));
    });

    it("keeps its own", async () => {
      const { jobs } = await open(context.server.url);
      const lane = async (queue: string): Promise<void> => {
        for (const round of ROUNDS) {
          await jobs.enqueue(queue, { payload: round });
          const [job] = await jobs.claim(queue, { workerId: "w", waitMs: 2_000 });
          expect(job && toText(job.payload)).toBe(round);
          await job?.ack({ confirm: true });
          await jobs.deleteQueue(queue);
        }
      };
      await Promise.all(LANES.map(lane));
    });
  });

  describe("a stream that several buses make at the same time", () => {
    it("is made once, and all of them use it", async () => {
      // The server answers the losers of this race in three ways, each of them rarely.
      const namespace = newNamespace();
      const buses = await Promise.all(
        Array.from({ length: 6 }, () => open(context.server.url, { namespace })),
      );
      for (let bucket = 0; bucket < 120; bucket += 1) {
        await Promise.all(buses.map((bus) => bus.kv.put(`b${bucket}`, "k", "v")));
        await buses[0]?.kv.deleteBucket(`b${bucket}`);
      }
    });
  });

  describe("a stream that is made right after it was removed", () => {
    it("is there, although the server may still be removing the files of the last one", async () => {
      const bus = await open(context.server.url, { namespace: newNamespace() });
      const removeAndMake = async (bucket: string): Promise<void> => {
        for (let round = 0; round < 150; round++) {
          await bus.kv.ensureBucket(bucket, { history: 5 });
          await bus.kv.put(bucket, "k", "v");
          await bus.kv.deleteBucket(bucket);
          await bus.kv.get(bucket, "k");
          await bus.kv.deleteBucket(bucket);
        }
      };
      // One time in a thousand the server is not done: 1,200 times, four at once.
      await Promise.all(["a", "b", "c", "d"].map(removeAndMake));
    });
  });

  describe("a bucket that exists with other options", () => {
    it("is used as it is, unless somebody asks for its options", async () => {
      const namespace = newNamespace();
      const [maker, user] = await Promise.all([
        open(context.server.url, { namespace }),
        open(context.server.url, { namespace }),
      ]);
      await maker.kv.ensureBucket("b", { history: 5, ttlMs: 60_000, maxBytes: 1_000_000 });
      await user.kv.put("b", "k", "v");
      await user.kv.ensureBucket("b", { history: 5, ttlMs: 60_000, maxBytes: 1_000_000 });
      const error = await errorOf(user.kv.ensureBucket("b", { history: 5 }));
      expect(error).toMatchObject({
        code: "CONFLICT",
        details: {
          differences: [
            { option: "ttlMs", existing: 60_000, wanted: 0 },
            { option: "maxBytes", existing: 1_000_000, wanted: -1 },
          ],
        },
      });
    });

    it("gets them with `update`", async () => {
      const namespace = newNamespace();
      const bus = await open(context.server.url, { namespace });
      await bus.kv.put("b", "k", "1");
      const updating = await open(context.server.url, { namespace, update: true });
      await updating.kv.ensureBucket("b", { history: 4 });
      await bus.kv.put("b", "k", "2");
      expect((await bus.kv.history("b", "k")).length).toBe(2);
      expect((await errorOf(bus.kv.ensureBucket("b", { history: 1 }))).code).toBe("CONFLICT");
    });
  });

  it("is safe when ten processes begin at the same time", async () => {
    const namespace = newNamespace();
    const buses = await Promise.all(
      Array.from({ length: 10 }, () => open(context.server.url, { namespace })),
    );
    const sequences = await Promise.all(
      buses.map(async (bus, index) => {
        await bus.kv.put("b", `k${index}`, "v");
        await bus.kv.ensureBucket("c", { history: 2 });
        await bus.jobs.enqueue("q", { payload: "v" });
        const lease = await bus.kv.lease("b", `k${index}`, { ttlMs: 10_000 });
        await lease.release();
        return (await bus.pubsub.publish("s", "v")).sequence;
      }),
    );
    expect(sequences.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect((await buses[0]?.kv.keys("b"))?.keys.length).toBe(10);
    expect((await buses[0]?.jobs.stats("q"))?.ready).toBe(10);
  });

  it("has room for more than a thousand watches of a bucket", async () => {
    const bus = await open(context.server.url);
    const watches = [];
    for (let round = 0; round < 11; round++) {
      const opening = Array.from({ length: 100 }, () => bus.kv.watch("b"));
      watches.push(...(await Promise.all(opening)));
    }
    expect(watches.length).toBe(1_100);
    await Promise.all(watches.map((watch) => watch.close()));
  });

  it("leaves no consumer on the server when its watches and listings are over", async () => {
    const namespace = newNamespace();
    const bus = await open(context.server.url, { namespace });
    await Promise.all(Array.from({ length: 30 }, (_, index) => bus.kv.put("b", `k${index}`, "v")));
    const watch = await bus.kv.watch("b");
    const page = await bus.kv.keys("b", { limit: 10 });
    await bus.kv.keys("b", { limit: 10, after: page.next as string });
    for await (const event of await bus.kv.watch("b")) if (event.type === "initialDone") break;
    await watch.close();
    const { consumers } = await manager();
    const names = [];
    for await (const info of consumers.list(`KV_busbar_${namespace}_b`)) names.push(info.name);
    expect(names).toEqual([]);
  });
});
