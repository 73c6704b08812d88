import { setTimeout as sleep } from "node:timers/promises";
import { type Bus, type BusStatus, type KvEvent, toText } from "@busbar/core";
import { type NatsServer, type NatsServerBinary, startNatsServer } from "@busbar/scripts";
import { describe, expect, it } from "vitest";
import { defer, newNamespace, open } from "./support/buses.ts";
import { openProxy } from "./support/proxy.ts";
import { onEachServer } from "./support/servers.ts";
import { codeOf, errorOf, takeOne, until } from "./support/streams.ts";

async function start(binary: NatsServerBinary): Promise<NatsServer> {
  const server = await startNatsServer({ binary });
  defer(() => server.stop());
  return server;
}

/** Everything a bus says of itself. */
function statusesOf(bus: Bus): BusStatus["type"][] {
  const types: BusStatus["type"][] = [];
  void (async () => {
    for await (const status of bus.status()) types.push(status.type);
  })();
  return types;
}

await onEachServer((binary) => {
  it("reconnects for ever, also after the time in which clients give up", async () => {
    const server = await start(binary);
    const bus = await open(server.url, { reconnectWaitMs: 10 });
    const types = statusesOf(bus);
    for (let round = 0; round < 3; round++) {
      await bus.kv.put("b", "k", `${round}`);
      await server.kill();
      // More attempts than the ten after which the client gives up by default.
      await sleep(400);
      await server.restart();
      await until(
        async () => toText((await bus.kv.get("b", "k"))?.value ?? new Uint8Array()) === `${round}`,
      );
    }
    expect(types.filter((type) => type === "disconnected").length).toBe(3);
    expect(types.filter((type) => type === "connected").length).toBe(4);
  }, 30_000);

  it("survives a time in which the server refuses its credentials", async () => {
    const server = await startNatsServer({ binary, config: 'authorization { token: "right" }' });
    defer(() => server.stop());
    const bus = await open(server.url, { auth: { token: "right" }, reconnectWaitMs: 20 });
    await bus.kv.put("b", "k", "v");
    await server.kill();
    const stranger = await startNatsServer({
      binary,
      port: server.port,
      config: 'authorization { token: "wrong" }',
    });
    await sleep(500);
    await stranger.stop();
    await server.restart();
    await until(async () => (await bus.kv.get("b", "k").catch(() => undefined)) !== undefined);
  }, 30_000);

  it("sends what was started while the server was away once it is back", async () => {
    const server = await start(binary);
    const bus = await open(server.url);
    await bus.kv.put("b", "k", "0");
    await bus.rpc.serve("echo", ({ payload }) => payload);
    await server.kill();
    await until(
      async () => (await codeOf(bus.pubsub.notify("s", "v")).catch(() => "")) === "DISCONNECTED",
    );
    const work = [
      bus.kv.put("b", "k", "1"),
      bus.kv.get("b", "k"),
      bus.rpc.request("echo", "v"),
      bus.kv.keys("b"),
      bus.kv.watch("b"),
      bus.rpc.serve("other", () => "v"),
      bus.pubsub.listen("s"),
    ] as const;
    await sleep(200);
    await server.restart();
    const [revision, , reply] = await Promise.all(work);
    expect(revision).toBe(2);
    expect(toText(reply.payload)).toBe("v");
  }, 30_000);

  it("rejects with DISCONNECTED what was under way, and what nobody could send in time", async () => {
    const server = await start(binary);
    const bus = await open(server.url);
    const other = await open(server.url, { namespace: newNamespace() });
    await other.rpc.serve("s", () => "v");
    let asked = 0;
    await bus.rpc.serve("silent", () => {
      asked += 1;
      return new Promise(() => undefined);
    });
    const pending = errorOf(bus.rpc.request("silent", "v", { timeoutMs: 20_000 }));
    const many = errorOf(
      (async () => {
        for await (const _ of bus.rpc.requestMany("silent", "v", { timeoutMs: 20_000 })) break;
      })(),
    );
    await until(() => asked === 2);
    await server.kill();
    expect(await pending).toMatchObject({ code: "DISCONNECTED", details: { outcome: "unknown" } });
    expect(await many).toMatchObject({ code: "DISCONNECTED", details: { outcome: "unknown" } });
    const from = performance.now();
    const late = await errorOf(bus.rpc.request("silent", "v", { timeoutMs: 300 }));
    expect(late).toMatchObject({ code: "DISCONNECTED", details: { outcome: "notSent" } });
    expect(performance.now() - from).toBeLessThan(1_000);
    const none = bus.rpc.requestMany("silent", "v", { timeoutMs: 300 });
    expect(await errorOf(takeOne(none))).toMatchObject({ details: { outcome: "notSent" } });
  }, 30_000);

  it("does not take for absent what was removed by a call whose answer was lost", async () => {
    const server = await start(binary);
    const proxy = await openProxy(server.port);
    defer(() => proxy.close());
    const namespace = newNamespace();
    const near = await open(server.url, { namespace });
    const far = await open(proxy.url, { namespace, reconnectWaitMs: 10 });
    await near.jobs.enqueue("q", { payload: "dead", maxAttempts: 1 });
    for (const job of await near.jobs.claim("q", { workerId: "w", max: 1 })) await job.nak();
    await until(async () => (await near.jobs.deadLetters.count("q")) === 1);
    const [letter] = (await near.jobs.deadLetters.list("q")).entries;
    const { id } = await near.jobs.enqueue("q", { payload: "job" });
    expect(await far.jobs.get("q", id)).toBeDefined();
    for (const [stream, remove, isThere] of [
      ["JOB_q", () => far.jobs.remove("q", id), () => near.jobs.get("q", id)],
      [
        "DEAD",
        () => far.jobs.deadLetters.discard("q", letter?.id ?? ""),
        () => near.jobs.deadLetters.get("q", letter?.id ?? ""),
      ],
    ] as const) {
      proxy.muteAfter(`STREAM.MSG.DELETE.BUSBAR_${namespace}_${stream}`);
      const removing = errorOf(remove());
      await until(async () => (await isThere()) === undefined);
      proxy.cut();
      proxy.mend();
      expect(await removing).toMatchObject({
        code: "DISCONNECTED",
        details: { outcome: "unknown" },
      });
      expect(await remove()).toBe(false);
    }
  }, 30_000);

  it("watches without a gap over kill -9 and restart, in the order of revisions", async () => {
    const server = await start(binary);
    const namespace = newNamespace();
    const [watcher, writer] = await Promise.all([
      open(server.url, { namespace }),
      open(server.url, { namespace }),
    ]);
    await writer.kv.ensureBucket("b", { history: 64 });
    const watch = await watcher.kv.watch("b");
    const events: KvEvent[] = [];
    void (async () => {
      for await (const event of watch) events.push(event);
    })();
    const written: number[] = [];
    let stop = false;
    const writing = (async () => {
      for (let index = 0; !stop; index++) {
        const put = writer.kv.put("b", `k.${index % 7}`, `${index}`);
        const revision = await put.catch(() => undefined);
        if (revision !== undefined) written.push(revision);
        if (index % 50 === 0) await sleep(5);
      }
    })();
    for (let round = 0; round < 3; round++) {
      await sleep(150);
      await server.kill();
      await sleep(100);
      await server.restart();
      await sleep(300);
    }
    stop = true;
    await writing;
    const seen = (): number[] =>
      events.flatMap((event) => (event.type === "initialDone" ? [] : [event.revision]));
    await until(() => seen().at(-1) === written.at(-1));
    const revisions = seen();
    expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
    const missing = written.filter((revision) => !revisions.includes(revision));
    expect(missing).toEqual([]);
    expect(events.filter(({ type }) => type === "initialDone").length).toBe(1);
  }, 60_000);

  describe("close", () => {
    it("ends in time when the server is gone", async () => {
      const server = await start(binary);
      const bus = await open(server.url);
      await bus.kv.watch("b");
      await bus.rpc.serve("s", () => "v");
      await bus.pubsub.listen("s", { group: "g" });
      await bus.pubsub.subscribe("s", { durable: "d" });
      await bus.kv.lease("b", "k", { ttlMs: 10_000 });
      await server.kill();
      await sleep(50);
      const late = bus.kv.put("b", "k", "v");
      const outcome = codeOf(late);
      const from = performance.now();
      const report = await bus.close({ drainMs: 200 });
      expect(performance.now() - from).toBeLessThan(1_200);
      expect(report.abandoned).toBeGreaterThan(0);
      expect(await outcome).toBe("CLOSED");
    }, 30_000);

    it("ends in time when the server hangs", async () => {
      const server = await start(binary);
      const bus = await open(server.url);
      await bus.kv.watch("b");
      await bus.rpc.serve("s", () => "v");
      await bus.pubsub.listen("s", { group: "g" });
      await bus.kv.lease("b", "k", { ttlMs: 10_000 });
      await server.pause();
      defer(() => server.resume());
      const outcome = codeOf(bus.kv.put("b", "k", "v"));
      const from = performance.now();
      await bus.close({ drainMs: 200 });
      expect(performance.now() - from).toBeLessThan(1_200);
      expect(await outcome).toBe("CLOSED");
    }, 30_000);

    it("waits for what is under way", async () => {
      const server = await start(binary);
      const bus = await open(server.url);
      await bus.kv.put("b", "k", "v");
      const puts = Array.from({ length: 500 }, (_, index) => bus.kv.put("b", `k${index}`, "v"));
      // Let them be sent.
      await Promise.resolve();
      const closing = bus.close();
      expect((await Promise.all(puts)).length).toBe(500);
      expect(await closing).toEqual({ abandoned: 0 });
    });
  });
});
