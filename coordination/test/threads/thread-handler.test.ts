import type { Worker } from "node:worker_threads";
import { type Bus, openBus, systemClock } from "@busbar/core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  DiscardTask,
  RetryTask,
  type Task,
  TaskQueue,
  TenantDirectory,
  TenantRegistry,
  type ThreadHandler,
  threadHandler,
  type ThreadHandlerOptions,
  WorkerPool,
  type WorkerPoolOptions,
} from "../../src/index.ts";
import { errorOf } from "../support/backends.ts";

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function handlerOf(name?: string, options: Partial<ThreadHandlerOptions> = {}): ThreadHandler {
  const file = new URL("./handlers.ts", import.meta.url);
  const handler = threadHandler({ file, name, threads: 2, ...options });
  cleanups.push(() => handler.close());
  return handler;
}

function taskWith(text: string): Task {
  return {
    id: "a.1",
    tenant: "a",
    queue: "q",
    type: "work",
    priority: "normal",
    payload: new TextEncoder().encode(text),
    headers: {},
    dedupKey: undefined,
    attempt: 1,
    maxAttempts: 5,
    fence: 1,
    deadlineMs: undefined,
    submittedAtMs: 0,
  };
}

/** Calls a handler as a pool does. */
function call(handler: ThreadHandler, text: string, ending = new AbortController()) {
  return handler(taskWith(text), { signal: ending.signal, clock: systemClock } as never);
}

/** The threads that this process has begun and that have not ended. */
const threads = new Set<Worker>();
const onWorker = (thread: Worker): void => {
  threads.add(thread);
  thread.once("exit", () => threads.delete(thread));
};

beforeAll(() => void process.on("worker", onWorker));
afterAll(() => void process.off("worker", onWorker));

describe("a thread handler", () => {
  it("gives the task to a thread, and its result back", async () => {
    expect(await call(handlerOf(), "hello")).toEqual({ text: "hello", attempt: 1 });
  });

  it("copies no more of the payload than is of the task, and leaves it as it is", async () => {
    const all = new TextEncoder().encode("of many tasks");
    const payload = all.subarray(3, 7);
    const handler = handlerOf();
    const context = { signal: new AbortController().signal, clock: systemClock } as never;
    expect(await handler({ ...taskWith(""), payload }, context)).toMatchObject({ text: "many" });
    expect(new TextDecoder().decode(all)).toBe("of many tasks");
  });

  it("passes on what is thrown", async () => {
    const handler = handlerOf("end");
    expect(await errorOf(call(handler, "throw"))).toMatchObject({
      name: "TypeError",
      message: "no luck",
      code: "MINE",
    });
    const discarded = await errorOf(call(handler, "discard"));
    expect(discarded).toBeInstanceOf(DiscardTask);
    expect(discarded.message).toBe("not wanted");
    const again = await errorOf(call(handler, "retry"));
    expect(again).toBeInstanceOf(RetryTask);
    expect(again).toMatchObject({ message: "later", delayMs: 12 });
  });

  it("fails for a thread that dies, and goes on with another", async () => {
    const handler = handlerOf("end", { memoryMb: 32, threads: 1 });
    expect((await errorOf(call(handler, "exit"))).message).toContain("exited with code: 3");
    expect((await errorOf(call(handler, "memory"))).message).toContain("memory");
    expect((await errorOf(call(handler, "function"))).message).toContain("could not be cloned");
    const [thread] = threads;
    // It dies when it has answered, or before that is heard: the process lives on.
    await call(handler, "later").catch(() => undefined);
    await expect.poll(() => threads.has(thread as Worker)).toBe(false);
    expect((await errorOf(call(handler, "throw"))).message).toBe("no luck");
  });

  it("lets nothing that waits for a thread hang if that one dies", async () => {
    const handler = handlerOf("end", { threads: 1 });
    const ended = ["exit", "throw", "exit", "throw"].map((how) => errorOf(call(handler, how)));
    const messages = (await Promise.all(ended)).map(({ message }) => message);
    expect(messages.filter((message) => message === "no luck")).toHaveLength(2);
  });

  it("fails where there is no such file or export", async () => {
    const file = new URL("./nowhere.ts", import.meta.url);
    expect((await errorOf(call(handlerOf("x", { file }), ""))).message).toContain("nowhere.ts");
    expect((await errorOf(call(handlerOf("nothing"), ""))).message).toContain(
      "exports no function nothing",
    );
    expect(() => handlerOf("x", { threads: 0 })).toThrow(RangeError);
    expect(() => handlerOf("x", { memoryMb: 1 })).toThrow(RangeError);
  });

  it("ends a blocked thread when the signal aborts, with its reason", async () => {
    const handler = handlerOf("block", { threads: 1 });
    const ending = new AbortController();
    const blocked = call(handler, "60000", ending);
    // It waits for the thread that is blocked.
    const next = call(handler, "0");
    await systemClock.sleep(50);
    ending.abort(new Error("too long"));
    expect((await errorOf(blocked)).message).toBe("too long");
    expect(await next).toBe("in a thread");
  });

  it("leaves no thread behind when it is closed, also if one is blocked", async () => {
    const handler = handlerOf("block");
    await call(handler, "0");
    const blocked = errorOf(call(handler, "60000"));
    await expect.poll(() => threads.size).toBeGreaterThan(0);
    await Promise.all([handler.close(), handler.close()]);
    expect(await blocked).toBeInstanceOf(Error);
    expect(threads.size).toBe(0);
    expect(await errorOf(call(handler, "0"))).toMatchObject({ code: "CLOSED" });
  });
});

describe("a worker pool with a thread handler", () => {
  async function setUp(handler: ThreadHandler, options: Partial<WorkerPoolOptions> = {}) {
    const bus: Bus = await openBus();
    cleanups.push(() => bus.close({ drainMs: 0 }));
    const registry = new TenantRegistry(bus);
    await registry.register({ id: "a", name: "a" });
    const tenants = await TenantDirectory.open(registry);
    cleanups.push(() => tenants.close());
    const tasks = new TaskQueue({ bus, queue: "q", tenants });
    const outcomes: string[] = [];
    const pool = new WorkerPool({
      bus,
      queue: "q",
      tenants,
      handlers: { work: handler },
      backoff: { firstMs: 1 },
      onEvent: (event) => {
        if (event.type === "ended") outcomes.push(`${event.task.attempt} ${event.outcome.type}`);
      },
      ...options,
    });
    cleanups.push(() => pool.stop({ mode: "abort" }));
    await pool.start();
    const submit = (payload: string, more = {}) =>
      tasks.submit({ tenant: "a", type: "work", payload, ...more });
    return { outcomes, submit };
  }

  it("keeps the lease of a task while its thread is blocked", async () => {
    const { outcomes, submit } = await setUp(handlerOf("block"), { leaseMs: 500 });
    const task = await submit("1800");
    expect(await task.result({ timeoutMs: 5_000 })).toMatchObject({ value: "in a thread" });
    await expect.poll(() => outcomes).toEqual(["1 done"]);
  });

  it("ends the thread of a task that takes too long, and tries it again", async () => {
    const { outcomes, submit } = await setUp(handlerOf("block", { threads: 1 }));
    await submit("60000", { timeoutMs: 150, maxAttempts: 2 });
    await submit("1");
    await expect
      .poll(() => outcomes.toSorted(), { timeout: 5_000 })
      .toEqual(["1 done", "1 retry", "2 dead"]);
  });

  it("takes a thread that dies for a failed attempt", async () => {
    const { outcomes, submit } = await setUp(handlerOf("end"));
    await submit("exit", { maxAttempts: 2 });
    await expect.poll(() => outcomes, { timeout: 5_000 }).toEqual(["1 retry", "2 dead"]);
  });
});
