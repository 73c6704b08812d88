import { type Bus, toText } from "@busbar/core";
import {
  type ConsumerMessages,
  connect,
  headers as oldHeaders,
  type JetStreamClient,
  type KV,
  type NatsConnection,
} from "nats";
import { describe, expect, it } from "vitest";
import { defer, newNamespace, open } from "./support/buses.ts";
import { atLeast, onEachServer, useServer } from "./support/servers.ts";
import { errorOf, take, takeOne } from "./support/streams.ts";

/** The bus under test, and the independent client beside it. */
interface Pair {
  readonly bus: Bus;
  readonly namespace: string;
  readonly old: NatsConnection;
  readonly js: JetStreamClient;
}

async function pair(url: string): Promise<Pair> {
  const namespace = newNamespace();
  const bus = await open(url, { namespace });
  const old = await connect({ servers: url });
  defer(() => old.close());
  return { bus, namespace, old, js: old.jetstream() };
}

/** Everything that is stored in a stream, as the independent client reads it. */
async function readAll(js: JetStreamClient, stream: string, count: number) {
  const consumer = await js.consumers.get(stream);
  const messages: ConsumerMessages = await consumer.fetch({ max_messages: count, expires: 5_000 });
  const found = [];
  for await (const message of messages) {
    found.push(message);
    if (found.length === count) break;
  }
  return found;
}

await onEachServer((binary) => {
  const context = useServer({ binary });

  describe("messages", () => {
    it("consumes what the other publishes, with its headers and message id", async () => {
      const { bus, namespace, js } = await pair(context.server.url);
      const subscription = await bus.pubsub.subscribe("orders.*", { durable: "d" });
      const headers = oldHeaders();
      headers.set("Trace-Id", "t-1");
      headers.append("tag", "a");
      headers.append("tag", "b");
      const subject = `busbar.${namespace}.msg.orders.created`;
      const first = await js.publish(subject, "hello", { headers, msgID: "id-1" });
      const again = await js.publish(subject, "hello", { msgID: "id-1" });
      expect([first.duplicate, again.duplicate]).toEqual([false, true]);
      const message = await takeOne(subscription);
      expect(message).toMatchObject({
        subject: "orders.created",
        sequence: first.seq,
        deliveryCount: 1,
      });
      expect(toText(message.payload)).toBe("hello");
      expect({ ...message.headers }).toEqual({ "Trace-Id": "t-1", tag: ["a", "b"] });
      await message.ack({ confirm: true });
      // The same message id counts for both.
      const own = await bus.pubsub.publish("orders.created", "hello", { messageId: "id-1" });
      expect(own).toEqual({ sequence: first.seq, duplicate: true });
    });

    it("stores what the other reads", async () => {
      const { bus, namespace, js } = await pair(context.server.url);
      await bus.pubsub.publish("a.b", new Uint8Array([0, 255]), {
        headers: { "X-One": "ü", "X-Many": ["1", "2"] },
        messageId: "m",
      });
      await bus.pubsub.publish("c", "");
      const [first, second] = await readAll(js, `BUSBAR_${namespace}_MSG`, 2);
      expect(first?.subject).toBe(`busbar.${namespace}.msg.a.b`);
      expect([...(first?.data ?? [])]).toEqual([0, 255]);
      expect(first?.headers?.get("X-One")).toBe("ü");
      expect(first?.headers?.values("X-Many")).toEqual(["1", "2"]);
      expect(first?.headers?.get("Nats-Msg-Id")).toBe("m");
      expect(second?.headers).toBeUndefined();
    });

    it("shares a durable with the other: each goes on where the other stopped", async () => {
      const { bus, namespace, js } = await pair(context.server.url);
      const subscription = await bus.pubsub.subscribe("s", { durable: "shared.one" });
      for (const text of ["1", "2", "3"]) await bus.pubsub.publish("s", text);
      await (await takeOne(subscription)).ack({ confirm: true });
      await subscription.close();
      const consumer = await js.consumers.get(`BUSBAR_${namespace}_MSG`, "shared=one");
      const message = await consumer.next({ expires: 5_000 });
      expect(message?.string()).toBe("2");
      expect(await message?.ackAck()).toBe(true);
      const again = await bus.pubsub.subscribe("s", { durable: "shared.one" });
      expect(toText((await takeOne(again)).payload)).toBe("3");
    });

    it("sends and hears live messages", async () => {
      const { bus, namespace, old } = await pair(context.server.url);
      const heard = old.subscribe(`busbar.${namespace}.live.>`, { max: 1 });
      const listener = await bus.pubsub.listen("wake.*");
      await old.flush();
      await bus.pubsub.notify("wake.up", "1", { headers: { by: "us" } });
      const message = await takeOne(heard);
      expect(message.subject).toBe(`busbar.${namespace}.live.wake.up`);
      expect(message.headers?.get("by")).toBe("us");
      old.publish(`busbar.${namespace}.live.wake.them`, "2");
      const [own, theirs] = await take(listener, 2);
      expect([own?.subject, theirs?.subject]).toEqual(["wake.up", "wake.them"]);
    });

    it("binds to a stream that the other made", async () => {
      const { namespace, old, js } = await pair(context.server.url);
      const manager = await old.jetstreamManager();
      const name = `APP_${namespace}`;
      await manager.streams.add({ name, subjects: [`${namespace}.>`] });
      await js.publish(`${namespace}.before`, "1");
      const bus = await open(context.server.url, {
        namespace,
        stream: { name, subjectPrefix: namespace },
      });
      const subscription = await bus.pubsub.subscribe(">", { durable: "d" });
      const listener = await bus.pubsub.listen("after");
      await bus.pubsub.publish("after", "2");
      const messages = await take(subscription, 2);
      expect(messages.map((message) => message.subject)).toEqual(["before", "after"]);
      expect((await takeOne(listener)).subject).toBe("after");
      const { config } = await manager.streams.info(name);
      expect(config.subjects).toEqual([`${namespace}.>`]);
    });
  });

  describe("keys and values", () => {
    async function buckets(
      history?: number,
    ): Promise<{ bus: Bus; kv: KV; old: NatsConnection; name: string }> {
      const { bus, namespace, js, old } = await pair(context.server.url);
      await bus.kv.ensureBucket("b", history === undefined ? {} : { history });
      const name = `busbar_${namespace}_b`;
      return { bus, kv: await js.views.kv(name), old, name };
    }

    it("reads what the other wrote, and the other reads what it wrote", async () => {
      const { bus, kv } = await buckets();
      const revision = await kv.put("theirs", "1");
      expect(await bus.kv.get("b", "theirs")).toMatchObject({ key: "theirs", revision });
      const own = await bus.kv.put("b", "ours.a/b=c_d-e", "2");
      const entry = await kv.get("ours.a/b=c_d-e");
      expect([entry?.string(), entry?.revision]).toEqual(["2", own]);
      expect(entry?.operation).toBe("PUT");
      expect((await bus.kv.keys("b")).keys).toEqual(["ours.a/b=c_d-e", "theirs"]);
      const keys = [];
      for await (const key of await kv.keys()) keys.push(key);
      expect(keys.sort()).toEqual(["ours.a/b=c_d-e", "theirs"]);
    });

    it("compares and sets against the other", async () => {
      const { bus, kv } = await buckets();
      const first = await bus.kv.create("b", "k", "1");
      const second = await kv.update("k", "2", first);
      expect(await errorOf(bus.kv.cas("b", "k", "3", first))).toMatchObject({
        code: "CONFLICT",
        details: { revision: second },
      });
      await bus.kv.cas("b", "k", "3", second);
      await expect(kv.update("k", "4", second)).rejects.toThrow(/wrong last sequence/);
    });

    it("takes a key that the other deleted or purged for one without a value", async () => {
      const { bus, kv } = await buckets(5);
      for (const remove of [() => kv.delete("k"), () => kv.purge("k")]) {
        await bus.kv.put("b", "k", "1");
        await remove();
        expect(await bus.kv.get("b", "k")).toBeUndefined();
        expect((await bus.kv.keys("b")).keys).toEqual([]);
        expect((await bus.kv.history("b", "k")).at(-1)?.type).toBe("delete");
        await bus.kv.create("b", "k", "2");
        await bus.kv.delete("b", "k");
        expect((await kv.get("k"))?.operation).toBe("DEL");
        await kv.create("k", "3");
        await bus.kv.delete("b", "k");
      }
    });

    it("watches the other, and is watched", async () => {
      const { bus, kv } = await buckets();
      await kv.put("a", "1");
      const watch = await bus.kv.watch("b");
      const watched = await kv.watch();
      defer(() => watched.stop());
      const theirs = watched[Symbol.asyncIterator]();
      expect((await take(watch, 2)).map(({ type }) => type)).toEqual(["put", "initialDone"]);
      expect(await theirs.next()).toMatchObject({ value: { key: "a", operation: "PUT" } });
      // One at a time: a watch that is behind may miss what is overwritten, as the bucket has no history.
      for (const [write, key, type, operation] of [
        [() => kv.put("c", "2"), "c", "put", "PUT"],
        [() => kv.delete("a"), "a", "delete", "DEL"],
        [() => kv.purge("c"), "c", "delete", "PURGE"],
        [() => bus.kv.put("b", "d", "3"), "d", "put", "PUT"],
        [() => bus.kv.delete("b", "d"), "d", "delete", "DEL"],
      ] as const) {
        await write();
        expect(await take(watch, 1)).toMatchObject([{ type, key }]);
        expect(await theirs.next()).toMatchObject({ value: { key, operation } });
      }
    });

    it("opens a bucket that the other made, as it is", async () => {
      const { bus, namespace, js } = await pair(context.server.url);
      const kv = await js.views.kv(`busbar_${namespace}_made`, { history: 7, ttl: 60_000 });
      await kv.put("k", "1");
      expect(toText((await bus.kv.get("made", "k"))?.value ?? new Uint8Array())).toBe("1");
      await bus.kv.put("made", "k", "2");
      expect((await bus.kv.history("made", "k")).length).toBe(2);
      const error = await errorOf(bus.kv.ensureBucket("made", { history: 3 }));
      expect(error).toMatchObject({
        code: "CONFLICT",
        details: {
          differences: [
            { option: "history", existing: 7, wanted: 3 },
            { option: "ttlMs", existing: 60_000, wanted: 0 },
          ],
        },
      });
      const ttl = await errorOf(bus.kv.put("made", "k", "3", { ttlMs: 1_000 }));
      expect(ttl.code).toBe("UNSUPPORTED");
    });

    it("makes buckets that the other's tools know", async () => {
      const { bus, old, name } = await buckets(3);
      await bus.kv.put("b", "k", "v");
      const manager = await old.jetstreamManager();
      const { config } = await manager.streams.info(`KV_${name}`);
      expect(config).toMatchObject({
        subjects: [`$KV.${name}.>`],
        max_msgs_per_subject: 3,
        discard: "new",
        allow_rollup_hdrs: true,
        deny_delete: true,
        allow_direct: true,
        storage: "file",
      });
      expect(Reflect.get(config, "allow_msg_ttl") === true).toBe(atLeast(binary, 11));
    });

    it("keeps leases as records that the other reads", async () => {
      const { bus, namespace, js } = await pair(context.server.url);
      const lease = await bus.kv.lease("b.1", "some.key", { ttlMs: 30_000, owner: "me" });
      const kv = await js.views.kv(`busbar-leases_${namespace}`, { bindOnly: true });
      const entry = await kv.get("b=1.some.key");
      expect(entry?.revision).toBe(lease.fence);
      expect(entry?.json()).toMatchObject({ owner: "me", ttlMs: 30_000 });
      await lease.release();
      expect(await kv.get("b=1.some.key")).toBeNull();
    });
  });

  describe("requests", () => {
    it("answers the other's requests", async () => {
      const { bus, namespace, old } = await pair(context.server.url);
      await bus.rpc.serve("math.*", ({ subject, payload, headers }) => ({
        payload: `${subject} ${toText(payload)} ${String(headers["X"])}`,
        headers: { Y: "2" },
      }));
      const headers = oldHeaders();
      headers.set("X", "1");
      const reply = await old.request(`busbar.${namespace}.rpc.math.add`, "v", {
        headers,
        timeout: 5_000,
      });
      expect([reply.string(), reply.headers?.get("Y")]).toEqual(["math.add v 1", "2"]);
    });

    it("tells the other of a failure as services do", async () => {
      const { bus, namespace, old } = await pair(context.server.url);
      await bus.rpc.serve("fail", () => {
        throw Object.assign(new Error("no\r\nsuch Ding: ü"), { code: "E_42" });
      });
      const reply = await old.request(`busbar.${namespace}.rpc.fail`, "", { timeout: 5_000 });
      expect(reply.headers?.get("Nats-Service-Error-Code")).toBe("E_42");
      expect(reply.headers?.get("Nats-Service-Error")).toBe("no such Ding: ü");
      expect(reply.data.length).toBe(0);
    });

    it("asks a service of the other, and gets its errors", async () => {
      const { bus, namespace, old } = await pair(context.server.url);
      const service = await old.services.add({ name: "svc", version: "1.0.0" });
      defer(() => service.stop());
      service.addEndpoint("sum", {
        subject: `busbar.${namespace}.rpc.sum`,
        handler: (error, message) => {
          if (error) throw error;
          if (message.string() === "") message.respondError(400, "nothing to add");
          else
            message.respond(
              String(
                message
                  .string()
                  .split("+")
                  .reduce((sum, part) => sum + Number(part), 0),
              ),
            );
        },
      });
      await old.flush();
      expect(toText((await bus.rpc.request("sum", "40 + 2")).payload)).toBe("42");
      expect(await errorOf(bus.rpc.request("sum", ""))).toMatchObject({
        code: "REMOTE",
        details: { code: "400", message: "nothing to add" },
      });
    });

    it("shares the work of a group with the other", async () => {
      const { bus, namespace, old } = await pair(context.server.url);
      const seen = { ours: 0, theirs: 0 };
      await bus.rpc.serve("job", () => {
        seen.ours += 1;
      });
      old.subscribe(`busbar.${namespace}.rpc.job`, {
        queue: "default",
        callback: (_error, message) => {
          seen.theirs += 1;
          message.respond();
        },
      });
      await old.flush();
      for (let index = 0; index < 100; index++) await bus.rpc.request("job", "");
      expect(seen.ours + seen.theirs).toBe(100);
      expect(Math.min(seen.ours, seen.theirs)).toBeGreaterThan(10);
    });
  });

  describe("jobs", () => {
    it("claims what the other enqueued", async () => {
      const { bus, namespace, js } = await pair(context.server.url);
      await bus.jobs.stats("mail.out");
      const headers = oldHeaders();
      headers.set("Busbar-Max-Attempts", "2");
      headers.set("to", "ann");
      const subject = `busbar.${namespace}.job.mail=out.0`;
      const ack = await js.publish(subject, "hi", { headers, msgID: "key-1" });
      const [job] = await bus.jobs.claim("mail.out", { workerId: "w", waitMs: 5_000 });
      expect(job).toMatchObject({
        id: String(ack.seq),
        queue: "mail.out",
        attempt: 1,
        maxAttempts: 2,
        dedupKey: "key-1",
        priority: 0,
      });
      expect(toText(job?.payload ?? new Uint8Array())).toBe("hi");
      expect({ ...job?.headers }).toEqual({ to: "ann" });
      await job?.ack({ confirm: true });
      const { id, duplicate } = await bus.jobs.enqueue("mail.out", {
        payload: "hi",
        dedupKey: "key-1",
      });
      expect([id, duplicate]).toEqual([String(ack.seq), true]);
    });

    it("claims what the other enqueues to a queue that was found empty, waiting for it or not", async () => {
      const { bus, namespace, js } = await pair(context.server.url);
      const send = (queue: string): Promise<unknown> =>
        js.publish(`busbar.${namespace}.job.${queue}.0`, "hi");
      for (const queue of ["asked", "counted"]) {
        expect(await bus.jobs.claim(queue, { workerId: "w" })).toEqual([]);
        await send(queue);
      }
      expect(await bus.jobs.stats("counted")).toMatchObject({ ready: 1 });
      expect(await bus.jobs.claim("asked", { workerId: "w" })).toHaveLength(1);
      const waiting = bus.jobs.claim("awaited", { workerId: "w", waitMs: 10_000 });
      const { consumers } = await js.jetstreamManager();
      const isThere = (): Promise<boolean> =>
        consumers.info(`BUSBAR_${namespace}_JOB_awaited`, "p0").then(
          () => true,
          () => false,
        );
      await expect.poll(isThere).toBe(true);
      await send("awaited");
      expect(await waiting).toHaveLength(1);
    });

    it("makes no consumer for a priority that nobody uses", async () => {
      const { bus, namespace, js } = await pair(context.server.url);
      await bus.jobs.stats("q");
      await bus.jobs.claim("q", { workerId: "w" });
      await bus.jobs.enqueue("q", { payload: "", priority: 5 });
      expect(await bus.jobs.claim("q", { workerId: "w", waitMs: 1_000, max: 2 })).toHaveLength(1);
      const { consumers } = await js.jetstreamManager();
      const names = await consumers.list(`BUSBAR_${namespace}_JOB_q`).next();
      expect(names.map(({ name }) => name)).toEqual(["p5"]);
    });

    it("enqueues what the other can read and finish", async () => {
      const { bus, namespace, js } = await pair(context.server.url);
      await bus.jobs.enqueue("q", {
        payload: "1",
        priority: 3,
        maxAttempts: 9,
        headers: { a: "b" },
        dedupKey: "k",
      });
      const consumer = await js.consumers.get(`BUSBAR_${namespace}_JOB_q`, "p3");
      const message = await consumer.next({ expires: 5_000 });
      expect(message?.subject).toBe(`busbar.${namespace}.job.q.3`);
      expect(message?.string()).toBe("1");
      expect(message?.headers?.get("Busbar-Max-Attempts")).toBe("9");
      expect(message?.headers?.get("Nats-Msg-Id")).toBe("k");
      expect(message?.headers?.get("a")).toBe("b");
      expect(await message?.ackAck()).toBe(true);
      expect(await bus.jobs.stats("q")).toMatchObject({ ready: 0, leased: 0 });
    });

    it("keeps dead letters as messages that the other reads", async () => {
      const { bus, namespace, js } = await pair(context.server.url);
      const { id } = await bus.jobs.enqueue("q", { payload: "bad", headers: { a: "b" } });
      const [job] = await bus.jobs.claim("q", { workerId: "w", waitMs: 5_000 });
      await job?.deadLetter("does not parse");
      const [letter] = await readAll(js, `BUSBAR_${namespace}_DEAD`, 1);
      expect(letter?.subject).toBe(`busbar.${namespace}.dead.job.q.${id}`);
      expect(letter?.string()).toBe("bad");
      expect(letter?.headers?.get("Busbar-Reason")).toBe("does not parse");
      expect(letter?.headers?.get("Busbar-Attempts")).toBe("1");
      expect(letter?.headers?.get("Busbar-Subject")).toBe("q");
      expect(letter?.headers?.get("a")).toBe("b");
    });

    it("keeps dead letters of durables the same way, and lists what the other put there", async () => {
      const { bus, namespace, js } = await pair(context.server.url);
      const options = { durable: "d", maxDeliveries: 1 };
      const subscription = await bus.pubsub.subscribe("s.1", options);
      const { sequence } = await bus.pubsub.publish("s.1", "bad");
      await (await takeOne(subscription)).nak();
      await expect.poll(() => bus.pubsub.deadLetters.count("d")).toBe(1);
      const [letter] = await readAll(js, `BUSBAR_${namespace}_DEAD`, 1);
      expect(letter?.subject).toBe(`busbar.${namespace}.dead.sub.d.${sequence}`);
      expect(letter?.headers?.get("Busbar-Subject")).toBe("s.1");
      const headers = oldHeaders();
      headers.set("Busbar-Subject", "s.1");
      headers.set("Busbar-Reason", "by hand");
      headers.set("Busbar-Attempts", "3");
      headers.set("Busbar-Published-At", "1000");
      await js.publish(`busbar.${namespace}.dead.sub.d.777`, "theirs", { headers });
      const { entries } = await bus.pubsub.deadLetters.list("d");
      expect(entries[1]).toMatchObject({
        id: "777",
        subject: "s.1",
        reason: "by hand",
        attempts: 3,
        publishedAtMs: 1_000,
      });
    });
  });
});
