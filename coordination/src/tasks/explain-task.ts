import type { Tenant } from "../tenants/tenant.ts";
import { laneQueue } from "./lanes.ts";
import { askPools } from "./pool-report.ts";
import { sightOf, type TaskHandleParts, type TaskPlace } from "./task-handle.ts";
import { isFinal, type TaskStatus } from "./task-record.ts";
import { factsOf } from "./task-wire.ts";

/** Something that keeps a task from running. */
export type TaskObstacle =
  | { readonly type: "tenantNotActive"; readonly status: Tenant["status"] }
  /** The tenant's tasks are paused, or those of the whole queue. */
  | { readonly type: "paused"; readonly what: "tenant" | "queue" }
  /** Its time has not come, by the clock of who asks. */
  | { readonly type: "notDue"; readonly inMs: number }
  /** No pool answers that begins tasks. */
  | { readonly type: "noPool" }
  /** No pool that answers has a handler for its type. */
  | { readonly type: "noHandler"; readonly taskType: string }
  /** As many tasks of the tenant run as may, over all pools. */
  | { readonly type: "runningQuota"; readonly running: number; readonly allowed: number }
  /** Every slot of every pool is taken. */
  | { readonly type: "noSlot"; readonly slots: number }
  /** Tasks of the tenant that may be begun before it. */
  | { readonly type: "backlog"; readonly atMost: number };

/** What there is to say about a task. */
export interface TaskExplanation {
  readonly status: TaskStatus | "unknown";
  /** Empty if it runs or has ended, or is about to be begun. */
  readonly obstacles: readonly TaskObstacle[];
  /** The same in words, a line each. */
  readonly text: string;
}

/** Why a task is not running, or what became of it. */
export async function explainTask(
  parts: TaskHandleParts,
  place: TaskPlace,
  tenant: Tenant,
): Promise<TaskExplanation> {
  const { bus, queue, lanes, clock } = parts;
  const { lane, id } = place;
  const { record, job, dead } = await sightOf(parts, place);
  if (isFinal(record)) return told(record.status, [], record.error?.message);
  if (dead) return told("dead", [], dead.message);
  if (job === undefined) return told("unknown", []);
  const [pools, stats, isPaused] = await Promise.all([
    askPools(bus, queue, { lane, id }),
    bus.jobs.stats(laneQueue(queue, lane)),
    lanes.isPaused(),
  ]);
  const attempt = pools.find((pool) => pool.attempt !== undefined)?.attempt;
  if (attempt !== undefined) return told("running", [], `attempt ${attempt}`);
  const {
    type = "",
    delayMs = 0,
    runAtMs = job.enqueuedAtMs + delayMs,
  } = factsOf(job.headers) ?? {};
  const obstacles: TaskObstacle[] = [];
  if (tenant.status !== "active") {
    obstacles.push({ type: "tenantNotActive", status: tenant.status });
  }
  if (isPaused) obstacles.push({ type: "paused", what: "queue" });
  if (stats.paused) obstacles.push({ type: "paused", what: "tenant" });
  const inMs = runAtMs - clock.now();
  if (inMs > 0) obstacles.push({ type: "notDue", inMs });
  const open = pools.filter((pool) => pool.isOpen);
  const able = open.filter(({ types }) => types.includes(type));
  if (open.length === 0) obstacles.push({ type: "noPool" });
  else if (able.length === 0) obstacles.push({ type: "noHandler", taskType: type });
  const allowed = tenant.quotas.running;
  if (allowed !== null && stats.leased >= allowed) {
    obstacles.push({ type: "runningQuota", running: stats.leased, allowed });
  }
  const slots = sum(open.map(({ concurrency }) => concurrency));
  if (open.length > 0 && sum(open.map(({ running }) => running)) >= slots) {
    obstacles.push({ type: "noSlot", slots });
  }
  if (stats.ready > 1) obstacles.push({ type: "backlog", atMost: stats.ready - 1 });
  return told(record === undefined ? "queued" : "retrying", obstacles);
}

function told(
  status: TaskExplanation["status"],
  obstacles: readonly TaskObstacle[],
  more = "",
): TaskExplanation {
  const lines = [more === "" ? status : `${status}: ${more}`, ...obstacles.map(wordsOf)];
  return { status, obstacles, text: lines.join("\n") };
}

function wordsOf(obstacle: TaskObstacle): string {
  switch (obstacle.type) {
    case "tenantNotActive":
      return `its tenant is ${obstacle.status}`;
    case "paused":
      return `its ${obstacle.what} is paused`;
    case "notDue":
      return `it is not to be begun for another ${Math.ceil(obstacle.inMs)} ms`;
    case "noPool":
      return "no worker pool answers that begins tasks";
    case "noHandler":
      return `no worker pool has a handler for ${obstacle.taskType}`;
    case "runningQuota":
      return `${obstacle.running} tasks of its tenant run, and ${obstacle.allowed} may`;
    case "noSlot":
      return `all ${obstacle.slots} slots of the worker pools are taken`;
    case "backlog":
      return `up to ${obstacle.atMost} tasks of its tenant are before it`;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
