import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Clock, errorCode, openBus, systemClock, toText, VirtualClock } from "@busbar/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const BACKEND = "@busbar-examples/sqlite-bus";

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sqlite-bus-"));
  file = join(folder, "bus.sqlite");
});

afterEach(() => rm(folder, { recursive: true }));

describe("the file of a bus", () => {
  it("keeps everything over a close", async () => {
    const first = await openBus({ backend: BACKEND, file });
    await first.kv.put("b", "k", "value");
    const { sequence } = await first.pubsub.publish("s", "message");
    await first.jobs.enqueue("q", { payload: "job" });
    await first.close();
    await using second = await openBus({ backend: BACKEND, file });
    expect(toText((await second.kv.get("b", "k"))?.value as Uint8Array)).toBe("value");
    expect((await second.pubsub.publish("s", "next")).sequence).toBeGreaterThan(sequence);
    expect((await second.jobs.stats("q")).ready).toBe(1);
  });

  it("is named in INVALID_CONFIG where an option is wrong, missing or unknown", async () => {
    await expect(openBus({ backend: BACKEND })).rejects.toMatchObject({
      code: "INVALID_CONFIG",
      details: { issues: [{ field: "file" }] },
    });
    const wrong = openBus({ backend: BACKEND, file, pollMs: -1, poll: 1 });
    await expect(wrong).rejects.toMatchObject({ code: "INVALID_CONFIG" });
  });

  it("has one clock and one way of polling in a process", async () => {
    await using _first = await openBus({ backend: BACKEND, file });
    const clock = new VirtualClock();
    const other = openBus({ backend: BACKEND, file, clock });
    await expect(other).rejects.toMatchObject({
      code: "INVALID_CONFIG",
      details: { issues: [{ field: "clock" }] },
    });
    await expect(openBus({ backend: BACKEND, file, pollMs: 0 })).rejects.toMatchObject({
      details: { issues: [{ field: "pollMs" }] },
    });
  });

  it("says how safe a write is, and whether others may use the file", async () => {
    await using bus = await openBus({ backend: BACKEND, file, sync: "synced", pollMs: 0 });
    expect(bus.capabilities).toMatchObject({ ackMeaning: "synced", crossProcess: false });
  });

  it("cannot be opened where there is no folder, or where it is no database", async () => {
    const nowhere = openBus({ backend: BACKEND, file: join(folder, "none", "bus.sqlite") });
    await expect(nowhere).rejects.toMatchObject({ code: "DISCONNECTED" });
    await writeFile(file, "this is a text and no database, however long it may be");
    await expect(openBus({ backend: BACKEND, file })).rejects.toMatchObject({
      code: "INVALID_CONFIG",
    });
  });

  it("is DISCONNECTED, with nothing sent, while another process holds it for too long", async () => {
    await using bus = await openBus({ backend: BACKEND, file, busyTimeoutMs: 20 });
    const other = new DatabaseSync(file);
    other.exec("BEGIN IMMEDIATE");
    const error: unknown = await bus.kv.put("b", "k", "v").catch((thrown: unknown) => thrown);
    other.exec("COMMIT");
    other.close();
    expect(errorCode(error)).toBe("DISCONNECTED");
    expect(error).toMatchObject({ retryable: true, details: { outcome: "notSent" } });
    expect(await bus.kv.put("b", "k", "v")).toBeGreaterThan(0);
  });

  it("wakes who waits although nothing is polled, in the same process", async () => {
    await using bus = await openBus({ backend: BACKEND, file, pollMs: 0 });
    await using other = await openBus({ backend: BACKEND, file, pollMs: 0 });
    const claim = bus.jobs.claim("q", { workerId: "w", waitMs: 5_000 });
    await other.jobs.enqueue("q", { payload: "job" });
    const [job] = await claim;
    expect(job?.attempt).toBe(1);
    await job?.ack();
  });

  it("leaves nothing of a closed bus behind but its data", async () => {
    const bus = await openBus({ backend: BACKEND, file });
    await bus.rpc.serve("s", () => "reply");
    await bus.rpc.request("s", "");
    await bus.pubsub.listen("s");
    await bus.pubsub.subscribe("s");
    await bus.close();
    const database = new DatabaseSync(file);
    for (const table of ["process", "route", "mail", "consumer", "delivery"]) {
      expect([table, database.prepare(`SELECT * FROM ${table}`).all()]).toEqual([table, []]);
    }
    database.close();
  });

  it("reads the clock once in a step: nothing falls due in the middle of it", async () => {
    // Each reading is one millisecond later than the one before.
    let nowMs = systemClock.now();
    const clock: Clock = {
      now: () => ++nowMs,
      monotonic: () => systemClock.monotonic(),
      setTimer: (...args) => systemClock.setTimer(...args),
      sleep: (...args) => systemClock.sleep(...args),
    };
    await using bus = await openBus({ backend: BACKEND, file, clock });
    const options = { durable: "d", ackWaitMs: 20, maxDeliveries: 2, maxInFlight: 1_000 };
    const subscription = await bus.pubsub.subscribe("s", options);
    for (let index = 0; index < 100; index++) await bus.pubsub.publish("s", "v");
    const counts: number[] = [];
    const reading = (async () => {
      for await (const { deliveryCount } of subscription) counts.push(deliveryCount);
    })();
    await expect.poll(() => bus.pubsub.deadLetters.count("d"), { timeout: 10_000 }).toBe(100);
    await subscription.close();
    await reading;
    expect(Math.max(...counts)).toBe(2);
    expect(counts.length).toBe(200);
  });
});
