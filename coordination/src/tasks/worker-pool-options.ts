import type { Bus, Clock, Random } from "@busbar/core";
import type { TenantDirectory } from "../tenants/tenant-directory.ts";
import type { TaskHandler, TaskOutcome } from "./running-task.ts";
import type { Backoff, Task } from "./task.ts";

/** How a `WorkerPool` is made. */
export interface WorkerPoolOptions {
  readonly bus: Bus;
  /** The queue of the `TaskQueue`. */
  readonly queue: string;
  readonly tenants: TenantDirectory;
  /** Handlers by task type. A task of another type goes to the dead letters. */
  readonly handlers: Readonly<Record<string, TaskHandler>>;
  /** How many tasks run at a time in this pool, 1 to 1_000. @defaultValue 10 */
  readonly concurrency?: number | undefined;
  /** How long a task stays this pool's without a heartbeat, in milliseconds. @defaultValue 30_000 */
  readonly leaseMs?: number | undefined;
  /** How long an attempt may take where its task does not say, in milliseconds. @defaultValue 600_000 */
  readonly timeoutMs?: number | undefined;
  /** Waits between attempts where the task does not say. */
  readonly backoff?: Backoff | undefined;
  /** Named in the queue, for operators. Default: a new one. */
  readonly workerId?: string | undefined;
  /**
   * How many tasks of a type run at a time in this pool; of types that are not named, as many as there are
   * slots. Tasks beyond it are given back and come again a little later, so that other types get through.
   */
  readonly typeConcurrency?: Readonly<Record<string, number>> | undefined;
  /** Told of everything that happens. What it throws is an uncaught error. */
  readonly onEvent?: ((event: PoolEvent) => void) | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/** What happens in a pool. */
export type PoolEvent =
  | { readonly type: "started"; readonly task: Task }
  | { readonly type: "ended"; readonly task: Task; readonly outcome: TaskOutcome }
  /** Tasks of a tenant could not be claimed: they are there, and are asked for again. */
  | { readonly type: "claimFailed"; readonly tenant: string; readonly error: unknown }
  /** The server may have given the pool's permits to others: what runs is aborted. */
  | { readonly type: "permitsLost" }
  /** New tenants are not seen any more: somebody has removed the bucket `task-lanes`. */
  | { readonly type: "watchFailed"; readonly error: unknown }
  | { readonly type: "stopped"; readonly report: StopReport };

/** How a pool is stopped. */
export interface StopOptions {
  /**
   * `drain`: runs what can be run, until nothing is ready. `finish`: begins nothing, and waits for what
   * runs. `abort`: ends what runs. @defaultValue "finish"
   */
  readonly mode?: "drain" | "finish" | "abort" | undefined;
  /** When what still runs is aborted, in milliseconds from now. @defaultValue 30_000 */
  readonly deadlineMs?: number | undefined;
}

/** What a pool did and left. */
export interface StopReport {
  /** Attempts that ended since `stop`, in whatever way. */
  readonly finished: number;
  /** Attempts that were aborted: their tasks come again, and have lost no attempt by it. */
  readonly aborted: number;
}
