import { once } from "node:events";
import { VirtualClock } from "@busbar/core";
import { afterEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { defineTask, type PoolEvent, stopOnSignal, type TaskObstacle } from "../../src/index.ts";
import { errorOf, onEachBackend } from "../support/backends.ts";
import { setUpTasks } from "../support/task-setup.ts";

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const ofA = { tenant: "a", type: "work" } as const;

/** A handler that runs until it is let go, or its signal aborts. */
function holding() {
  const waiting: (() => void)[] = [];
  return {
    handler: (_task: unknown, { signal }: { readonly signal: AbortSignal }) =>
      new Promise<void>((resolve, reject) => {
        waiting.push(resolve);
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      }),
    count: () => waiting.length,
    release: () => {
      for (const resolve of waiting.splice(0)) resolve();
    },
  };
}

await onEachBackend((openOn) => {
  describe("the control of worker pools", () => {
    it("changes how many tasks run at a time, down to none", async () => {
      const { tasks, pool } = await setUpTasks(openOn, cleanups);
      await tasks.submitMany(Array.from({ length: 20 }, () => ofA));
      const held = holding();
      const workers = pool(held.handler, { concurrency: 2 });
      await workers.start();
      await expect.poll(held.count).toBe(2);
      workers.concurrency = 5;
      await expect.poll(held.count).toBe(5);
      workers.concurrency = 0;
      held.release();
      await expect.poll(() => workers.running).toBe(0);
      expect(await tasks.stats("a")).toMatchObject({ ready: 15 });
      workers.concurrency = 1;
      await expect.poll(held.count).toBe(1);
      held.release();
      for (const wrong of [-1, 1.5, 1_001]) {
        expect(() => {
          workers.concurrency = wrong;
        }, `${wrong}`).toThrow(RangeError);
      }
    });

    it("claims once for a task that comes alone, and does not look for more", async () => {
      const { tasks, pool } = await setUpTasks(openOn, cleanups);
      const workers = pool(() => undefined, { concurrency: 1, clock: new VirtualClock() });
      await workers.start();
      const run = async (): Promise<void> => {
        const { done } = workers.counters;
        await tasks.submit(ofA);
        await expect.poll(() => workers.counters.done).toBe(done + 1);
        await expect.poll(() => workers.running).toBe(0);
      };
      // It learns by this one that there are no others.
      await run();
      const { claims } = workers.counters;
      for (let task = 0; task < 20; task++) await run();
      // Of twenty claims two ask for lower priorities first.
      expect(workers.counters.claims - claims).toBeLessThan(30);
    });

    it("leaves slots to other tenants while a claim for one is under way", async () => {
      const { bus, tenants, tasks, pool } = await setUpTasks(openOn, cleanups, [
        { id: "a", name: "a" },
        { id: "b", name: "b" },
      ]);
      const workers = pool(() => undefined, { concurrency: 4 });
      await workers.start();
      // It learns by these that there are no others.
      for (const tenant of ["a", "b"]) await tasks.submit({ ...ofA, tenant });
      await expect.poll(() => workers.counters.done).toBe(2);
      const slow = `tasks.q.${tenants.peek("a")?.storageId}`;
      let answer: () => void = () => undefined;
      const late = new Promise<void>((resolve) => {
        answer = resolve;
      });
      const claim = bus.jobs.claim.bind(bus.jobs);
      const claiming = vi.spyOn(bus.jobs, "claim").mockImplementation(async (queue, options) => {
        const jobs = await claim(queue, options);
        if (queue === slow) await late;
        return jobs;
      });
      await tasks.submit(ofA);
      await expect.poll(() => claiming.mock.calls.some(([queue]) => queue === slow)).toBe(true);
      await tasks.submitMany([1, 2, 3].map(() => ({ ...ofA, tenant: "b" })));
      await expect.poll(() => workers.counters.done).toBe(5);
      answer();
      await expect.poll(() => workers.counters.done).toBe(6);
    });

    it("runs no more of a type than it may, and others meanwhile", async () => {
      const { tasks, pool } = await setUpTasks(openOn, cleanups);
      await tasks.submitMany(Array.from({ length: 6 }, () => ({ ...ofA, type: "slow" })));
      await tasks.submitMany(Array.from({ length: 6 }, () => ({ ...ofA, type: "quick" })));
      const held = holding();
      let [quick, most] = [0, 0];
      const workers = pool(
        {
          slow: (task, context) => {
            const running = held.handler(task, context);
            most = Math.max(most, held.count());
            return running;
          },
          quick: () => void (quick += 1),
        },
        { concurrency: 4, typeConcurrency: { slow: 2 } },
      );
      await workers.start();
      await expect.poll(() => quick, { timeout: 5_000 }).toBe(6);
      expect(held.count()).toBe(2);
      expect(workers.counters.deferred).toBeGreaterThan(0);
      await expect
        .poll(
          () => {
            held.release();
            return workers.counters.done;
          },
          { timeout: 10_000 },
        )
        .toBe(12);
      expect(most).toBe(2);
      // Being put off does not use up attempts.
      expect(workers.counters).toMatchObject({ started: 12, dead: 0, retried: 0 });
    });

    it("gives back what it aborts, also a last attempt, and says so", async () => {
      const { tasks, pool } = await setUpTasks(openOn, cleanups);
      const handle = await tasks.submit({ ...ofA, maxAttempts: 1 });
      const held = holding();
      const events: PoolEvent[] = [];
      const first = pool(held.handler, { onEvent: (event) => events.push(event) });
      await first.start();
      await expect.poll(held.count).toBe(1);
      expect(await first.stop({ mode: "abort" })).toEqual({ finished: 1, aborted: 1 });
      expect(
        events.map((event) => (event.type === "ended" ? event.outcome.type : event.type)),
      ).toEqual(["started", "returned", "stopped"]);
      const attempts: number[] = [];
      await pool(({ attempt }) => void attempts.push(attempt)).start();
      expect(await handle.result()).toEqual({ ok: true, value: null });
      expect(attempts).toEqual([1]);
    });

    it("pauses the whole queue for all pools, and resumes it", async () => {
      const { tasks, pool } = await setUpTasks(openOn, cleanups);
      const ran: string[] = [];
      const workers = pool(({ id }) => void ran.push(id));
      await workers.start();
      await (await tasks.submit(ofA)).result();
      await tasks.pauseAll();
      const late = pool(({ id }) => void ran.push(id));
      await late.start();
      // Both have heard of it once each says that it is paused.
      await expect
        .poll(async () => (await tasks.pools()).map(({ isPaused }) => isPaused))
        .toEqual([true, true]);
      const handle = await tasks.submit(ofA);
      expect(await errorOf(handle.result({ timeoutMs: 200 }))).toMatchObject({ code: "TIMEOUT" });
      expect(ran.length).toBe(1);
      await tasks.resumeAll();
      expect(await handle.result()).toMatchObject({ ok: true });
    });

    it("says that its watch has failed, and goes on with the tenants that it knows", async () => {
      const { bus, tasks, pool } = await setUpTasks(openOn, cleanups);
      await (await tasks.submitMany([ofA]))[0]?.cancel();
      const events: PoolEvent[] = [];
      const workers = pool(() => undefined, { onEvent: (event) => events.push(event) });
      await workers.start();
      await bus.kv.deleteBucket("task-lanes");
      // On NATS the watch waits for the bucket to be made anew.
      if (bus.capabilities.backend === "memory") {
        await expect.poll(() => events.map(({ type }) => type)).toEqual(["watchFailed"]);
      }
      expect(await (await tasks.submit(ofA)).result()).toMatchObject({ ok: true });
    });

    it("is stopped by a signal, once", async () => {
      const { pool } = await setUpTasks(openOn, cleanups);
      const workers = pool(() => undefined);
      await workers.start();
      const before = process.listenerCount("SIGUSR2");
      const stopping = stopOnSignal(workers, { signals: ["SIGUSR2"], deadlineMs: 1_000 });
      const heard = once(process, "SIGUSR2");
      process.kill(process.pid, "SIGUSR2");
      await heard;
      expect(await stopping).toEqual({ finished: 0, aborted: 0 });
      expect(process.listenerCount("SIGUSR2")).toBe(before);
    });
  });

  describe("explain", () => {
    it("says what a task waits for, and what became of it", async () => {
      const { tasks, pool, registry, tenants } = await setUpTasks(openOn, cleanups, [
        { id: "a", name: "a", quotas: { running: 1 } },
      ]);
      const [first, second] = await tasks.submitMany([ofA, ofA]);
      const later = await tasks.submit({ ...ofA, delayMs: 60_000 });
      const kinds = async (id = ""): Promise<string[]> =>
        (await tasks.explain(id)).obstacles.map(({ type }) => type).sort();
      expect(await kinds(first?.id)).toEqual(["backlog", "noPool"]);
      expect(await kinds(later.id)).toEqual(["backlog", "noPool", "notDue"]);
      const held = holding();
      const workers = pool(held.handler, { concurrency: 1 });
      await workers.start();
      await expect.poll(held.count).toBe(1);
      expect(await tasks.explain(first?.id ?? "")).toMatchObject({
        status: "running",
        obstacles: [],
        text: "running: attempt 1",
      });
      expect(await kinds(second?.id)).toEqual(["noSlot", "runningQuota"]);
      await tasks.pause("a");
      await tasks.pauseAll();
      await registry.suspend("a");
      await expect.poll(() => tenants.peek("a")?.status).toBe("suspended");
      const { obstacles, text } = await tasks.explain(second?.id ?? "");
      const expected: TaskObstacle[] = [
        { type: "tenantNotActive", status: "suspended" },
        { type: "paused", what: "queue" },
        { type: "paused", what: "tenant" },
        { type: "runningQuota", running: 1, allowed: 1 },
        { type: "noSlot", slots: 1 },
      ];
      expect(obstacles).toEqual(expected);
      expect(text.split("\n")).toContain("1 tasks of its tenant run, and 1 may");
      await registry.activate("a");
      await tasks.resumeAll();
      await tasks.resume("a");
      held.release();
      await first?.result();
      expect(await tasks.explain(first?.id ?? "")).toMatchObject({ status: "done", obstacles: [] });
      await tasks.purge("a");
      expect(await tasks.explain(later.id)).toMatchObject({ status: "unknown" });
    });

    it("names a type that nobody handles", async () => {
      const { tasks, pool } = await setUpTasks(openOn, cleanups);
      await tasks.pause("a");
      const handle = await tasks.submit({ ...ofA, type: "strange" });
      await pool(() => undefined).start();
      expect((await tasks.explain(handle.id)).obstacles).toContainEqual({
        type: "noHandler",
        taskType: "strange",
      });
    });
  });

  describe("a task definition", () => {
    const square = defineTask("square", {
      input: z.object({ side: z.number() }),
      output: z.object({ area: z.number() }),
    });

    it("checks what is submitted, what arrives and what comes back", async () => {
      const { tasks, pool } = await setUpTasks(openOn, cleanups);
      const handle = await square.submit(tasks, { tenant: "a", input: { side: 3 } });
      const wrong = square.submit(tasks, { tenant: "a", input: { side: "3" } as never });
      expect(await errorOf(wrong)).toMatchObject({ code: "INVALID_ARGUMENT" });
      const foreign = await tasks.submitMany([
        { tenant: "a", type: "square", payload: "{}" },
        { tenant: "a", type: "square", payload: "no JSON" },
        { tenant: "a", type: "square", payload: '{"side":0}' },
      ]);
      await pool(
        square.handler(({ side }) =>
          side === 0 ? ({ area: "none" } as never) : { area: side ** 2 },
        ),
      ).start();
      const result = await handle.result();
      expect(result.ok && result.value.area).toBe(9);
      for (const one of foreign) {
        expect(await one.result()).toMatchObject({ ok: false, error: { kind: "invalid" } });
      }
    });
  });
});
