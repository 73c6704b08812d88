import { toText } from "@busbar/core";
import { afterEach, describe, expect, it } from "vitest";
import { DiscardTask, type TaskEvent, TaskQueue, type TaskRecord } from "../../src/index.ts";
import { errorOf, onEachBackend } from "../support/backends.ts";
import { setUpTasks } from "../support/task-setup.ts";

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Something that a test waits for and another part of it ends. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

const ofA = { tenant: "a", type: "work" } as const;

await onEachBackend((openOn) => {
  const setUp = (
    ...rest: Parameters<typeof setUpTasks> extends [unknown, unknown, ...infer R] ? R : never
  ) => setUpTasks(openOn, cleanups, ...rest);

  describe("a task handle", () => {
    it("gives what the handler returned, to its submitter and to others", async () => {
      const { bus, tenants, tasks, pool } = await setUp();
      const handle = await tasks.submit({ ...ofA, payload: "6" });
      expect(await handle.status()).toBe("queued");
      const early = handle.result();
      await pool(({ payload }) => ({ square: Number(toText(payload)) ** 2 })).start();
      expect(await early).toEqual({ ok: true, value: { square: 36 } });
      expect(await handle.status()).toBe("done");
      const other = new TaskQueue({ bus, queue: "q", tenants });
      const same = await other.task(handle.id);
      expect(await same.result({ timeoutMs: 0 })).toEqual({ ok: true, value: { square: 36 } });
      expect(await same.record()).toMatchObject({
        status: "done",
        type: "work",
        attempts: [{ attempt: 1 }],
      });
      await other.close();
    });

    it("gives null for nothing, and what is no JSON is a failure for good", async () => {
      const { tasks, pool } = await setUp();
      const [nothing, big, odd] = await tasks.submitMany(
        ["nothing", "big", "odd"].map((payload) => ({ ...ofA, payload })),
      );
      await pool(({ payload }) => {
        const text = toText(payload);
        if (text === "odd") return 1n;
        return text === "big" ? "x".repeat(2_000_000) : undefined;
      }).start();
      expect(await nothing?.result()).toEqual({ ok: true, value: null });
      for (const handle of [big, odd]) {
        expect(await handle?.result()).toMatchObject({ ok: false, error: { kind: "invalid" } });
        expect(await handle?.status()).toBe("dead");
      }
      await expect.poll(() => tasks.dead.count("a")).toBe(2);
    });

    it("tells how a task failed, and keeps its attempts and logs", async () => {
      const { tasks, pool } = await setUp();
      const backoff = { firstMs: 10, jitter: 0 };
      const [fails, discards, slow] = await tasks.submitMany([
        { ...ofA, payload: "fails", maxAttempts: 3, backoff },
        { ...ofA, payload: "discards" },
        { ...ofA, payload: "slow", maxAttempts: 1, timeoutMs: 100 },
      ]);
      const workers = pool(async ({ payload, attempt }, { log, progress, signal, clock }) => {
        const text = toText(payload);
        log(`attempt ${attempt} of ${text}`);
        progress({ attempt });
        if (text === "slow") await clock.sleep(60_000, { signal });
        throw text === "discards" ? new DiscardTask("not wanted") : new Error("no luck");
      });
      await workers.start();
      expect(await fails?.result()).toEqual({
        ok: false,
        error: { kind: "failed", message: "no luck" },
      });
      expect(await fails?.record()).toMatchObject({
        status: "dead",
        attempts: [1, 2, 3].map((attempt) => ({ attempt, workerId: workers.workerId })),
        logs: ["attempt 3 of fails"],
        progress: { attempt: 3 },
      });
      expect(await discards?.result()).toMatchObject({ error: { kind: "discarded" } });
      expect(await slow?.result()).toMatchObject({ error: { kind: "timeout" } });
    });

    it("stops waiting when its time is over or its signal aborts", async () => {
      const { tasks } = await setUp();
      const handle = await tasks.submit(ofA);
      expect(await errorOf(handle.result({ timeoutMs: 50 }))).toMatchObject({ code: "TIMEOUT" });
      const ending = new AbortController();
      const waiting = errorOf(handle.result({ signal: ending.signal }));
      ending.abort(new Error("enough"));
      expect(await waiting).toMatchObject({ message: "enough" });
    });

    it("streams what happens until the task has ended", async () => {
      const { tasks, pool } = await setUp();
      const handle = await tasks.submit({ ...ofA, backoff: { firstMs: 10, jitter: 0 } });
      const started = gate();
      const seen: TaskEvent[] = [];
      const reading = (async () => {
        const events = handle.events();
        const first = events.next();
        started.open();
        for (let next = await first; !next.done; next = await events.next()) seen.push(next.value);
      })();
      await started.opened;
      // The listener is there once the server has answered something that was asked after it.
      await handle.record();
      await tasks.stats("a");
      await pool(({ attempt }, { progress, log }) => {
        progress(attempt / 2);
        log("a line");
        if (attempt === 1) throw new Error("again");
      }).start();
      await reading;
      expect(seen).toEqual([
        { type: "progress", attempt: 1, value: 0.5 },
        { type: "log", attempt: 1, line: "a line" },
        { type: "retrying", attempt: 1, delayMs: 10 },
        { type: "progress", attempt: 2, value: 1 },
        { type: "log", attempt: 2, line: "a line" },
        { type: "ended", status: "done" },
      ]);
      const late: TaskEvent[] = [];
      for await (const event of handle.events()) late.push(event);
      expect(late).toEqual([{ type: "ended", status: "done" }]);
    });

    it("cancels a queued task: it is never begun", async () => {
      const { tasks, pool } = await setUp();
      const [first, second] = await tasks.submitMany([ofA, ofA]);
      expect(await first?.cancel("changed my mind")).toBe(true);
      expect(await first?.cancel()).toBe(false);
      expect(await first?.status()).toBe("cancelled");
      expect(await first?.result()).toEqual({
        ok: false,
        error: { kind: "cancelled", message: "changed my mind" },
      });
      const ran: string[] = [];
      await pool(({ id }) => void ran.push(id)).start();
      await second?.result();
      expect(ran).toEqual([second?.id]);
      expect(await second?.cancel()).toBe(false);
      expect(await tasks.stats("a")).toMatchObject({ ready: 0, leased: 0, dead: 0 });
    });

    it("cancels a running task from another queue object: its signal aborts at once", async () => {
      const { bus, tenants, tasks, pool } = await setUp();
      const handle = await tasks.submit(ofA);
      const running = gate();
      const aborted: unknown[] = [];
      const outcomes: string[] = [];
      const workers = pool(
        async (_task, { signal }) => {
          running.open();
          await new Promise<void>((resolve) => {
            signal.addEventListener("abort", () => {
              aborted.push(signal.reason);
              resolve();
            });
          });
          return "too late";
        },
        { onEvent: (event) => event.type === "ended" && outcomes.push(event.outcome.type) },
      );
      await workers.start();
      await running.opened;
      expect(await handle.status()).toBe("running");
      const other = new TaskQueue({ bus, queue: "q", tenants });
      expect(await (await other.task(handle.id)).cancel()).toBe(true);
      expect(await handle.result()).toMatchObject({ error: { kind: "cancelled" } });
      await expect.poll(() => outcomes).toEqual(["cancelled"]);
      expect(aborted).toEqual([new Error("the task was cancelled")]);
      expect(workers.counters).toMatchObject({ started: 1, done: 0, cancelled: 1 });
      expect(await tasks.stats("a")).toMatchObject({ ready: 0, leased: 0, dead: 0 });
      await other.close();
    });

    it("without a kept result can be cancelled, and tells no result", async () => {
      const { tasks, pool } = await setUp();
      const quiet = { ...ofA, keepResult: false };
      const [first, second, third] = await tasks.submitMany([quiet, quiet, quiet]);
      expect(await errorOf(first?.result() as Promise<unknown>)).toMatchObject({
        code: "UNSUPPORTED",
      });
      expect(await second?.cancel()).toBe(true);
      expect(await second?.status()).toBe("cancelled");
      const ran: string[] = [];
      await pool(({ id }) => void ran.push(id)).start();
      await expect.poll(() => ran).toEqual([first?.id, third?.id]);
      await expect.poll(async () => (await tasks.stats("a")).leased).toBe(0);
      expect(await errorOf(first?.status() as Promise<unknown>)).toMatchObject({
        code: "NOT_FOUND",
      });
      expect(await first?.record()).toBeUndefined();
    });

    it("tells that a task was given up whose workers died", async () => {
      const { tasks, bus, tenants, pool } = await setUp();
      const handle = await tasks.submit({ ...ofA, maxAttempts: 1 });
      const lane = `tasks.q.${tenants.peek("a")?.storageId}`;
      const [job] = await bus.jobs.claim(lane, { workerId: "dies", leaseMs: 50 });
      expect(job).toMatchObject({ attempt: 1 });
      let ran = 0;
      await pool(() => void (ran += 1)).start();
      expect(await handle.result({ timeoutMs: 10_000 })).toMatchObject({
        ok: false,
        error: { kind: "exhausted" },
      });
      expect(ran).toBe(0);
      await expect.poll(() => tasks.dead.get(handle.id)).toMatchObject({ attempts: 1 });
    });

    it("is as its worker wrote down before it died, also at the last attempt", async () => {
      const { tasks, bus, tenants, pool } = await setUp();
      const lane = tenants.peek("a")?.storageId as string;
      const facts = { type: "work", attempts: [], logs: [], updatedAtMs: 1 };
      const error = { kind: "discarded", message: "not wanted" } as const;
      const records: TaskRecord[] = [
        { ...facts, status: "done", value: 1 },
        { ...facts, status: "dead", error },
      ];
      const [done, dead] = await tasks.submitMany(records.map(() => ({ ...ofA, maxAttempts: 1 })));
      await bus.jobs.claim(`tasks.q.${lane}`, { workerId: "dies", leaseMs: 50, max: 2 });
      for (const [index, handle] of [done, dead].entries()) {
        const key = `${lane}.${handle?.id.slice("a.".length)}`;
        await bus.kv.put("task-records.q", key, JSON.stringify(records[index]));
      }
      const ran: string[] = [];
      await pool(({ id }) => void ran.push(id)).start();
      const isEmpty = async () => Object.values(await tasks.stats("a"));
      await expect.poll(isEmpty, { timeout: 15_000 }).toEqual([0, 0, 0, 1, false]);
      expect(ran).toEqual([]);
      expect(await done?.result()).toEqual({ ok: true, value: 1 });
      expect(await dead?.result()).toEqual({ ok: false, error });
      expect(await tasks.dead.get(dead?.id as string)).toMatchObject({ reason: "not wanted" });
    });

    it("is kept for its time, whatever was asked before the first one", async () => {
      const { tasks, bus, pool } = await setUp();
      const [quiet] = await tasks.submitMany([{ ...ofA, keepResult: false }]);
      expect(await (await tasks.task("a.12345")).record()).toBeUndefined();
      expect(await quiet?.cancel()).toBe(true);
      await pool(() => "kept").start();
      const handle = await tasks.submit(ofA);
      expect(await handle.result({ timeoutMs: 10_000 })).toEqual({ ok: true, value: "kept" });
      // It would refuse another time.
      await bus.kv.ensureBucket("task-records.q", { ttlMs: 86_400_000 });
    });

    it("knows nothing of tasks that never were, and refuses ids that are none", async () => {
      const { tasks } = await setUp();
      const unknown = await tasks.task("a.12345");
      expect(await errorOf(unknown.status())).toMatchObject({ code: "NOT_FOUND" });
      expect(await errorOf(unknown.result())).toMatchObject({ code: "NOT_FOUND" });
      expect(await errorOf(unknown.cancel())).toMatchObject({ code: "NOT_FOUND" });
      expect(await errorOf(tasks.task("nobody.1"))).toMatchObject({ code: "NOT_FOUND" });
      for (const id of ["", "a", "a.", ".1", "a.b.c"]) {
        expect(await errorOf(tasks.task(id)), id).toMatchObject({ code: "INVALID_ARGUMENT" });
      }
    });
  });

  describe("dead tasks", () => {
    it("are listed, replayed with all that they had, discarded and purged, by tenant", async () => {
      const { tasks, pool } = await setUp([
        { id: "a", name: "a" },
        { id: "b", name: "b" },
      ]);
      const headers = { kind: "letter" };
      const one = { ...ofA, payload: "1", headers, priority: "high", maxAttempts: 1 } as const;
      await tasks.submitMany([one, { ...ofA, payload: "2", maxAttempts: 1 }]);
      await tasks.submit({ ...one, tenant: "b" });
      let fails = true;
      const seen: unknown[] = [];
      await pool((task) => {
        if (fails) throw new Error("no luck");
        const { headers: own, priority, maxAttempts, attempt } = task;
        seen.push({ text: toText(task.payload), own, priority, maxAttempts, attempt });
      }).start();
      await expect.poll(() => tasks.dead.count("a")).toBe(2);
      await expect.poll(() => tasks.dead.count("b")).toBe(1);
      const { tasks: dead, next } = await tasks.dead.list("a");
      expect(next).toBeUndefined();
      const first = dead.find(({ payload }) => toText(payload) === "1");
      expect(first).toMatchObject({ type: "work", reason: "no luck", attempts: 1, headers });
      fails = false;
      const again = await tasks.dead.replay(first?.id ?? "");
      expect(await again?.result()).toEqual({ ok: true, value: null });
      expect(seen).toEqual([
        { text: "1", own: headers, priority: "high", maxAttempts: 1, attempt: 1 },
      ]);
      expect(await tasks.dead.replay(first?.id ?? "")).toBeUndefined();
      const second = dead.find(({ payload }) => toText(payload) === "2")?.id ?? "";
      expect(await tasks.dead.get(second)).toMatchObject({ id: second });
      expect(await tasks.dead.discard(second)).toBe(true);
      expect(await tasks.dead.discard(second)).toBe(false);
      expect(await tasks.dead.get(second)).toBeUndefined();
      expect(await tasks.dead.purge("b")).toBe(1);
    });
  });
});
