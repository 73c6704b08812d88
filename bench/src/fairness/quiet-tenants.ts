import type { TaskInput } from "@busbar/coordination";
import { percentile } from "../statistics.ts";
import { FinishLine } from "../tasks/finish-line.ts";
import { TenantWorld, TYPE } from "../tasks/tenant-world.ts";
import type { Arena } from "./arena.ts";

/** How many tasks the noisy tenant has queued, how many quiet ones there are, and what each submits. */
export const NOISY_TASKS = 10_000;
export const QUIET_TENANTS = 20;
export const QUIET_TASKS = 10;

/** Slots, and how long a task takes. */
export const SLOTS = 10;
export const TASK_MS = 20;

const BULK = 1_000;
const NOISY = "noisy";

/**
 * How long the tasks of quiet tenants wait for a slot, the 95th percentile in milliseconds: they submit at
 * once, while another tenant has so many queued and holds all slots.
 */
export async function quietWaitMs(arena: Arena, noisyTasks: number): Promise<number> {
  const { bus, clock } = arena;
  const ids = Array.from({ length: QUIET_TENANTS }, (_, index) => `quiet-${index}`);
  const inputs = [NOISY, ...ids].map((id) => ({ id, name: id }));
  await using world = await TenantWorld.open(bus, inputs, { ...arena, queue: "fair" });
  const { tasks } = world;
  // A first task each: what is made once for a tenant is there.
  const first = await world.work(() => undefined, { concurrency: SLOTS });
  await tasks.submitMany(ids.flatMap((id) => tasksOf(id, 1)));
  await first.stop({ mode: "drain" });

  const submittedAtMs = new Map<string, number>();
  const waitsMs: number[] = [];
  const line = new FinishLine();
  const crowd = new FinishLine();
  for (const some of inBulks(tasksOf(NOISY, noisyTasks))) await tasks.submitMany(some);
  const crowded = noisyTasks > 0 ? crowd.after(SLOTS) : undefined;
  const pool = await world.work(
    async ({ tenant }) => {
      const atMs = submittedAtMs.get(tenant);
      if (atMs === undefined) crowd.passed();
      else {
        waitsMs.push(clock.monotonic() - atMs);
        line.passed();
      }
      await clock.sleep(TASK_MS);
    },
    { concurrency: SLOTS },
  );
  await crowded;
  const begun = line.after(QUIET_TENANTS * QUIET_TASKS);
  const submitting = ids.map((id) => {
    submittedAtMs.set(id, clock.monotonic());
    return tasks.submitMany(tasksOf(id, QUIET_TASKS));
  });
  await Promise.all(submitting);
  await begun;
  await pool.stop({ mode: "abort" });
  return percentile(waitsMs, 95);
}

/** Tasks of a tenant. */
export function tasksOf(tenant: string, count: number): TaskInput[] {
  return Array.from({ length: count }, () => ({ tenant, type: TYPE, keepResult: false }));
}

/** Not more than may be submitted at a time. */
export function* inBulks(inputs: readonly TaskInput[]): Generator<readonly TaskInput[]> {
  for (let from = 0; from < inputs.length; from += BULK) yield inputs.slice(from, from + BULK);
}
