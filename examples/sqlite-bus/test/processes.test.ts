import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Bus, openBus, type Subscription, toText } from "@busbar/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const WORKER = fileURLToPath(new URL("./support/worker.ts", import.meta.url));

let folder: string;
let file: string;
let bus: Bus;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sqlite-bus-"));
  file = join(folder, "bus.sqlite");
  bus = await openBus({ backend: "@busbar-examples/sqlite-bus", file });
});

afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => kill(child)));
  await bus.close({ drainMs: 0 });
  await rm(folder, { recursive: true });
});

function start(task: string): ChildProcess {
  const child = fork(WORKER, [file, task], { execArgv: process.execArgv });
  children.push(child);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

async function told<T>(child: ChildProcess): Promise<T> {
  const [what] = (await once(child, "message")) as [T];
  return what;
}

async function takeTexts(subscription: Subscription, count: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const message of subscription) {
    texts.push(toText(message.payload));
    await message.ack();
    if (texts.length === count) break;
  }
  return texts;
}

describe("two processes on one file", () => {
  it("hear of each other, and answer each other's requests", async () => {
    const child = start("serve");
    await told(child);
    const subscription = await bus.pubsub.subscribe("heard");
    const reply = await bus.rpc.request("greet", "Ann");
    expect(toText(reply.payload)).toBe("hello, Ann");
    await bus.pubsub.notify("said", "a word");
    expect(await takeTexts(subscription, 1)).toEqual(["a word"]);
  });

  it("share a queue: every job is handed out once", async () => {
    const jobs = Array.from({ length: 300 }, (_, index) => ({ payload: String(index) }));
    await bus.jobs.enqueueMany("many", jobs);
    const workers = [start("drain"), start("drain")];
    const done = (await Promise.all(workers.map((worker) => told<string[]>(worker)))).flat();
    expect(done.toSorted((a, b) => Number(a) - Number(b))).toEqual(
      jobs.map(({ payload }) => payload),
    );
    expect(await bus.jobs.stats("many")).toMatchObject({ ready: 0, leased: 0, dead: 0 });
  });

  it("lose nothing that was acknowledged when one is killed, and double nothing", async () => {
    const child = start("write");
    let last = 0;
    child.on("message", (number) => {
      last = Number(number);
    });
    await expect.poll(() => last, { timeout: 15_000 }).toBeGreaterThan(200);
    await kill(child);
    // What it was about to write may be there or not.
    const acknowledged = last;
    const numbers = Array.from({ length: acknowledged }, (_, index) => String(index + 1));
    const keys = await bus.kv.keys("numbers", { limit: 10_000 });
    expect(keys.keys).toEqual(expect.arrayContaining(numbers.map((number) => `n${number}`)));
    // A repeat of the last ones makes no second one.
    const again = await bus.pubsub.publish("numbers", "again", { messageId: String(acknowledged) });
    const dedupKey = String(acknowledged);
    const job = await bus.jobs.enqueue("numbers", { payload: "again", dedupKey });
    expect([again.duplicate, job.duplicate]).toEqual([true, true]);
    const subscription = await bus.pubsub.subscribe("numbers", { durable: "d" });
    expect(await takeTexts(subscription, acknowledged)).toEqual(numbers);
    const claimed = await bus.jobs.claim("numbers", { workerId: "w", max: 1_000 });
    expect(claimed.slice(0, acknowledged).map(({ payload }) => toText(payload))).toEqual(
      numbers.slice(0, 1_000),
    );
  });

  it("take over what a killed one had in hand, when its time is over", async () => {
    await bus.pubsub.subscribe("work", { durable: "d", ackWaitMs: 400 });
    await bus.pubsub.publish("work", "a message");
    await bus.jobs.enqueue("work", { payload: "a job" });
    const child = start("hold");
    const held = await told<{ fence: number; job: number; message: string }>(child);
    expect(held.message).toBe("a message");
    const refused = bus.kv.lease("locks", "door", { ttlMs: 400 });
    await expect(refused).rejects.toMatchObject({ code: "LEASE_HELD" });
    expect(await bus.jobs.claim("work", { workerId: "second" })).toEqual([]);
    await kill(child);
    const lease = await bus.kv.lease("locks", "door", { ttlMs: 5_000, waitMs: 5_000 });
    expect(lease.fence).toBeGreaterThan(held.fence);
    const [job] = await bus.jobs.claim("work", { workerId: "second", waitMs: 5_000 });
    expect(job?.attempt).toBe(2);
    expect(job?.fence).toBeGreaterThan(held.job);
    await job?.ack();
    const subscription = await bus.pubsub.subscribe("work", { durable: "d", ackWaitMs: 400 });
    for await (const message of subscription) {
      expect(message.deliveryCount).toBe(2);
      await message.ack();
      break;
    }
  });

  it("send nothing to a killed one once it was silent for five seconds", async () => {
    const child = start("serve");
    await told(child);
    await bus.rpc.request("greet", "Ann");
    await kill(child);
    const askAgain = async (): Promise<string> => {
      const error: unknown = await bus.rpc
        .request("greet", "Ann", { timeoutMs: 100 })
        .catch((thrown: unknown) => thrown);
      return String(Reflect.get(error as object, "code"));
    };
    expect(await askAgain()).toBe("TIMEOUT");
    await expect.poll(askAgain, { timeout: 10_000, interval: 200 }).toBe("NO_RESPONDERS");
  });
});
