import type { TenantQuotas } from "../tenants/tenant.ts";
import {
  type TaskAmount,
  COUNTS,
  type LevelName,
  minus,
  plus,
  type QuotaName,
  QUOTAS,
  type Refusal,
} from "./quota.ts";
import { DAY_MS, held, recordAt, TOKEN, type UsageRecord } from "./usage-record.ts";

/** What is counted elsewhere; what was not asked for is absent. */
export type Levels = Readonly<Partial<Record<LevelName, number>>>;

/** What a {@link Reckoning} is made of. */
export interface ReckoningParts {
  readonly record: UsageRecord | undefined;
  readonly quotas: TenantQuotas;
  readonly levels: Levels;
  readonly nowMs: number;
  /** What this process holds and `levels` may not show yet. */
  readonly own: TaskAmount;
  /** What the others hold. */
  readonly others: UsageRecord["holders"];
}

/** What there is to take from at one moment, while a process works out what it writes. */
export class Reckoning {
  readonly day: number;
  readonly #parts: ReckoningParts;
  #dayTasks: number;
  #tokenParts: number | undefined;
  readonly #minuteAtMs: number;
  #own: TaskAmount;

  constructor(parts: ReckoningParts) {
    const { record, quotas, nowMs, own } = parts;
    const { day, dayTasks, minute } = recordAt(record, quotas.perMinute, nowMs);
    this.day = day;
    this.#parts = parts;
    this.#dayTasks = dayTasks;
    this.#tokenParts = minute?.parts;
    this.#minuteAtMs = minute?.atMs ?? nowMs;
    this.#own = own;
  }

  /** Gives back what was taken on `day` and not used. */
  giveBack(spare: TaskAmount, day: number): void {
    this.#own = minus(this.#own, spare);
    if (day === this.day) this.#dayTasks = Math.max(0, this.#dayTasks - spare.tasks);
    if (this.#tokenParts === undefined) return;
    const capacity = (this.#parts.quotas.perMinute ?? 0) * TOKEN;
    this.#tokenParts = Math.min(capacity, this.#tokenParts + spare.tasks * TOKEN);
  }

  take(amount: TaskAmount): void {
    this.#own = plus(this.#own, amount);
    this.#dayTasks += amount.tasks;
    if (this.#tokenParts !== undefined) this.#tokenParts -= amount.tasks * TOKEN;
  }

  /** How much of a quota is used; `undefined` if nobody asked. */
  used(quota: QuotaName): number | undefined {
    if (quota === "perDay") return this.#dayTasks;
    if (quota === "perMinute") {
      const tokens = Math.floor((this.#tokenParts ?? 0) / TOKEN);
      return Math.max(0, (this.#parts.quotas.perMinute ?? 0) - tokens);
    }
    const level = this.#parts.levels[quota];
    if (level === undefined) return undefined;
    return level + this.#own[COUNTS[quota]] + this.#ofOthers(quota);
  }

  /** Why so much may not be taken, if so. */
  refusal(wanted: TaskAmount): Refusal | undefined {
    const { nowMs } = this.#parts;
    for (const limit of QUOTAS) {
      const allowed = this.#parts.quotas[limit];
      const more = wanted[COUNTS[limit]];
      if (allowed === null || more === 0) continue;
      const used = this.used(limit) ?? Number.POSITIVE_INFINITY;
      if (used + more <= allowed) continue;
      const retryAfterMs = more > allowed ? undefined : this.#waitMs(limit, more);
      return { limit, used, allowed, wanted: more, retryAfterMs, nowMs };
    }
    return undefined;
  }

  /** Whether others have taken so much that there is enough once they give it back or have used it. */
  isUpToOthers({ limit, used, wanted, allowed }: Refusal): boolean {
    const ofOthers = this.#ofOthers(limit);
    return ofOthers > 0 && used - ofOthers + wanted <= allowed;
  }

  /** How much of a unit may still be taken. */
  room(unit: keyof TaskAmount): number {
    let room = Number.POSITIVE_INFINITY;
    for (const limit of QUOTAS) {
      const allowed = this.#parts.quotas[limit];
      if (COUNTS[limit] !== unit || allowed === null) continue;
      room = Math.min(room, allowed - (this.used(limit) ?? allowed));
    }
    return Number.isFinite(room) ? Math.max(0, room) : 0;
  }

  /** What this process holds then. */
  get own(): TaskAmount {
    return this.#own;
  }

  /** The record to write. */
  toRecord(holder: string, stamp: number): UsageRecord {
    const { others } = this.#parts;
    const own = this.#own;
    const isHolder = own.tasks + own.scheduled + own.bytes > 0;
    return {
      day: this.day,
      dayTasks: this.#dayTasks,
      ...(this.#tokenParts !== undefined && {
        minute: { parts: this.#tokenParts, atMs: this.#minuteAtMs },
      }),
      holders: isHolder ? { ...others, [holder]: { stamp, ...own } } : others,
    };
  }

  #ofOthers(quota: QuotaName): number {
    return held(this.#parts.others, COUNTS[quota]);
  }

  #waitMs(limit: QuotaName, wanted: number): number | undefined {
    const { nowMs, quotas } = this.#parts;
    if (limit === "perDay") return (this.day + 1) * DAY_MS - nowMs;
    if (limit !== "perMinute") return undefined;
    return Math.ceil((wanted * TOKEN - (this.#tokenParts ?? 0)) / (quotas.perMinute ?? 1));
  }
}
