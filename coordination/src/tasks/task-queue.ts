import {
  BusError,
  type Bus,
  type Clock,
  type EnqueueResult,
  type QueueStats,
  systemClock,
} from "@busbar/core";
import { checkName } from "@busbar/core/adapter";
import type { Tenant } from "../tenants/tenant.ts";
import type { TenantDirectory } from "../tenants/tenant-directory.ts";
import { laneQueue, Lanes } from "./lanes.ts";
import type { TaskInput } from "./task.ts";
import { toJob } from "./task-wire.ts";

/** What a {@link TaskQueue} is made of. */
export interface TaskQueueParts {
  readonly bus: Bus;
  /** Name of the queue: up to 64 letters, digits, `-` and `_`. */
  readonly queue: string;
  readonly tenants: TenantDirectory;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
}

/** The answer to a submit. */
export interface Submitted {
  /** See `Task.id`. */
  readonly id: string;
  /** True if the dedup key was seen before: no task was made, and `id` is that of the first one. */
  readonly duplicate: boolean;
}

/** Of how many different delays of a bulk the workers are told. */
const MAX_TOLD = 100;
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * A queue of tasks of many tenants; a `WorkerPool` runs them. Each tenant has a lane of its own, so that
 * none stands behind another's tasks.
 *
 * *Order*: of one tenant by priority, then in the order of submission. *Delivery*: as of a `JobQueue`:
 * a submitted task is not lost, and is begun at least once, up to `maxAttempts` times. *Concurrency*:
 * all methods, from any number of processes.
 */
export class TaskQueue {
  readonly queue: string;
  readonly #bus: Bus;
  readonly #tenants: TenantDirectory;
  readonly #lanes: Lanes;
  readonly #clock: Clock;

  /** @throws BusError `INVALID_ARGUMENT` for the name of the queue */
  constructor({ bus, queue, tenants, clock = systemClock }: TaskQueueParts) {
    checkTaskQueue(queue);
    this.queue = queue;
    this.#bus = bus;
    this.#tenants = tenants;
    this.#clock = clock;
    this.#lanes = new Lanes(bus, queue);
  }

  /**
   * Adds a task. It is stored when this resolves.
   * @throws BusError `INVALID_ARGUMENT`; `NOT_FOUND` for an unknown tenant; `PERMISSION_DENIED` with
   *   `details.status` for one that is not active; `PAYLOAD_TOO_LARGE`; those of `JobQueue.enqueue`
   */
  async submit(input: TaskInput): Promise<Submitted> {
    const [submitted] = await this.submitMany([input]);
    return submitted as Submitted;
  }

  /**
   * Adds tasks, those of each tenant in their order. All are checked before the first is sent.
   * @throws BusError as {@link TaskQueue.submit}; as `JobQueue.enqueueMany` if one fails later
   */
  async submitMany(inputs: readonly TaskInput[]): Promise<Submitted[]> {
    const jobs = inputs.map(toJob);
    const tenants = await Promise.all(inputs.map(({ tenant }) => this.#activeTenant(tenant)));
    for (const [index, tenant] of tenants.entries()) checkSize(tenant, jobs[index]?.payload ?? "");
    const results: Submitted[] = [];
    const byTenant = new Map<Tenant, number[]>();
    for (const [index, tenant] of tenants.entries()) {
      const indexes = byTenant.get(tenant);
      if (indexes) indexes.push(index);
      else byTenant.set(tenant, [index]);
    }
    await Promise.all(
      [...byTenant].map(async ([tenant, indexes]) => {
        const name = tenant.storageId;
        await this.#lanes.ensure({ name, tenant: tenant.id });
        const own = indexes.map((index) => jobs[index] as (typeof jobs)[number]);
        const queue = laneQueue(this.queue, name);
        const answers =
          own.length === 1 && own[0]
            ? [await this.#bus.jobs.enqueue(queue, own[0])]
            : await this.#bus.jobs.enqueueMany(queue, own);
        for (const [place, index] of indexes.entries()) {
          results[index] = toSubmitted(tenant, answers[place] as EnqueueResult);
        }
        // Whoever misses it looks by itself.
        const delays = new Set(indexes.map((index) => this.#delayOf(inputs[index] as TaskInput)));
        const told = [...delays].sort((a, b) => a - b).slice(0, MAX_TOLD);
        await Promise.allSettled(told.map((delayMs) => this.#lanes.wake(name, delayMs)));
      }),
    );
    return results;
  }

  /** Counts of a tenant's tasks. @throws BusError `NOT_FOUND` */
  async stats(tenant: string): Promise<QueueStats> {
    return this.#bus.jobs.stats(await this.#jobs(tenant));
  }

  /** Lets a tenant's tasks wait until {@link TaskQueue.resume}. @throws BusError `NOT_FOUND` */
  async pause(tenant: string): Promise<void> {
    return this.#bus.jobs.pause(await this.#jobs(tenant));
  }

  /** Runs them again. @throws BusError `NOT_FOUND` */
  async resume(tenant: string): Promise<void> {
    await this.#bus.jobs.resume(await this.#jobs(tenant));
    await this.#lanes.wake((await this.#tenants.get(tenant)).storageId);
  }

  /** Removes a tenant's tasks, but not the dead ones. @returns how many. @throws BusError `NOT_FOUND` */
  async purge(tenant: string): Promise<number> {
    return this.#bus.jobs.purge(await this.#jobs(tenant));
  }

  /** Removes all that a tenant has in this queue: for `TenantRegistryOptions.cleaners`. */
  async clean(tenant: Tenant): Promise<void> {
    await this.#lanes.remove(tenant.storageId);
  }

  /** Name of this as a cleaner. */
  get name(): string {
    return `tasks of ${this.queue}`;
  }

  async #jobs(tenant: string): Promise<string> {
    return laneQueue(this.queue, (await this.#tenants.get(tenant)).storageId);
  }

  /** After how long a task may be run, in milliseconds. */
  #delayOf({ delayMs = 0, runAtMs }: TaskInput): number {
    return Math.max(0, runAtMs === undefined ? delayMs : runAtMs - this.#clock.now());
  }

  async #activeTenant(id: string): Promise<Tenant> {
    const tenant = await this.#tenants.get(id);
    if (tenant.status === "active") return tenant;
    throw new BusError("PERMISSION_DENIED", `tenant ${id} is ${tenant.status}`, {
      details: { tenant: id, status: tenant.status },
    });
  }
}

/** @throws BusError `INVALID_ARGUMENT` */
export function checkTaskQueue(queue: string): void {
  checkName("queue", queue);
  if (NAME.test(queue)) return;
  const message = `queue is ${JSON.stringify(queue)}; it has 1 to 64 letters, digits, "-" and "_"`;
  throw new BusError("INVALID_ARGUMENT", message, { details: { field: "queue" } });
}

function checkSize({ id, quotas }: Tenant, payload: Uint8Array | string): void {
  const bytes = typeof payload === "string" ? Buffer.byteLength(payload) : payload.byteLength;
  const maxBytes = quotas.payloadBytes;
  if (maxBytes === null || bytes <= maxBytes) return;
  throw new BusError(
    "PAYLOAD_TOO_LARGE",
    `the payload has ${bytes} bytes, tenant ${id} may send ${maxBytes}`,
    { details: { tenant: id, limit: "payloadBytes", bytes, maxBytes } },
  );
}

function toSubmitted(tenant: Tenant, { id, duplicate }: EnqueueResult): Submitted {
  return { id: `${tenant.id}.${id}`, duplicate };
}
