import {
  BusError,
  type Bus,
  type Clock,
  type EnqueueResult,
  errorCode,
  isBusError,
  type Job,
  type QueueStats,
  type Random,
  systemClock,
  systemRandom,
} from "@busbar/core";
import { checkDuration, checkName } from "@busbar/core/adapter";
import { Admission, type Grant } from "../admission/admission.ts";
import type { TenantUsage } from "../admission/quota.ts";
import type { Tenant } from "../tenants/tenant.ts";
import type { TenantDirectory } from "../tenants/tenant-directory.ts";
import { checkActive } from "../tenants/tenant-errors.ts";
import { DeadTasks } from "./dead-tasks.ts";
import { explainTask, type TaskExplanation } from "./explain-task.ts";
import { laneQueue, Lanes } from "./lanes.ts";
import { askPools, type PoolReport } from "./pool-report.ts";
import type { TaskInput } from "./task.ts";
import { TaskHandle, type TaskHandleParts, type TaskPlace } from "./task-handle.ts";
import { DEFAULT_KEEP_MS, TaskRecords } from "./task-records.ts";
import { TaskSignals } from "./task-signals.ts";
import { toJob } from "./task-wire.ts";

/** What a {@link TaskQueue} is made of. */
export interface TaskQueueParts {
  readonly bus: Bus;
  /** Name of the queue: up to 64 letters, digits, `-` and `_`. */
  readonly queue: string;
  readonly tenants: TenantDirectory;
  /**
   * How long results, attempts and logs are kept after their last change, in milliseconds, 60_000 to
   * 31_536_000_000. The same for all who use the queue. @defaultValue 86_400_000, a day
   */
  readonly keepMs?: number | undefined;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** Default: the machine's. */
  readonly random?: Random | undefined;
}

/** The answer to a submit, as far as others than the submitter need it. */
export type Submitted = Pick<TaskHandle, "id" | "duplicate">;

/** Of how many different delays of a bulk the workers are told. */
const MAX_TOLD = 100;
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** Tasks of one tenant. */
interface Group {
  readonly tenant: Tenant;
  readonly own: readonly Outgoing[];
}

/** A task that is about to be enqueued. */
interface Outgoing {
  readonly input: TaskInput;
  readonly job: Job;
  readonly bytes: number;
  /** Of the answer. */
  readonly index: number;
}

/**
 * A queue of tasks of many tenants; a `WorkerPool` runs them. Each tenant has a lane of its own, so that
 * none stands behind another's tasks.
 *
 * *Order*: of one tenant by priority, then in the order of submission; one in twenty is of low priority, if
 * such wait. *Delivery*: as of a `JobQueue`: a submitted task is not lost, and is begun at least once, up
 * to `maxAttempts` times; of its attempts one says how it ended. *Concurrency*: all methods, from any
 * number of processes.
 */
export class TaskQueue implements AsyncDisposable {
  readonly queue: string;
  /** The tasks that failed for good. */
  readonly dead: DeadTasks;
  readonly #bus: Bus;
  readonly #tenants: TenantDirectory;
  readonly #lanes: Lanes;
  readonly #records: TaskRecords;
  readonly #admission: Admission;
  readonly #handleParts: TaskHandleParts;
  readonly #clock: Clock;

  /** @throws BusError `INVALID_ARGUMENT` for the name of the queue; RangeError for `keepMs` */
  constructor(parts: TaskQueueParts) {
    const { bus, queue, tenants, keepMs = DEFAULT_KEEP_MS } = parts;
    const { clock = systemClock, random = systemRandom } = parts;
    checkTaskQueue(queue);
    this.queue = queue;
    this.#bus = bus;
    this.#tenants = tenants;
    this.#clock = clock;
    checkDuration("keepMs", keepMs, 60_000, 31_536_000_000);
    this.#lanes = new Lanes(bus, queue);
    this.#records = new TaskRecords(bus, queue, { clock, random, keepMs });
    const signals = new TaskSignals(bus, queue);
    this.#handleParts = { bus, queue, clock, records: this.#records, signals, lanes: this.#lanes };
    this.#admission = new Admission({
      bus,
      queue,
      clock,
      random,
      stats: ({ storageId }) => bus.jobs.stats(laneQueue(queue, storageId)),
      storedBytes: async ({ storageId }) => {
        const queues = [laneQueue(queue, storageId)];
        return (await bus.storage({ queues })).bytes;
      },
    });
    this.dead = new DeadTasks({
      bus,
      queue,
      lane: async (tenant) => (await tenants.get(tenant)).storageId,
      place: (id) => this.#placeOf(id),
      submit: (input) => this.submit(input),
    });
  }

  /**
   * Adds a task. It is stored when this resolves.
   * @throws BusError `INVALID_ARGUMENT`; `NOT_FOUND` for an unknown tenant; `PERMISSION_DENIED` with
   *   `details.status` for one that is not active; `PAYLOAD_TOO_LARGE`; `LIMIT_EXCEEDED` with
   *   `details.limit` for a quota, see `Admission`; `CONFLICT` if the queue's records are kept for another
   *   time; those of `JobQueue.enqueue`
   */
  async submit(input: TaskInput): Promise<TaskHandle> {
    const own = [toOutgoing(input, 0)];
    const tenant = await this.#activeTenant(input.tenant);
    const [handle] = await this.#submit([{ tenant, own }]);
    return handle as TaskHandle;
  }

  /**
   * Adds tasks, those of each tenant in their order. All are checked before the first is sent, and those of
   * one tenant are admitted together or not at all; those of others may be.
   * @throws BusError as {@link TaskQueue.submit}; as `JobQueue.enqueueMany` if one fails later
   */
  async submitMany(inputs: readonly TaskInput[]): Promise<TaskHandle[]> {
    const byTenant = new Map<string, Outgoing[]>();
    for (const [index, input] of inputs.entries()) {
      const outgoing = toOutgoing(input, index);
      const own = byTenant.get(input.tenant);
      if (own) own.push(outgoing);
      else byTenant.set(input.tenant, [outgoing]);
    }
    const groups = await Promise.all(
      [...byTenant].map(async ([id, own]) => ({ tenant: await this.#activeTenant(id), own })),
    );
    return this.#submit(groups);
  }

  /**
   * A task that was submitted before, here or elsewhere. Whether there is such a task is found when it is
   * asked.
   * @throws BusError `INVALID_ARGUMENT`; `NOT_FOUND` for an unknown tenant
   */
  async task(id: string): Promise<TaskHandle> {
    return this.#handle(await this.#placeOf(id));
  }

  /** Why a task is not running, or what became of it. @throws BusError as {@link TaskQueue.task} */
  async explain(id: string): Promise<TaskExplanation> {
    const place = await this.#placeOf(id);
    return explainTask(this.#handleParts, place, await this.#tenants.get(place.tenant));
  }

  /** Counts of a tenant's tasks. @throws BusError `NOT_FOUND` */
  async stats(tenant: string): Promise<QueueStats> {
    return this.#bus.jobs.stats(await this.#jobs(tenant));
  }

  /** What a tenant uses of its quotas in this queue. @throws BusError `NOT_FOUND` */
  async usage(tenant: string): Promise<TenantUsage> {
    return this.#admission.usage(await this.#tenants.get(tenant));
  }

  /** The worker pools of the queue that answer within a second. */
  async pools(): Promise<PoolReport[]> {
    return askPools(this.#bus, this.queue);
  }

  /** Lets a tenant's tasks wait until {@link TaskQueue.resume}; those that run go on. @throws BusError `NOT_FOUND` */
  async pause(tenant: string): Promise<void> {
    return this.#bus.jobs.pause(await this.#jobs(tenant));
  }

  /** Runs them again. @throws BusError `NOT_FOUND` */
  async resume(tenant: string): Promise<void> {
    await this.#bus.jobs.resume(await this.#jobs(tenant));
    this.#lanes.wake((await this.#tenants.get(tenant)).storageId);
  }

  /** Lets the tasks of all tenants wait until {@link TaskQueue.resumeAll}; those that run go on. */
  async pauseAll(): Promise<void> {
    return this.#lanes.pause();
  }

  /** Runs them again. Tenants that are paused one by one stay so. */
  async resumeAll(): Promise<void> {
    return this.#lanes.resume();
  }

  /** Removes a tenant's tasks, but not the dead ones. @returns how many. @throws BusError `NOT_FOUND` */
  async purge(tenant: string): Promise<number> {
    return this.#bus.jobs.purge(await this.#jobs(tenant));
  }

  /** Removes all that a tenant has in this queue: for `TenantRegistryOptions.cleaners`. */
  async clean(tenant: Tenant): Promise<void> {
    await this.#lanes.remove(tenant.storageId);
    await this.#records.forgetLane(tenant.storageId);
    await this.#admission.clean(tenant);
  }

  /** Name of this as a cleaner. */
  get name(): string {
    return `tasks of ${this.queue}`;
  }

  /** Gives back what was reserved of quotas and not used. Nothing is submitted after it. Idempotent. */
  async close(): Promise<void> {
    await this.#admission.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #submit(groups: readonly Group[]): Promise<TaskHandle[]> {
    for (const { tenant, own } of groups) for (const { bytes } of own) checkSize(tenant, bytes);
    if (groups.some(({ own }) => own.some(({ input }) => input.keepResult !== false))) {
      await this.#records.ensure();
    }
    const handles: TaskHandle[] = [];
    await Promise.all(groups.map((group) => this.#send(group, handles)));
    return handles;
  }

  async #send({ tenant, own }: Group, handles: TaskHandle[]): Promise<void> {
    const later: number[] = [];
    let bytes = 0;
    for (const outgoing of own) {
      bytes += outgoing.bytes;
      const delayMs = this.#delayOf(outgoing.input);
      if (delayMs > 0) later.push(delayMs);
    }
    const wanted = { tasks: own.length, scheduled: later.length, bytes };
    const grant = await this.#admission.admit(tenant, wanted);
    const answers = await this.#enqueue(tenant, own, grant);
    if (own.length > later.length) this.#lanes.wake(tenant.storageId, own.length - later.length);
    const told = [...new Set(later)].sort((a, b) => a - b).slice(0, MAX_TOLD);
    for (const delayMs of told) this.#lanes.wakeLater(tenant.storageId, delayMs);
    for (const [place, { index }] of own.entries()) {
      const { id, duplicate } = answers[place] as EnqueueResult;
      handles[index] = this.#handle(placeOf(tenant, id), duplicate);
    }
  }

  async #enqueue(
    tenant: Tenant,
    own: readonly Outgoing[],
    grant: Grant,
  ): Promise<readonly EnqueueResult[]> {
    const name = tenant.storageId;
    const jobs = own.map(({ job }) => job);
    const queue = laneQueue(this.queue, name);
    try {
      await this.#lanes.ensure({ name, tenant: tenant.id });
      const answers =
        jobs.length === 1 && jobs[0]
          ? [await this.#bus.jobs.enqueue(queue, jobs[0])]
          : await this.#bus.jobs.enqueueMany(queue, jobs);
      grant.done({ tasks: answers.filter(({ duplicate }) => !duplicate).length });
      return answers;
    } catch (error) {
      if (isUnsure(error)) grant.unsure();
      else grant.done({ tasks: madeOf(error) });
      throw error;
    }
  }

  #handle(place: TaskPlace, duplicate = false): TaskHandle {
    return new TaskHandle(this.#handleParts, place, duplicate);
  }

  async #placeOf(id: string): Promise<TaskPlace> {
    const [tenant = "", job = "", ...more] = String(id).split(".");
    if (tenant === "" || job === "" || more.length > 0) {
      const message = `task id is ${JSON.stringify(id)}; it is a tenant's id, a dot and the id of a job`;
      throw new BusError("INVALID_ARGUMENT", message, { details: { field: "id" } });
    }
    return placeOf(await this.#tenants.get(tenant), job);
  }

  async #jobs(tenant: string): Promise<string> {
    return laneQueue(this.queue, (await this.#tenants.get(tenant)).storageId);
  }

  /** After how long a task may be run, in milliseconds. */
  #delayOf({ delayMs = 0, runAtMs }: TaskInput): number {
    return Math.max(0, runAtMs === undefined ? delayMs : runAtMs - this.#clock.now());
  }

  async #activeTenant(id: string): Promise<Tenant> {
    const tenant = this.#tenants.peek(id) ?? (await this.#tenants.get(id));
    checkActive(tenant);
    return tenant;
  }
}

/** @throws BusError `INVALID_ARGUMENT` */
export function checkTaskQueue(queue: string): void {
  checkName("queue", queue);
  if (NAME.test(queue)) return;
  const message = `queue is ${JSON.stringify(queue)}; it has 1 to 64 letters, digits, "-" and "_"`;
  throw new BusError("INVALID_ARGUMENT", message, { details: { field: "queue" } });
}

function toOutgoing(input: TaskInput, index: number): Outgoing {
  const job = toJob(input);
  return { input, job, index, bytes: sizeOf(job) };
}

function placeOf({ id: tenant, storageId: lane }: Tenant, id: string): TaskPlace {
  return { tenant, lane, id };
}

function sizeOf({ payload }: Job): number {
  return typeof payload === "string" ? Buffer.byteLength(payload) : payload.byteLength;
}

function checkSize({ id, quotas }: Tenant, bytes: number): void {
  const maxBytes = quotas.payloadBytes;
  if (maxBytes === null || bytes <= maxBytes) return;
  throw new BusError(
    "PAYLOAD_TOO_LARGE",
    `the payload has ${bytes} bytes, tenant ${id} may send ${maxBytes}`,
    { details: { tenant: id, limit: "payloadBytes", bytes, maxBytes } },
  );
}

/** How many tasks a bulk made that failed in part. */
function madeOf(error: unknown): number {
  const results = isBusError(error) ? error.details["results"] : undefined;
  if (!Array.isArray(results)) return 0;
  return results.filter((result: EnqueueResult | undefined) => result?.duplicate === false).length;
}

/** Whether tasks may have been made all the same, or may still be. */
function isUnsure(error: unknown): boolean {
  const code = errorCode(error);
  return code === "TIMEOUT" || code === "DISCONNECTED" || code === "CLOSED" || code === undefined;
}
