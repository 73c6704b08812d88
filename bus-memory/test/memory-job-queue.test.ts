import { toText } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { world } from "./support.ts";

const w = { workerId: "w" } as const;

describe("MemoryJobQueue", () => {
  it("serves claims that wait in the order in which they came", async () => {
    const { open } = world();
    await using bus = await open();
    const order: string[] = [];
    const claims = ["a", "b", "c"].map(async (name) => {
      const jobs = await bus.jobs.claim("q", { ...w, waitMs: 1_000, max: 2 });
      order.push(`${name} ${jobs.map(({ payload }) => toText(payload)).join(" ")}`);
    });
    await bus.jobs.enqueueMany(
      "q",
      ["1", "2", "3"].map((payload) => ({ payload })),
    );
    await bus.jobs.enqueue("q", { payload: "4" });
    await Promise.all(claims);
    expect(order).toEqual(["a 1 2", "b 3", "c 4"]);
    await bus.close({ drainMs: 0 });
  });

  it("hands an expired job out again at once, ahead of newer ones, under load", async () => {
    const { clock, open } = world();
    await using bus = await open();
    await bus.jobs.enqueue("q", { payload: "old" });
    await bus.jobs.claim("q", { ...w, leaseMs: 100 });
    for (let index = 0; index < 50; index++) await bus.jobs.enqueue("q", { payload: "new" });
    await clock.advance(100);
    const [first] = await bus.jobs.claim("q", w);
    expect(first).toMatchObject({ attempt: 2 });
    expect(first && toText(first.payload)).toBe("old");
    await bus.close({ drainMs: 0 });
  });

  it("buries a job whose last worker left it when a claim comes upon it", async () => {
    const { clock, open } = world();
    await using bus = await open();
    await bus.jobs.enqueue("q", { payload: "x", maxAttempts: 1 });
    await bus.jobs.claim("q", { ...w, leaseMs: 100 });
    await clock.advance(100);
    expect(await bus.jobs.stats("q")).toMatchObject({ ready: 0, leased: 1, dead: 0 });
    expect(await bus.jobs.claim("q", { ...w })).toEqual([]);
    expect(await bus.jobs.stats("q")).toMatchObject({ leased: 0, dead: 1 });
    expect(await bus.jobs.deadLetters.list("q")).toMatchObject({
      entries: [{ id: "1", reason: "max attempts", attempts: 1 }],
    });
  });

  it("hands out what was given back before what nobody had yet, also before older ones", async () => {
    const { clock, open } = world();
    await using bus = await open();
    await bus.jobs.enqueue("q", { payload: "late", delayMs: 100 });
    await bus.jobs.enqueue("q", { payload: "back" });
    const [job] = await bus.jobs.claim("q", w);
    await clock.advance(100);
    await job?.giveBack();
    const jobs = await bus.jobs.claim("q", { ...w, max: 2 });
    expect(jobs.map(({ payload }) => toText(payload))).toEqual(["back", "late"]);
    await bus.close({ drainMs: 0 });
  });

  it("makes late workers of a purged or deleted queue harmless", async () => {
    const { open, server } = world();
    await using bus = await open();
    for (const remove of ["purge", "deleteQueue"] as const) {
      await bus.jobs.enqueueMany("q", [{ payload: "1" }, { payload: "2" }, { payload: "3" }]);
      await bus.jobs.enqueue("q", { payload: "later", delayMs: 1_000 });
      const [one, two, three] = await bus.jobs.claim("q", { ...w, max: 3 });
      await bus.jobs[remove]("q");
      await one?.heartbeat();
      await one?.ack();
      await expect(one?.ack()).rejects.toMatchObject({ code: "ALREADY_SETTLED" });
      await two?.nak();
      await three?.deadLetter("why");
      const empty = { ready: 0, delayed: 0, leased: 0, dead: 0, paused: false };
      expect(await bus.jobs.stats("q")).toEqual(empty);
    }
    expect(server.stats().pendingDeadlines).toBe(0);
  });

  it("lets claims wait on for a queue that is deleted and made anew", async () => {
    const { open } = world();
    await using bus = await open();
    const claim = bus.jobs.claim("q", { ...w, waitMs: 1_000 });
    await bus.jobs.pause("q");
    expect(await bus.jobs.deleteQueue("q")).toBe(true);
    expect(await bus.jobs.deleteQueue("q")).toBe(false);
    await bus.jobs.enqueue("q", { payload: "x" });
    expect(await claim).toHaveLength(1);
    await bus.close({ drainMs: 0 });
  });

  it("pays for `lost` only if it is read, and tells it once", async () => {
    const { clock, open, server } = world();
    await using bus = await open();
    await bus.jobs.enqueueMany("q", [{ payload: "1" }, { payload: "2" }]);
    const [one, two] = await bus.jobs.claim("q", { ...w, max: 2, leaseMs: 100 });
    expect(server.stats().pendingDeadlines).toBe(2);
    const lost = one?.lease.lost;
    expect(server.stats().pendingDeadlines).toBe(3);
    expect(one?.lease.lost).toBe(lost);
    await clock.advance(60);
    await one?.heartbeat();
    await clock.advance(99);
    expect(lost?.aborted).toBe(false);
    await clock.advance(1);
    expect(lost?.reason).toMatchObject({ code: "LEASE_LOST" });
    // Asked for when it is over already, it tells so at once.
    expect(two?.lease.lost.aborted).toBe(true);
    const [again] = await bus.jobs.claim("q", { ...w, leaseMs: 100 });
    const kept = again?.lease.lost;
    await again?.ack();
    await clock.advance(1_000);
    expect(kept?.aborted).toBe(false);
  });

  it("replays a dead letter under its id, with a greater fence", async () => {
    const { open } = world();
    await using bus = await open();
    await bus.jobs.enqueue("q", { payload: "x", maxAttempts: 1 });
    const [job] = await bus.jobs.claim("q", w);
    await job?.nak({ reason: "no" });
    expect(await bus.jobs.deadLetters.get("q", "1")).toMatchObject({ reason: "no", attempts: 1 });
    expect(await bus.jobs.deadLetters.replay("q", "1")).toBe(true);
    const [again] = await bus.jobs.claim("q", w);
    expect(again).toMatchObject({ id: "1", attempt: 1 });
    expect(again?.fence).toBeGreaterThan(job?.fence ?? 0);
    await again?.ack();
  });
});
