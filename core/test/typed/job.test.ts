import { describe, expect, it, vi } from "vitest";
import { defineJob, toText, typedBus, type BusError, type ClaimedJob } from "../../src/index.ts";
import { fakeBus } from "./fake-bus.ts";
import { brokenSchema, pointSchema, slowPointSchema } from "./schemas.ts";

const points = defineJob({ queue: "q", schema: pointSchema });
const slowPoints = defineJob({ queue: "q", schema: slowPointSchema });

describe("TypedQueue.enqueue", () => {
  it("splits the options of the job from those of the call", async () => {
    const { bus, log, sent } = fakeBus();
    const { signal } = new AbortController();
    const queue = typedBus(bus).job(points);
    const result = await queue.enqueue(
      { x: "1", y: 2 },
      { dedupKey: "k", priority: 3, headers: { a: "b" }, timeoutMs: 9, signal },
    );
    expect(result).toEqual({ id: "j0", duplicate: false });
    expect(toText(sent()!)).toBe('{"x":1,"y":2}');
    expect(log).toEqual([
      'enqueue {"dedupKey":"k","priority":3,"headers":{"a":"b"}} {"timeoutMs":9,"signal":{}}',
    ]);
  });

  it("refuses what does not fit before anything is sent", async () => {
    const { bus, log } = fakeBus();
    await expect(
      typedBus(bus)
        .job(slowPoints)
        .enqueue({ x: 1 } as never),
    ).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      details: { issues: [{ path: "y", problem: "must be a number" }] },
    });
    expect(log).toEqual([]);
  });
});

describe("TypedQueue.enqueueMany", () => {
  it("checks all before the first is sent, and names the bad one", async () => {
    const { bus, log } = fakeBus();
    const queue = typedBus(bus).job(points);
    await expect(
      queue.enqueueMany([{ value: { x: 1, y: 1 } }, { value: { x: "no", y: 1 } }]),
    ).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("value 1 for queue q"),
    });
    expect(log).toEqual([]);
    const results = await queue.enqueueMany([
      { value: { x: 1, y: 1 }, priority: 2 },
      { value: { x: 2, y: 1 } },
    ]);
    expect(results.map(({ id }) => id)).toEqual(["j0", "j1"]);
  });
});

describe("TypedQueue.claim", () => {
  it("gives values and everything a job has", async () => {
    const { bus, log } = fakeBus();
    const queue = typedBus(bus).job(slowPoints);
    await queue.enqueue({ x: 1, y: 2 }, { dedupKey: "k", priority: 4, headers: { h: "v" } });
    const [job] = await queue.claim({ workerId: "w" });
    expect(job?.value).toEqual({ x: 1, y: 2 });
    const { id, queue: name, dedupKey, priority, attempt, maxAttempts, fence, headers } = job!;
    expect({ id, name, dedupKey, priority, attempt, maxAttempts, fence, headers }).toEqual({
      id: "j0",
      name: "q",
      dedupKey: "k",
      priority: 4,
      attempt: 1,
      maxAttempts: 5,
      fence: 7,
      headers: { h: "v" },
    });
    expect(job?.enqueuedAtMs).toBe(1_000);
    expect(job?.lease.expiresAtMs).toBe(2_000);
    expect(toText(job!.payload)).toBe('{"x":1,"y":2}');
    await job?.heartbeat({ leaseMs: 100 });
    await job?.ack({ confirm: true });
    await job?.nak({ delayMs: 1 });
    await job?.giveBack({ delayMs: 2 });
    await job?.deadLetter("why");
    expect(log.slice(1)).toEqual([
      'heartbeat {"leaseMs":100}',
      'ack {"confirm":true}',
      'nak {"delayMs":1}',
      'giveBack {"delayMs":2}',
      'deadLetter "why"',
    ]);
  });

  it("dead-letters what does not fit, tells of it, and claims again", async () => {
    const { bus, log } = fakeBus();
    const onInvalid = vi.fn<(error: BusError, job: ClaimedJob) => void>();
    await bus.jobs.enqueue("q", { payload: '{"x":"secret"}' });
    await bus.jobs.enqueue("q", { payload: "" });
    await bus.jobs.enqueue("q", { payload: '{"x":1,"y":2}' });
    const claimed = await typedBus(bus).job(points).claim({ workerId: "w", onInvalid });
    expect(claimed.map(({ id }) => id)).toEqual(["j2"]);
    expect(log.filter((line) => line.startsWith("deadLetter"))).toEqual([
      'deadLetter "invalid payload: x: must be a number; y: must be a number"',
      'deadLetter "invalid payload: not JSON (0 bytes)"',
    ]);
    expect(onInvalid.mock.calls.map(([, { id }]) => id)).toEqual(["j0", "j1"]);
    expect(await typedBus(bus).job(points).claim({ workerId: "w" })).toEqual([]);
  });

  it("gives a job back whose check could not be made", async () => {
    const { bus, log } = fakeBus();
    await bus.jobs.enqueue("q", { payload: '"a"' });
    const queue = typedBus(bus).job(defineJob({ queue: "q", schema: brokenSchema(1) }));
    expect(await queue.claim({ workerId: "w" })).toEqual([]);
    expect(log.at(-1)).toBe('nak {"delayMs":1000,"reason":"the schema failed"}');
  });
});
