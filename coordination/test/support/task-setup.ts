import type { Bus } from "@busbar/core";
import {
  type TaskHandler,
  TaskQueue,
  type TaskQueueParts,
  TenantDirectory,
  type TenantInput,
  TenantRegistry,
  WorkerPool,
  type WorkerPoolOptions,
} from "../../src/index.ts";
import { newNamespace, type Open } from "./backends.ts";

/** No limit at all. */
export const UNLIMITED = {
  running: null,
  perDay: null,
  perMinute: null,
  scheduled: null,
  queued: null,
  storedBytes: null,
  payloadBytes: null,
} as const;

/** Tenants, a task queue and pools for one test. */
export interface TaskSetup {
  readonly bus: Bus;
  readonly namespace: string;
  readonly registry: TenantRegistry;
  readonly tenants: TenantDirectory;
  readonly tasks: TaskQueue;
  /** A pool that is stopped after the test. */
  readonly pool: (
    handlers: TaskHandler | Readonly<Record<string, TaskHandler>>,
    options?: Partial<WorkerPoolOptions>,
  ) => WorkerPool;
}

/** Makes them, with tenants that have no limits but those that are given. */
export async function setUpTasks(
  open: Open,
  cleanups: (() => Promise<unknown>)[],
  inputs: readonly TenantInput[] = [{ id: "a", name: "a" }],
  parts: Partial<TaskQueueParts> = {},
): Promise<TaskSetup> {
  const namespace = newNamespace();
  const bus = await open(namespace);
  const registry = new TenantRegistry(bus);
  for (const input of inputs) {
    await registry.register({ ...input, quotas: { ...UNLIMITED, ...input.quotas } });
  }
  const tenants = await TenantDirectory.open(registry);
  cleanups.push(() => tenants.close());
  const tasks = new TaskQueue({ bus, queue: "q", tenants, ...parts });
  cleanups.push(() => tasks.close());
  return {
    bus,
    namespace,
    registry,
    tenants,
    tasks,
    pool: (given, options = {}) => {
      const handlers = typeof given === "function" ? { work: given } : given;
      const made = new WorkerPool({ bus, queue: "q", tenants, handlers, ...options });
      cleanups.push(() => made.stop({ mode: "abort" }));
      return made;
    },
  };
}
