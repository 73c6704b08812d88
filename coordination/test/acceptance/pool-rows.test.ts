import { afterEach, describe, expect, it } from "vitest";
import type { Task } from "../../src/index.ts";
import { onEachBackend } from "../support/backends.ts";
import { setUpTasks } from "../support/task-setup.ts";

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const textOf = ({ payload }: Task): string => new TextDecoder().decode(payload);
const one = { tenant: "a", type: "work", maxAttempts: 1 };
const several = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ ...one, payload: `${index}` }));

await onEachBackend((open) => {
  describe("the worker pool", () => {
    it("K14: of two runs five tasks, each once", async () => {
      const { pool, tasks } = await setUpTasks(open, cleanups);
      const ran: string[] = [];
      const handles = await tasks.submitMany(several(5));
      const workers = pool((task) => void ran.push(textOf(task)), { concurrency: 2 });
      await workers.start();
      for (const handle of handles) await handle.result({ timeoutMs: 10_000 });
      expect(ran.toSorted()).toEqual(["0", "1", "2", "3", "4"]);
      expect(workers.counters).toMatchObject({ started: 5, done: 5, retried: 0 });
    });

    it("K15: of two stops without ever having had a task", async () => {
      const { pool } = await setUpTasks(open, cleanups);
      const workers = pool(() => undefined, { concurrency: 2 });
      await workers.start();
      expect(workers.concurrency).toBe(2);
      for (const mode of ["drain", "finish", "abort"] as const) {
        expect(await workers.stop({ mode })).toEqual({ finished: 0, aborted: 0 });
      }
    });

    it("K16: survives a task that fails, and runs it no oftener than it may", async () => {
      const { pool, tasks } = await setUpTasks(open, cleanups);
      const ran: string[] = [];
      const [bad, good] = await tasks.submitMany(several(2));
      const workers = pool(
        (task) => {
          ran.push(textOf(task));
          if (ran.length === 1) throw new Error("simulated failure");
        },
        { concurrency: 1 },
      );
      await workers.start();
      expect(await good?.result({ timeoutMs: 10_000 })).toEqual({ ok: true, value: null });
      expect(await bad?.result()).toEqual({
        ok: false,
        error: { kind: "failed", message: "simulated failure" },
      });
      expect(ran).toEqual(["0", "1"]);
    });

    for (const { id, mode, done } of [
      { id: "K17", mode: "drain", done: 10 },
      { id: "K17b", mode: "finish", done: 2 },
    ] as const) {
      it(`${id}: that stops to ${mode} has done ${done} of ten, and loses none`, async () => {
        const { pool, tasks } = await setUpTasks(open, cleanups);
        await tasks.submitMany(several(10));
        const ran: string[] = [];
        const handler = async (
          task: Task,
          { clock }: { clock: { sleep(ms: number): unknown } },
        ) => {
          await clock.sleep(100);
          ran.push(textOf(task));
        };
        const workers = pool(handler, { concurrency: 2 });
        await workers.start();
        await expect.poll(() => workers.running, { interval: 5 }).toBe(2);
        expect(await workers.stop({ mode })).toEqual({ finished: done, aborted: 0 });
        expect(ran).toHaveLength(done);
        expect(await tasks.stats("a")).toMatchObject({ ready: 10 - done, leased: 0, dead: 0 });
        // What is left is there for others.
        const others = pool(handler, { concurrency: 10 });
        await others.start();
        await others.stop({ mode: "drain" });
        expect(ran.toSorted()).toEqual(several(10).map(({ payload }) => payload));
      });
    }

    it("K18: runs what is good after handlers have thrown, and buries what failed", async () => {
      const { pool, tasks } = await setUpTasks(open, cleanups);
      const handles = await tasks.submitMany(several(7));
      const done: string[] = [];
      await pool(
        (task) => {
          if (task.payload[0] === 48 || task.payload[0] === 49) throw new Error("broken");
          done.push(textOf(task));
        },
        { concurrency: 2 },
      ).start();
      for (const handle of handles) await handle.result({ timeoutMs: 10_000 });
      expect(done.toSorted()).toEqual(["2", "3", "4", "5", "6"]);
      await expect.poll(() => tasks.dead.count("a")).toBe(2);
      const { tasks: dead } = await tasks.dead.list("a");
      expect(dead.map(({ reason, attempts }) => ({ reason, attempts }))).toEqual([
        { reason: "broken", attempts: 1 },
        { reason: "broken", attempts: 1 },
      ]);
    });

    it("K19: lets a task of low priority through though those of high priority never end", async () => {
      const { pool, tasks } = await setUpTasks(open, cleanups);
      const high = { ...one, priority: "high", keepResult: false } as const;
      await tasks.submitMany(Array.from({ length: 40 }, () => high));
      await tasks.submit({ ...one, priority: "low", payload: "low" });
      const ran: string[] = [];
      await pool(
        async (task) => {
          ran.push(textOf(task));
          if (!ran.includes("low")) await tasks.submit(high);
        },
        { concurrency: 1 },
      ).start();
      await expect.poll(() => ran.includes("low"), { timeout: 15_000 }).toBe(true);
      // One in twenty, though forty of high priority wait all the time.
      expect(ran.indexOf("low")).toBeLessThan(20);
    });
  });
});
