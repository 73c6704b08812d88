import {
  LeaderElection,
  type PoolEvent,
  Schedules,
  TaskQueue,
  TenantDirectory,
  TenantRegistry,
  WorkerPool,
} from "@busbar/coordination";
import type { Bus } from "@busbar/core";
import { CONCURRENCY, LEASE_MS, QUEUE } from "./cast.ts";
import { handlers } from "./work.ts";

/** What a worker tells of its work. */
export type WorkerEvent =
  | {
      readonly type: "started";
      readonly tenant: string;
      readonly task: string;
      readonly attempt: number;
      /** From its submission to this attempt. */
      readonly waitedMs: number;
      /** When it was due, for a task of a schedule. */
      readonly tick: string | undefined;
    }
  | {
      readonly type: "ended";
      readonly tenant: string;
      readonly task: string;
      readonly how: (PoolEvent & { readonly type: "ended" })["outcome"]["type"];
    };

/** Runs tasks of all tenants, and is ready to be the one who submits the recurring ones. */
export async function runWorker(
  bus: Bus,
  name: string,
  tell: (event: WorkerEvent) => void,
): Promise<{ stop(): Promise<void> }> {
  const tenants = await TenantDirectory.open(new TenantRegistry(bus));
  const pool = new WorkerPool({
    bus,
    queue: QUEUE,
    tenants,
    handlers,
    concurrency: CONCURRENCY,
    leaseMs: LEASE_MS,
    workerId: name,
    onEvent: (event) => {
      const told = toWorkerEvent(event);
      if (told) tell(told);
    },
  });
  await pool.start();
  const queue = new TaskQueue({ bus, queue: QUEUE, tenants });
  const leader = new LeaderElection({ bus, name: QUEUE, candidateId: name, ttlMs: LEASE_MS });
  const over = new AbortController();
  const ticking = new Schedules({ bus, queue, tenants })
    .run({ signal: over.signal, leader })
    // It ends with the signal, or with the bus.
    .catch(() => undefined);
  return {
    async stop() {
      over.abort();
      await Promise.all([ticking, pool.stop({ mode: "finish", deadlineMs: 5_000 })]);
      await queue.close();
      await tenants.close();
    },
  };
}

function toWorkerEvent(event: PoolEvent): WorkerEvent | undefined {
  if (event.type !== "started" && event.type !== "ended") return undefined;
  const { id: task, tenant, attempt, submittedAtMs, headers } = event.task;
  if (event.type === "ended") return { type: "ended", tenant, task, how: event.outcome.type };
  const waitedMs = Math.max(0, Date.now() - submittedAtMs);
  const tick = headers["schedule-tick"]?.toString();
  return { type: "started", tenant, task, attempt, waitedMs, tick };
}
