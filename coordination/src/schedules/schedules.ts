import {
  type Bus,
  BusError,
  type Clock,
  type Random,
  systemClock,
  systemRandom,
  type TypedBucket,
  typedBus,
} from "@busbar/core";
import { resolveLimit } from "@busbar/core/adapter";
import { changeEntry } from "../change-entry.ts";
import type { TaskQueue } from "../tasks/task-queue.ts";
import type { Tenant } from "../tenants/tenant.ts";
import type { TenantDirectory } from "../tenants/tenant-directory.ts";
import { checkActive } from "../tenants/tenant-errors.ts";
import type { Schedule, ScheduleInput, ScheduleName } from "./schedule.ts";
import { idOf, scheduleKey } from "./schedule-key.ts";
import { ScheduleQuota } from "./schedule-quota.ts";
import {
  newRecord,
  redefined,
  scheduleBucket,
  type ScheduleRecord,
  toDefinition,
  toSchedule,
} from "./schedule-record.ts";
import type { TickOutcome } from "./tick.ts";
import { Ticker } from "./ticker.ts";

/** What {@link Schedules} is made of. */
export interface SchedulesParts {
  readonly bus: Bus;
  /** Where ticks are submitted. */
  readonly queue: TaskQueue;
  readonly tenants: TenantDirectory;
  /** Told of every tick that this process submitted, or could not. What it throws is an uncaught error. */
  readonly onTick?: ((outcome: TickOutcome) => void) | undefined;
  /** Tells when ticks are due. Default: the machine's. */
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/** Options of {@link Schedules.list}. */
export interface ListSchedulesOptions {
  readonly tenant: string;
  /** The `next` of the page before. */
  readonly after?: string | undefined;
  /** Most schedules of this page, 1 to 1_000. @defaultValue 100 */
  readonly limit?: number | undefined;
}

/** A page of schedules, by id in code point order. */
export interface SchedulePage {
  readonly schedules: readonly Schedule[];
  /** Where the next page begins; `undefined` if this was the last one. */
  readonly next: string | undefined;
}

/** Who decides who ticks: a `LeaderElection`. */
export interface TickLeader {
  whileLeader(
    work: (leadership: { readonly lost: AbortSignal }) => Promise<void>,
    options: { readonly signal: AbortSignal },
  ): Promise<void>;
}

/** Options of {@link Schedules.run}. */
export interface RunSchedulesOptions {
  /** Ends it. */
  readonly signal: AbortSignal;
  /**
   * Lets one of many processes tick. Without one each process that runs ticks: no tick is doubled for
   * that, but all of them do the work.
   */
  readonly leader?: TickLeader | undefined;
}

/**
 * Recurring tasks of a queue, in the bucket `schedules`. Whoever calls {@link Schedules.run} submits them.
 *
 * *Delivery*: each tick is submitted once, also when processes die, stand still or are cut off, and when
 * another one takes over, as long as that happens within half of the dedup window of the bus (see
 * `Capabilities.dedupWindowMs`; a minute by default). If a process died between submitting a tick and
 * writing that down, and nobody took over in that time, it cannot be known any more: that one tick is
 * submitted once more, and with `catchUp: "none"` left out. The same holds if the server was killed meanwhile
 * and forgot its dedup keys (`Capabilities.dedupDurability`).
 *
 * Ticks that are late fall under {@link CatchUp}: after a time without anybody who ticks, after one in which
 * the tenant was not active, and where ticks come faster than they can be submitted. Ticks of a pause are left
 * out. A task that is refused for now (a quota, say) is tried again; one that is refused for good is left out,
 * and `lastRefusal` says why.
 *
 * *Concurrency*: all methods, from any number of processes.
 */
export class Schedules {
  readonly #parts: SchedulesParts;
  readonly #bucket: TypedBucket<(typeof scheduleBucket)["schema"]>;
  readonly #quota: ScheduleQuota;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(parts: SchedulesParts) {
    const { bus, clock = systemClock, random = systemRandom } = parts;
    this.#parts = parts;
    this.#bucket = typedBus(bus).bucket(scheduleBucket);
    this.#quota = new ScheduleQuota(bus, clock, random);
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * Makes a schedule, or changes the one that is there. Its ticks begin after now. With the same times it
   * goes on as it was, and missed ticks are caught up with, so that a program may put what it needs each
   * time it starts; with other times it starts anew. A paused one stays paused.
   * @throws BusError `INVALID_ARGUMENT`; `NOT_FOUND` for an unknown tenant; `PERMISSION_DENIED` for one that is
   *   not active; `LIMIT_EXCEEDED` beyond its quota `scheduled`; TypeError or RangeError for a wrong task
   */
  async put(input: ScheduleInput): Promise<Schedule> {
    const definition = toDefinition(input);
    const { tenant, key } = await this.#place(input);
    checkActive(tenant);
    const isNew = (await this.#bucket.get(key)) === undefined;
    if (isNew) await this.#quota.promise(tenant, key);
    const nowMs = Math.floor(this.#clock.now());
    return this.#change(key, input, (current) => {
      if (current) return redefined(current, definition, nowMs);
      if (isNew) return newRecord(definition, tenant.id, nowMs);
      throw new BusError("CONFLICT", `schedule ${input.id} was deleted meanwhile`);
    });
  }

  /** The schedule, or `undefined` if there is none. @throws BusError `INVALID_ARGUMENT`, `NOT_FOUND` for an unknown tenant */
  async get(name: ScheduleName): Promise<Schedule | undefined> {
    const { key } = await this.#place(name);
    const entry = await this.#bucket.get(key);
    return entry && toSchedule(entry);
  }

  /**
   * One page of a tenant's schedules in this queue.
   * @throws BusError as {@link Schedules.get}; RangeError for a wrong limit
   */
  async list({ tenant: id, after, limit }: ListSchedulesOptions): Promise<SchedulePage> {
    const tenant = await this.#parts.tenants.get(id);
    const { queue } = this.#parts.queue;
    const page = await this.#bucket.keys({
      key: `${queue}.${tenant.storageId}.*`,
      limit: resolveLimit(limit, 100, 1_000),
      ...(after !== undefined && { after: scheduleKey(queue, tenant, after) }),
    });
    const entries = await Promise.all(page.keys.map((key) => this.#bucket.get(key)));
    return {
      schedules: entries.filter((entry) => entry !== undefined).map(toSchedule),
      next: page.next === undefined ? undefined : idOf(page.next),
    };
  }

  /**
   * Removes a schedule. A tick that is being submitted at this moment may still come.
   * @returns false if there was none. @throws BusError as {@link Schedules.get}
   */
  async delete(name: ScheduleName): Promise<boolean> {
    const { tenant, key } = await this.#place(name);
    if ((await this.#bucket.get(key)) === undefined) return false;
    await this.#bucket.delete(key);
    await this.#quota.free(tenant, key);
    return true;
  }

  /**
   * Stops it until {@link Schedules.resume}. A tick that is being submitted at this moment may still come.
   * @throws BusError `NOT_FOUND`, `INVALID_ARGUMENT`
   */
  async pause(name: ScheduleName): Promise<Schedule> {
    return this.#setPaused(name, true);
  }

  /** Lets it tick from now on. @throws BusError as {@link Schedules.pause} */
  async resume(name: ScheduleName): Promise<Schedule> {
    return this.#setPaused(name, false);
  }

  /**
   * Submits what falls due, until the signal aborts.
   * @throws BusError if the schedules cannot be read
   */
  async run({ signal, leader }: RunSchedulesOptions): Promise<void> {
    const { queue, tenants, bus, onTick } = this.#parts;
    const { dedupWindowMs } = bus.capabilities;
    const bucket = this.#bucket;
    const time = { clock: this.#clock, random: this.#random };
    const parts = { queue, bucket, tenants, ...time, dedupWindowMs, onTick };
    const work = (lost: AbortSignal): Promise<void> => new Ticker(parts).run(lost);
    if (leader === undefined) return work(signal);
    return leader.whileLeader(({ lost }) => work(lost), { signal });
  }

  /** Removes all schedules that a tenant has in this queue: for `TenantRegistryOptions.cleaners`. */
  async clean(tenant: Tenant): Promise<void> {
    const keys = await this.#quota.keys(`${this.#parts.queue.queue}.${tenant.storageId}.*`);
    for (const key of keys) await this.#bucket.delete(key);
    await this.#quota.clean(tenant);
  }

  /** Name of this as a cleaner. */
  get name(): string {
    return `schedules of ${this.#parts.queue.queue}`;
  }

  async #setPaused(name: ScheduleName, paused: boolean): Promise<Schedule> {
    const { key } = await this.#place(name);
    const nowMs = Math.floor(this.#clock.now());
    return this.#change(key, name, (current) => {
      if (current === undefined || current.paused === paused) return undefined;
      const updatedAtMs = Math.max(nowMs, current.updatedAtMs);
      if (paused) return { ...current, paused, updatedAtMs };
      return { ...current, paused, updatedAtMs, doneMs: Math.max(nowMs, current.doneMs) };
    });
  }

  async #change(
    key: string,
    { tenant, id }: ScheduleName,
    change: (current: ScheduleRecord | undefined) => ScheduleRecord | undefined,
  ): Promise<Schedule> {
    const time = { clock: this.#clock, random: this.#random };
    const entry = await changeEntry(this.#bucket, key, (found) => change(found?.value), time);
    if (entry !== undefined) return toSchedule(entry);
    throw new BusError("NOT_FOUND", `tenant ${tenant} has no schedule ${id}`, {
      details: { tenant, id },
    });
  }

  async #place({ tenant: id, ...name }: ScheduleName) {
    const tenant = await this.#parts.tenants.get(id);
    return { tenant, key: scheduleKey(this.#parts.queue.queue, tenant, name.id) };
  }
}
