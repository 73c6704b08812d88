import { simulate } from "@busbar/bus-memory";
import { afterEach, describe, expect, it } from "vitest";
import {
  type Task,
  type TaskPriority,
  TaskQueue,
  TenantDirectory,
  TenantRegistry,
  WorkerPool,
} from "../../src/index.ts";
import { errorOf, onEachBackend } from "../support/backends.ts";
import { setUpTasks, type TaskSetup } from "../support/task-setup.ts";

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const textOf = ({ payload }: Task): string => new TextDecoder().decode(payload);
const one = { tenant: "a", type: "work" };
const PRIORITY: Readonly<Record<string, TaskPriority>> = { L: "low", N: "normal", H: "high" };

/** Tasks such as `H1`, whose first letter is the priority. */
const named = (texts: readonly string[]) =>
  texts.map((payload) => ({
    ...one,
    payload,
    priority: PRIORITY[payload[0] as string],
    keepResult: false,
  }));

/** Runs all there is with one worker. @returns what was run, in its order */
async function drained({ pool }: Pick<TaskSetup, "pool">): Promise<string[]> {
  const ran: string[] = [];
  const workers = pool((task) => void ran.push(textOf(task)), { concurrency: 1 });
  await workers.start();
  await workers.stop({ mode: "drain" });
  return ran;
}

await onEachBackend((open) => {
  describe("the task queue", () => {
    // Not growing numbers: several processes make ids, and a restart must not begin anew.
    it("K1: gives each task an id of its own, which others find it by", async () => {
      const setup = await setUpTasks(open, cleanups);
      const { tasks, tenants, namespace } = setup;
      const handles = await tasks.submitMany(named(["N1", "N2", "N3"]));
      const ids = handles.map(({ id }) => id);
      expect(new Set(ids).size).toBe(3);
      for (const id of ids) expect(id).toMatch(/^a\.[A-Za-z0-9_-]+$/);
      const elsewhere = new TaskQueue({ bus: await open(namespace), queue: "q", tenants });
      expect(await (await elsewhere.task(ids[0] as string)).status()).toBe("queued");
    });

    it("K2: gives a task as it was submitted, and is empty then", async () => {
      const setup = await setUpTasks(open, cleanups);
      const payload = "MATCH (n) RETURN n";
      await setup.tasks.submit({ ...one, payload });
      expect(await setup.tasks.stats("a")).toMatchObject({ ready: 1, leased: 0 });
      expect(await drained(setup)).toEqual([payload]);
      expect(await setup.tasks.stats("a")).toMatchObject({ ready: 0, delayed: 0, leased: 0 });
    });

    it("K3: gives nothing where nothing is", async () => {
      const setup = await setUpTasks(open, cleanups);
      expect(await drained(setup)).toEqual([]);
      const { ready, delayed, leased, dead } = await setup.tasks.stats("a");
      expect([ready, delayed, leased, dead]).toEqual([0, 0, 0, 0]);
    });

    it("K4: gives high, then normal, then low", async () => {
      const setup = await setUpTasks(open, cleanups);
      await setup.tasks.submitMany(named(["L1", "N1", "H1"]));
      expect(await drained(setup)).toEqual(["H1", "N1", "L1"]);
    });

    it("K5: gives what came first first", async () => {
      const setup = await setUpTasks(open, cleanups);
      for (const payload of ["first", "second"]) await setup.tasks.submit({ ...one, payload });
      expect(await drained(setup)).toEqual(["first", "second"]);
    });

    it("K5b: keeps the order of a thousand tasks that are submitted at once", async () => {
      const setup = await setUpTasks(open, cleanups);
      const texts = Array.from({ length: 1_000 }, (_, index) => `N${index}`);
      await setup.tasks.submitMany(named(texts));
      expect(await drained(setup)).toEqual(texts);
    });

    it("K5c: has both orders at a time", async () => {
      const setup = await setUpTasks(open, cleanups);
      await setup.tasks.submitMany(named(["N1", "H1", "N2", "H2", "L1"]));
      expect(await drained(setup)).toEqual(["H1", "H2", "N1", "N2", "L1"]);
    });

    it("K6: wakes a worker that waits", async () => {
      const { pool, tasks } = await setUpTasks(open, cleanups);
      const ran: string[] = [];
      await pool((task) => void ran.push(textOf(task))).start();
      await tasks.submit({ ...one, payload: "late" });
      // Sooner than lanes are looked at that nobody woke.
      await expect.poll(() => ran, { timeout: 3_000 }).toEqual(["late"]);
    });

    it("K6b: lets go whoever waits when it ends", async () => {
      const { pool, tasks, tenants, namespace } = await setUpTasks(open, cleanups);
      const workers = pool(() => undefined);
      await workers.start();
      const startedAt = performance.now();
      expect(await workers.stop({ deadlineMs: 60_000 })).toEqual({ finished: 0, aborted: 0 });
      const { id } = await tasks.submit(one);
      const bus = await open(namespace);
      const waiting = (await new TaskQueue({ bus, queue: "q", tenants }).task(id)).result();
      const ended = errorOf(waiting);
      await bus.close();
      expect(await ended).toMatchObject({ code: "CLOSED" });
      expect(performance.now() - startedAt).toBeLessThan(10_000);
    });

    it("K7: has high before normal before low, whichever was first", async () => {
      for (const [first, second] of ["HN", "HL", "NL"]) {
        for (const texts of [
          [`${first}`, `${second}`],
          [`${second}`, `${first}`],
        ]) {
          const setup = await setUpTasks(open, cleanups);
          await setup.tasks.submitMany(named(texts));
          expect(await drained(setup), texts.join()).toEqual([first, second]);
        }
      }
    });
  });
});

// The order is that of the queue and not that of clocks, which may stand still.
it("K5b: keeps the order of a thousand tasks of the same moment, on a virtual clock", async () => {
  await simulate({ seed: 1 }, async (world) => {
    const registry = new TenantRegistry(world.bus, world);
    await registry.register({ id: "a", name: "a" });
    const tenants = await TenantDirectory.open(registry);
    const parts = { bus: world.bus, queue: "q", tenants, clock: world.clock };
    const tasks = new TaskQueue({ ...parts, random: world.random });
    const texts = Array.from({ length: 1_000 }, (_, index) => `N${index}`);
    const startedMs = world.clock.now();
    for (const input of named(texts)) await tasks.submit(input);
    expect(world.clock.now()).toBe(startedMs);
    const ran: string[] = [];
    const work = (task: Task): void => void ran.push(textOf(task));
    const pool = new WorkerPool({ ...parts, handlers: { work }, concurrency: 1 });
    await pool.start();
    await pool.stop({ mode: "drain" });
    await Promise.all([tasks.close(), tenants.close()]);
    expect(ran).toEqual(texts);
  });
});
