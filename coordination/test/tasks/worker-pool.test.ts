import { afterEach, describe, expect, it, vi } from "vitest";
import {
  DiscardTask,
  RetryTask,
  type Task,
  type TaskHandler,
  type TenantInput,
} from "../../src/index.ts";
import { errorOf, onEachBackend } from "../support/backends.ts";
import { setUpTasks, UNLIMITED } from "../support/task-setup.ts";

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

await onEachBackend((openOn) => {
  async function setUp(...inputs: readonly TenantInput[]) {
    const made = await setUpTasks(openOn, cleanups, inputs);
    const submit = (tenant: string, count: number, priority?: "low" | "normal" | "high") =>
      made.tasks.submitMany(
        Array.from({ length: count }, (_, index) => ({
          tenant,
          type: "work",
          payload: `${priority ?? ""}${index}`,
          ...(priority && { priority }),
        })),
      );
    return { ...made, submit };
  }

  const textOf = ({ payload }: Task): string => new TextDecoder().decode(payload);

  describe("a worker pool", () => {
    it("asks once for a tenant that it does not know, whatever the number of its tasks", async () => {
      const { registry, tenants, tasks } = await setUp();
      await tenants.close();
      await registry.register({ id: "late", name: "l" });
      const get = vi.spyOn(registry, "get");
      await tasks.submitMany(Array.from({ length: 5 }, () => ({ tenant: "late", type: "work" })));
      expect(get).toHaveBeenCalledTimes(1);
    });

    it("runs the tasks of a tenant by priority, then in their order", async () => {
      const { pool, submit } = await setUp({ id: "a", name: "a" });
      await submit("a", 2, "low");
      await submit("a", 2);
      await submit("a", 2, "high");
      const ran: string[] = [];
      const workers = pool((task) => void ran.push(textOf(task)), { concurrency: 1 });
      await workers.start();
      await expect.poll(() => ran.length).toBe(6);
      expect(ran).toEqual(["high0", "high1", "0", "1", "low0", "low1"]);
    });

    it("runs, of twenty tasks, one of normal and one of low priority, however many higher ones wait", async () => {
      const { pool, submit } = await setUp({ id: "a", name: "a" });
      await submit("a", 3, "low");
      await submit("a", 3);
      await submit("a", 100, "high");
      const ran: string[] = [];
      await pool(({ priority }) => void ran.push(priority), { concurrency: 1 }).start();
      await expect.poll(() => ran.length, { timeout: 4_000 }).toBe(106);
      const places = (wanted: string) =>
        ran.flatMap((priority, index) => (priority === wanted ? [index + 1] : []));
      expect(places("normal")).toEqual([10, 30, 50]);
      expect(places("low")).toEqual([20, 40, 60]);
    });

    it("begins low tasks in time also where many are claimed at once", async () => {
      const { pool, submit } = await setUp({ id: "a", name: "a" });
      await submit("a", 10, "low");
      await submit("a", 1_000, "high");
      const ran: string[] = [];
      await pool(({ priority }) => void ran.push(priority), { concurrency: 8 }).start();
      await expect.poll(() => ran.length, { timeout: 8_000 }).toBe(1_010);
      const places = ran.flatMap((priority, index) => (priority === "low" ? [index + 1] : []));
      // What is being claimed at the moment comes on top.
      for (const [index, place] of places.entries()) {
        expect(place, `low task ${index}`).toBeLessThanOrEqual(20 * (index + 1) + 16);
      }
    });

    it("runs what comes later at once, and what is delayed when it is due", async () => {
      const { pool, tasks } = await setUp({ id: "a", name: "a" });
      const ran: string[] = [];
      await pool((task) => void ran.push(textOf(task))).start();
      await tasks.submit({ tenant: "a", type: "work", payload: "later", delayMs: 400 });
      await tasks.submit({ tenant: "a", type: "work", payload: "now" });
      await expect.poll(() => ran).toEqual(["now"]);
      await expect.poll(() => ran, { timeout: 4_000 }).toEqual(["now", "later"]);
    });

    it("tries again what failed, discards what it is told to, and buries what fails for good", async () => {
      const { pool, tasks, bus } = await setUp({ id: "a", name: "a" });
      const attempts: string[] = [];
      const backoff = { firstMs: 10, jitter: 0 };
      const submitted = await tasks.submitMany(
        ["fails", "asks", "discards", "recovers"].map((payload) => ({
          tenant: "a",
          type: "work",
          payload,
          maxAttempts: 2,
          backoff,
        })),
      );
      await pool((task) => {
        const text = textOf(task);
        attempts.push(`${text} ${task.attempt}`);
        if (text === "discards") throw new DiscardTask("not wanted");
        if (text === "asks" && task.attempt === 1) throw new RetryTask(5);
        if (text === "fails" || (text === "recovers" && task.attempt === 1)) {
          throw new Error("no luck");
        }
      }).start();
      const left = async () => {
        const { ready, delayed, leased, dead } = await tasks.stats("a");
        return [ready + delayed + leased, dead];
      };
      await expect.poll(left, { timeout: 5_000 }).toEqual([0, 2]);
      expect(attempts.toSorted()).toEqual(
        ["asks 1", "asks 2", "discards 1", "fails 1", "fails 2", "recovers 1", "recovers 2"].sort(),
      );
      expect(new Set(submitted.map(({ id }) => id)).size).toBe(4);
      void bus;
    });

    it("buries a task without a handler, and one whose deadline is over", async () => {
      const { pool, tasks } = await setUp({ id: "a", name: "a" });
      await tasks.submit({ tenant: "a", type: "unknown" });
      await tasks.submit({ tenant: "a", type: "work", deadlineMs: 1_000 });
      let ran = 0;
      await pool(() => void (ran += 1)).start();
      await expect.poll(async () => (await tasks.stats("a")).dead).toBe(2);
      expect(ran).toBe(0);
    });

    it("aborts an attempt that takes too long", async () => {
      const { pool, tasks } = await setUp({ id: "a", name: "a" });
      const reasons: string[] = [];
      await tasks.submit({ tenant: "a", type: "work", timeoutMs: 100, maxAttempts: 1 });
      await pool(
        (_task, { signal }) =>
          new Promise((resolve) => {
            signal.addEventListener("abort", () => {
              reasons.push((signal.reason as Error).message);
              resolve(undefined);
            });
          }),
      ).start();
      await expect.poll(async () => (await tasks.stats("a")).dead).toBe(1);
      expect(reasons).toEqual(["the attempt took longer than 100 ms"]);
    });

    it("keeps the lease of a task that takes long", async () => {
      const { pool, tasks } = await setUp({ id: "a", name: "a" });
      const attempts: number[] = [];
      await tasks.submit({ tenant: "a", type: "work" });
      await pool(
        async ({ attempt }, { clock }) => {
          attempts.push(attempt);
          await clock.sleep(1_500);
        },
        { leaseMs: 500 },
      ).start();
      await expect
        .poll(async () => Object.values(await tasks.stats("a")), { timeout: 4_000 })
        .toEqual([0, 0, 0, 0, false]);
      expect(attempts).toEqual([1]);
    });

    it("is fair: who submits few tasks does not wait for who submits many", async () => {
      const { pool, submit } = await setUp({ id: "noisy", name: "n" }, { id: "quiet", name: "q" });
      await submit("noisy", 300);
      const ran: string[] = [];
      await submit("quiet", 10);
      await pool(({ tenant }) => void ran.push(tenant), { concurrency: 4 }).start();
      await expect.poll(() => ran.length, { timeout: 10_000 }).toBe(310);
      expect(ran.lastIndexOf("quiet")).toBeLessThan(40);
    });

    it("shares by weight", async () => {
      const { pool, submit } = await setUp(
        { id: "one", name: "n", weight: 1 },
        { id: "two", name: "n", weight: 2 },
        { id: "four", name: "n", weight: 4 },
      );
      for (const tenant of ["one", "two", "four"]) await submit(tenant, 400);
      const ran: string[] = [];
      await pool(({ tenant }) => void ran.push(tenant), { concurrency: 14 }).start();
      await expect.poll(() => ran.length, { timeout: 10_000 }).toBe(1_200);
      const first = ran.slice(0, 560);
      const share = (tenant: string) => first.filter((one) => one === tenant).length / 560;
      expect(Math.abs(share("one") - 1 / 7)).toBeLessThan(0.05);
      expect(Math.abs(share("two") - 2 / 7)).toBeLessThan(0.05);
      expect(Math.abs(share("four") - 4 / 7)).toBeLessThan(0.05);
    });

    it("runs no more tasks of a tenant than its quota, over all pools", async () => {
      const quotas = { ...UNLIMITED, running: 3 };
      const { namespace, pool, submit } = await setUp({ id: "a", name: "a", quotas });
      await submit("a", 60);
      let running = 0;
      let most = 0;
      let done = 0;
      const handler: TaskHandler = async (_task, { clock }) => {
        running += 1;
        most = Math.max(most, running);
        await clock.sleep(5);
        running -= 1;
        done += 1;
      };
      for (let count = 0; count < 3; count++) {
        await pool(handler, { concurrency: 10, bus: await openOn(namespace) }).start();
      }
      await expect.poll(() => done, { timeout: 15_000 }).toBe(60);
      expect(most).toBe(3);
    });

    it("lets the tasks of a suspended tenant wait, and loses none", async () => {
      const { pool, submit, registry, tasks, tenants } = await setUp({ id: "a", name: "a" });
      await submit("a", 5);
      await registry.suspend("a");
      await expect.poll(() => tenants.peek("a")?.status).toBe("suspended");
      expect(await errorOf(tasks.submit({ tenant: "a", type: "work" }))).toMatchObject({
        code: "PERMISSION_DENIED",
        details: { tenant: "a", status: "suspended" },
      });
      let ran = 0;
      const workers = pool(() => void (ran += 1));
      await workers.start();
      expect((await tasks.stats("a")).ready).toBe(5);
      await registry.activate("a");
      await expect.poll(() => ran, { timeout: 5_000 }).toBe(5);
    });

    it("refuses tasks of tenants that are not there, and payloads over the quota", async () => {
      const quotas = { ...UNLIMITED, payloadBytes: 3 };
      const { tasks } = await setUp({ id: "a", name: "a", quotas });
      expect(await errorOf(tasks.submit({ tenant: "b", type: "work" }))).toMatchObject({
        code: "NOT_FOUND",
        details: { tenant: "b" },
      });
      const big = tasks.submit({ tenant: "a", type: "work", payload: "1234" });
      expect(await errorOf(big)).toMatchObject({
        code: "PAYLOAD_TOO_LARGE",
        details: { limit: "payloadBytes", bytes: 4, maxBytes: 3 },
      });
      const wrong = { tenant: "a", type: "work", priority: "urgent" } as never;
      expect(await errorOf(tasks.submit(wrong))).toMatchObject({ code: "INVALID_ARGUMENT" });
      expect((await tasks.stats("a")).ready).toBe(0);
    });

    it("that drains runs all there is; that finishes leaves what waits", async () => {
      for (const [mode, done] of [
        ["drain", 10],
        ["finish", 2],
      ] as const) {
        const { pool, submit, tasks } = await setUp({ id: "a", name: "a" });
        await submit("a", 10);
        let ran = 0;
        let go = (): void => undefined;
        const started = new Promise<void>((resolve) => {
          go = resolve;
        });
        const handler = async (): Promise<void> => {
          await started;
          ran += 1;
        };
        const workers = pool(handler, { concurrency: 2 });
        await workers.start();
        await expect.poll(() => workers.running).toBe(2);
        const stopping = workers.stop({ mode, deadlineMs: 5_000 });
        go();
        expect(await stopping).toEqual({ finished: done, aborted: 0 });
        expect([ran, (await tasks.stats("a")).ready]).toEqual([done, 10 - done]);
      }
    });

    it("that is aborted ends at once, and its tasks come again", async () => {
      const { pool, submit, tasks } = await setUp({ id: "a", name: "a" });
      await submit("a", 2);
      const workers = pool((_task, { clock, signal }) => clock.sleep(60_000, { signal }), {
        backoff: { firstMs: 0 },
      });
      await workers.start();
      await expect.poll(() => workers.running).toBe(2);
      expect(await workers.stop({ mode: "abort" })).toEqual({ finished: 2, aborted: 2 });
      await expect.poll(async () => (await tasks.stats("a")).ready).toBe(2);
    });
  });
});
