import { setTimeout as sleep } from "node:timers/promises";
import { openBus } from "@busbar/core";
import { startNatsServer } from "@busbar/scripts";
import { connect } from "@nats-io/transport-node";
import { connect as connectOld } from "nats";
import { describe, expect, it } from "vitest";
import { defer, newNamespace, open } from "./support/buses.ts";
import { atLeast, onEachServer, useServer } from "./support/servers.ts";
import { codeOf, errorOf } from "./support/streams.ts";

/** A port of this machine on which nobody listens. */
const NOBODY = "nats://127.0.0.1:9";

describe("no server", () => {
  it("rejects with DISCONNECTED once connectTimeoutMs is over", async () => {
    const from = performance.now();
    const error = await errorOf(open(NOBODY, { connectTimeoutMs: 500 }));
    expect(error.code).toBe("DISCONNECTED");
    expect(performance.now() - from).toBeGreaterThan(300);
    expect(performance.now() - from).toBeLessThan(1_500);
    expect(error.message).toContain("127.0.0.1:9");
  });

  it("never shows the password of a URL", async () => {
    const error = await errorOf(openBus("nats://ann:s3cret@127.0.0.1:9?connectTimeoutMs=200"));
    expect(error.message).not.toContain("s3cret");
  });

  it("refuses a seed and a credentials file that are none", async () => {
    const seed = await errorOf(open(NOBODY, { auth: { nkeySeed: "SUnonsense" } }));
    expect([seed.code, seed.message]).toEqual([
      "INVALID_CONFIG",
      expect.stringContaining("auth.nkeySeed"),
    ]);
    expect(seed.message).not.toContain("nonsense");
    const file = await errorOf(
      open(NOBODY, { auth: { credentialsFile: new URL(import.meta.url).pathname } }),
    );
    expect([file.code, file.message]).toEqual([
      "INVALID_CONFIG",
      expect.stringContaining("auth.credentialsFile"),
    ]);
  });
});

await onEachServer((binary) => {
  const context = useServer({ binary });

  it("waits for a server that starts late, but within the time", async () => {
    const server = await startNatsServer({ binary });
    defer(() => server.stop());
    await server.kill();
    const opening = open(server.url, { connectTimeoutMs: 10_000 });
    await sleep(300);
    await server.restart();
    const bus = await opening;
    expect(await bus.kv.put("b", "k", "v")).toBeGreaterThan(0);
  });

  it("rejects with UNSUPPORTED at once where JetStream is missing, and leaves nothing", async () => {
    const server = await startNatsServer({ binary, jetstream: false });
    defer(() => server.stop());
    const from = performance.now();
    const error = await errorOf(open(server.url));
    expect(error.code).toBe("UNSUPPORTED");
    expect(error.message).toContain("JetStream");
    expect(performance.now() - from).toBeLessThan(2_000);
  });

  it("uses the caller's connection and leaves it open", async () => {
    const connection = await connect({ servers: context.server.url });
    defer(() => connection.close());
    const bus = await open(context.server.url, { connection });
    await bus.kv.put("b", "k", "v");
    await bus.rpc.serve("s", () => "v");
    expect(await bus.close()).toEqual({ abandoned: 0 });
    expect(connection.isClosed()).toBe(false);
    await connection.flush();
    // The subscriptions of the bus are gone with it, and so is its interest in what happens.
    const { listeners, subscriptions } = Reflect.get(connection, "protocol") as {
      listeners: unknown[];
      subscriptions: { size(): number };
    };
    expect([listeners.length, subscriptions.size()]).toEqual([0, 0]);
    const again = await open(context.server.url, { connection });
    expect(await codeOf(again.rpc.request("s", "v"))).toBe("NO_RESPONDERS");
  });

  it("rejects with CLOSED when the caller closes the connection under it", async () => {
    const connection = await connect({ servers: context.server.url });
    const bus = await open(context.server.url, { connection });
    const watch = await bus.kv.watch("b");
    await connection.close();
    expect(await codeOf(bus.kv.put("b", "k", "v"))).toBe("CLOSED");
    expect(await codeOf(bus.rpc.request("s", "v"))).toBe("CLOSED");
    await watch.close();
    const from = performance.now();
    await bus.close();
    expect(performance.now() - from).toBeLessThan(2_000);
  });

  it("refuses a connection of the older client, and one that is closed", async () => {
    const old = await connectOld({ servers: context.server.url });
    defer(() => old.close());
    expect(await codeOf(open(context.server.url, { connection: old }))).toBe("INVALID_CONFIG");
    const closed = await connect({ servers: context.server.url });
    await closed.close();
    expect(await codeOf(open(context.server.url, { connection: closed }))).toBe("INVALID_CONFIG");
  });

  it("declares what the server and the configuration can do", async () => {
    const file = (await open(context.server.url, { dedupWindowMs: 5_000 })).capabilities;
    expect(file).toMatchObject({
      backend: "nats",
      server: `nats-server ${binary.version}`,
      ackMeaning: "flushed",
      persistent: true,
      settleDurability: { pubsub: "window", jobs: atLeast(binary, 10) ? "kept" : "window" },
      dedupDurability: { pubsub: "kept", jobs: "unconsumed" },
      dedupWindowMs: 5_000,
      maxPayloadBytes: 1_048_576 - 16_384,
      keyTtl: atLeast(binary, 11),
    });
    expect([file, file.settleDurability, file.dedupDurability].every(Object.isFrozen)).toBe(true);
    const memory = (await open(context.server.url, { storage: "memory" })).capabilities;
    expect(memory).toMatchObject({
      ackMeaning: "memory",
      persistent: false,
      settleDurability: { pubsub: "none", jobs: "none" },
      dedupDurability: { pubsub: "none", jobs: "none" },
    });
  });

  it("warns of a server that forgets settled jobs", async () => {
    const bus = await open(context.server.url);
    const codes: string[] = [];
    const reading = (async () => {
      for await (const status of bus.status())
        if (status.type === "warning") codes.push(status.code);
    })();
    await bus.close();
    await reading;
    expect(codes).toEqual(atLeast(binary, 10) ? [] : ["server-outdated"]);
  });

  it("sends the largest payload with the largest headers, and refuses a byte more", async () => {
    const bus = await open(context.server.url);
    const { maxPayloadBytes } = bus.capabilities;
    const payload = new Uint8Array(maxPayloadBytes).fill(1);
    const headers = { "X-Large": "v".repeat(8_192 - "X-Large".length - 4) };
    await bus.rpc.serve("echo", (request) => request);
    const reply = await bus.rpc.request("echo", payload, { headers });
    expect(reply.payload.byteLength).toBe(maxPayloadBytes);
    expect(reply.headers["X-Large"]).toHaveLength(8_192 - 11);
    const messageId = "i".repeat(256);
    await bus.pubsub.publish("s", payload, { headers, messageId });
    const error = await errorOf(bus.pubsub.publish("s", new Uint8Array(maxPayloadBytes + 1)));
    expect(error.code).toBe("PAYLOAD_TOO_LARGE");
    await bus.kv.put("b", "k", payload);
    expect((await bus.kv.get("b", "k"))?.value.byteLength).toBe(maxPayloadBytes);
  });

  it("keeps namespaces apart on one server", async () => {
    const namespace = newNamespace();
    const [one, same, other] = await Promise.all([
      open(context.server.url, { namespace }),
      open(context.server.url, { namespace }),
      open(context.server.url),
    ]);
    await one.kv.put("b", "k", "v");
    await one.rpc.serve("s", () => "v");
    expect(await same.kv.get("b", "k")).toBeDefined();
    expect(await other.kv.get("b", "k")).toBeUndefined();
    expect(await codeOf(other.rpc.request("s", "v"))).toBe("NO_RESPONDERS");
  });
});
