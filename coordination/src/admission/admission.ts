import {
  type Bus,
  type Clock,
  newId,
  type QueueStats,
  type Random,
  systemClock,
  systemRandom,
  typedBus,
} from "@busbar/core";
import { checkInteger, closedError } from "@busbar/core/adapter";
import type { Tenant, TenantQuotas } from "../tenants/tenant.ts";
import { Budget, type BudgetParts } from "./budget.ts";
import { type TaskAmount, isNothing, limitedPart, NOTHING, type TenantUsage } from "./quota.ts";
import { type Levels, Reckoning } from "./reckoning.ts";
import { usageBucket } from "./usage-record.ts";

/** What an {@link Admission} is made of. */
export interface AdmissionParts {
  readonly bus: Bus;
  /** Name of the queue. Each queue counts for itself. */
  readonly queue: string;
  /** Counts of a tenant's tasks in the queue: all that were enqueued before it is called are in them. */
  readonly stats: (tenant: Tenant) => Promise<QueueStats>;
  /** How many bytes of a tenant are stored: all that were stored before it is called are in them. */
  readonly storedBytes: (tenant: Tenant) => Promise<number>;
  /** Tells days and minutes. Default: the machine's clock. */
  readonly clock?: Clock | undefined;
  /** Default: the machine's randomness. */
  readonly random?: Random | undefined;
}

/** A submission that was admitted. */
export interface Grant {
  /**
   * Tells that it is over, whatever came of it. `used.tasks`, default all, are the tasks that were
   * made; the others, such as duplicates, are not counted. Idempotent.
   */
  done(used?: { readonly tasks: number }): void;
  /**
   * Instead of `done`, where it is not known whether the tasks were made, and they may still be: all
   * count as used, and for 15 s more as waiting and stored.
   */
  unsure(): void;
}

const UNLIMITED: Grant = { done: () => undefined, unsure: () => undefined };
const ADMITTED = Promise.resolve(UNLIMITED);
const MAX_IDLE = 10_000;

/**
 * Holds submissions to the quotas of their tenant: tasks in a minute and in a UTC day, tasks that wait,
 * tasks that wait for their time, stored bytes.
 *
 * Each tenant has one record, from which processes reserve by compare-and-set what they need; one that
 * submits steadily reserves for the next second, up to an eighth of what is left, and gives back after
 * 200 ms what it does not use. So no limit is ever exceeded, and few submissions cost a write. One that
 * fails only for what others have reserved waits for it up to half a second.
 *
 * What a process that died had reserved counts as used in its day, and is otherwise free 30 s after
 * others noticed it. *Concurrency*: any number of processes.
 */
export class Admission implements AsyncDisposable {
  readonly #parts: AdmissionParts;
  readonly #budgetParts: BudgetParts;
  readonly #clock: Clock;
  /** By storage id. */
  readonly #budgets = new Map<string, Budget>();
  #closing: Promise<void> | undefined;

  constructor(parts: AdmissionParts) {
    const { bus, clock = systemClock, random = systemRandom } = parts;
    this.#parts = parts;
    this.#clock = clock;
    this.#budgetParts = {
      holder: newId(random, 12),
      bucket: typedBus(bus).bucket(usageBucket),
      clock,
      random,
      levels: (tenant, wanted) => this.#levels(tenant, wanted),
    };
  }

  /**
   * Admits a submission as a whole or not at all. Where the tenant has no quota nothing is asked.
   * @throws BusError `LIMIT_EXCEEDED` with `details` `{ tenant, limit, used, allowed }` and, where time
   *   helps, `retryAfterMs` and `retryAtMs`; `CLOSED`; those of `KvStore`: after `TIMEOUT` some of the
   *   day's tasks may count as used
   */
  admit(tenant: Tenant, wanted: TaskAmount): Promise<Grant> {
    const limited = limitedPart(tenant.quotas, wanted);
    if (isNothing(limited)) return ADMITTED;
    return this.#take(tenant, wanted, limited);
  }

  /** What a tenant uses of its quotas. What other processes have reserved counts in the rates. */
  async usage(tenant: Tenant): Promise<TenantUsage> {
    const { quotas } = tenant;
    const [entry, stats, storedBytes] = await Promise.all([
      this.#budgetParts.bucket.get(this.#key(tenant)),
      this.#parts.stats(tenant),
      this.#parts.storedBytes(tenant),
    ]);
    const reckoning = new Reckoning({
      record: entry?.value,
      quotas,
      levels: {},
      nowMs: Math.floor(this.#clock.now()),
      own: NOTHING,
      others: {},
    });
    const budget = this.#budgets.get(tenant.storageId);
    if (budget !== undefined) reckoning.giveBack(budget.spare, budget.day);
    return {
      running: { used: stats.leased, allowed: quotas.running },
      perMinute: { used: reckoning.used("perMinute") ?? 0, allowed: quotas.perMinute },
      perDay: { used: reckoning.used("perDay") ?? 0, allowed: quotas.perDay },
      queued: { used: stats.ready + stats.delayed, allowed: quotas.queued },
      scheduled: { used: stats.delayed, allowed: quotas.scheduled },
      storedBytes: { used: storedBytes, allowed: quotas.storedBytes },
    };
  }

  /** Removes what is known of a tenant: for a `TenantCleaner`. */
  async clean(tenant: Tenant): Promise<void> {
    await this.#budgetParts.bucket.delete(this.#key(tenant));
  }

  /** Gives back what is not used. Submissions that wait fail with `CLOSED`. Idempotent. */
  async close(): Promise<void> {
    this.#closing ??= Promise.all([...this.#budgets.values()].map((budget) => budget.close())).then(
      () => undefined,
    );
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #take(tenant: Tenant, wanted: TaskAmount, limited: TaskAmount): Promise<Grant> {
    if (this.#closing !== undefined) throw closedError("the admission");
    checkAmount(wanted);
    const budget = this.#budget(tenant);
    const epoch = await budget.take(tenant, limited);
    let isOver = false;
    const end = (how: () => void): void => {
      if (!isOver) how();
      isOver = true;
    };
    return {
      done: ({ tasks } = wanted) => {
        checkInteger("used.tasks", tasks, 0, wanted.tasks);
        // Which of the tasks were not made is not known: what is stored tells soon.
        const unused = tasks === 0 ? wanted : { ...NOTHING, tasks: wanted.tasks - tasks };
        end(() => budget.done(limited, limitedPart(tenant.quotas, unused), epoch));
      },
      unsure: () => end(() => budget.doneLater(limited)),
    };
  }

  #budget(tenant: Tenant): Budget {
    const known = this.#budgets.get(tenant.storageId);
    if (known !== undefined) return known;
    if (this.#budgets.size >= MAX_IDLE) this.#forgetIdle();
    const budget = new Budget(tenant, this.#key(tenant), this.#budgetParts);
    this.#budgets.set(tenant.storageId, budget);
    return budget;
  }

  #forgetIdle(): void {
    for (const [id, budget] of this.#budgets) if (budget.isIdle) this.#budgets.delete(id);
  }

  async #levels(tenant: Tenant, wanted: TaskAmount): Promise<Levels> {
    const { queued, scheduled }: TenantQuotas = tenant.quotas;
    const needsStats =
      (queued !== null && wanted.tasks > 0) || (scheduled !== null && wanted.scheduled > 0);
    const [stats, storedBytes] = await Promise.all([
      needsStats ? this.#parts.stats(tenant) : undefined,
      wanted.bytes > 0 ? this.#parts.storedBytes(tenant) : undefined,
    ]);
    return {
      ...(stats && { queued: stats.ready + stats.delayed, scheduled: stats.delayed }),
      ...(storedBytes !== undefined && { storedBytes }),
    };
  }

  #key({ storageId }: Tenant): string {
    return `${this.#parts.queue}.${storageId}`;
  }
}

function checkAmount({ tasks, scheduled, bytes }: TaskAmount): void {
  checkInteger("wanted.tasks", tasks, 0, Number.MAX_SAFE_INTEGER);
  checkInteger("wanted.scheduled", scheduled, 0, Number.MAX_SAFE_INTEGER);
  checkInteger("wanted.bytes", bytes, 0, Number.MAX_SAFE_INTEGER);
}
