import { FinishLine } from "../tasks/finish-line.ts";
import { TenantWorld } from "../tasks/tenant-world.ts";
import type { Arena } from "./arena.ts";
import { inBulks, SLOTS, TASK_MS, tasksOf } from "./quiet-tenants.ts";

const WEIGHTS: readonly number[] = [1, 2, 4];
/** Of so many tasks the shares are taken. */
export const SHARED_TASKS = 10_000;

/** So that each has tasks to the end: more than the largest share. */
const EACH = 6_500;

/** How far the share of a tenant is from its weight, at worst, in percent of what it should be. */
export async function worstShareError(arena: Arena): Promise<number> {
  const { bus, clock } = arena;
  const inputs = WEIGHTS.map((weight) => ({ id: `weight-${weight}`, name: `${weight}`, weight }));
  await using world = await TenantWorld.open(bus, inputs, { ...arena, queue: "fair" });
  for (const { id } of inputs) {
    for (const some of inBulks(tasksOf(id, EACH))) await world.tasks.submitMany(some);
  }
  const begun = new Map(inputs.map(({ id }) => [id, 0]));
  const line = new FinishLine();
  const over = line.after(SHARED_TASKS);
  let left = SHARED_TASKS;
  const pool = await world.work(
    async ({ tenant }) => {
      if (left > 0) begun.set(tenant, (begun.get(tenant) ?? 0) + 1);
      left -= 1;
      line.passed();
      await clock.sleep(1);
    },
    { concurrency: SLOTS },
  );
  await over;
  await pool.stop({ mode: "abort" });
  const total = WEIGHTS.reduce((sum, weight) => sum + weight, 0);
  const errors = inputs.map(({ id, weight }) => {
    const expected = (SHARED_TASKS * weight) / total;
    return (Math.abs((begun.get(id) ?? 0) - expected) * 100) / expected;
  });
  return Math.max(...errors);
}

/** How a tenant that is the only one with tasks uses the slots. */
export interface SlotUse {
  /** Most tasks that ran at once. */
  readonly most: number;
  /** How many ran on average, from the first to the last begin. */
  readonly average: number;
}

const IDLE_TENANTS = 20;
const ALONE_TASKS = 1_000;

/** One tenant has tasks, others have none. */
export async function slotUseAlone(arena: Arena): Promise<SlotUse> {
  const { bus, clock } = arena;
  const ids = ["alone", ...Array.from({ length: IDLE_TENANTS }, (_, index) => `idle-${index}`)];
  const inputs = ids.map((id) => ({ id, name: id }));
  await using world = await TenantWorld.open(bus, inputs, { ...arena, queue: "fair" });
  await world.tasks.submitMany(ids.flatMap((id) => tasksOf(id, 1)));
  await world.tasks.submitMany(tasksOf("alone", ALONE_TASKS));
  let running = 0;
  let most = 0;
  let slotMs = 0;
  let changedAtMs = 0;
  const line = new FinishLine();
  const over = line.after(ALONE_TASKS);
  let startedAtMs: number | undefined;
  const change = (by: number): void => {
    const nowMs = clock.monotonic();
    startedAtMs ??= nowMs;
    slotMs += running * (nowMs - changedAtMs);
    changedAtMs = nowMs;
    running += by;
    most = Math.max(most, running);
  };
  const pool = await world.work(
    async ({ tenant }) => {
      if (tenant !== "alone") return;
      change(1);
      line.passed();
      await clock.sleep(TASK_MS);
      change(-1);
    },
    { concurrency: SLOTS },
  );
  await over;
  const average = slotMs / (changedAtMs - (startedAtMs ?? 0));
  await pool.stop({ mode: "abort" });
  return { most, average };
}
