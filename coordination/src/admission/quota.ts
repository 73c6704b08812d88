import { BusError } from "@busbar/core";
import type { Tenant, TenantQuotas } from "../tenants/tenant.ts";

/** What a submission asks for. */
export interface TaskAmount {
  /** How many tasks. */
  readonly tasks: number;
  /** How many of them wait for their time. */
  readonly scheduled: number;
  /** How many bytes they add to what is stored. */
  readonly bytes: number;
}

/** The quotas that a submission is measured by. */
export type QuotaName = "perMinute" | "perDay" | "queued" | "scheduled" | "storedBytes";

/** Those of them that are counted elsewhere: what waits and what is stored. */
export type LevelName = Exclude<QuotaName, "perMinute" | "perDay">;

/** How much of a quota is used; `allowed` is `null` where it is unlimited. */
export interface QuotaUsage {
  readonly used: number;
  readonly allowed: number | null;
}

/** What a tenant uses of its quotas. */
export type TenantUsage = Readonly<Record<QuotaName | "running", QuotaUsage>>;

/** What each quota counts, in the order in which they are checked. */
export const COUNTS: Readonly<Record<QuotaName, keyof TaskAmount>> = {
  perMinute: "tasks",
  perDay: "tasks",
  queued: "tasks",
  scheduled: "scheduled",
  storedBytes: "bytes",
};

export const QUOTAS: readonly QuotaName[] = Object.keys(COUNTS) as QuotaName[];

const WORDS: Readonly<Record<QuotaName, string>> = {
  perMinute: "tasks a minute",
  perDay: "tasks a day",
  queued: "waiting tasks",
  scheduled: "tasks that wait for their time",
  storedBytes: "stored bytes",
};

export const NOTHING: TaskAmount = Object.freeze({ tasks: 0, scheduled: 0, bytes: 0 });

/** The part of an amount that some quota counts. */
export function limitedPart(
  quotas: TenantQuotas,
  { tasks, scheduled, bytes }: TaskAmount,
): TaskAmount {
  const { perMinute, perDay, queued } = quotas;
  return {
    tasks: perMinute === null && perDay === null && queued === null ? 0 : tasks,
    scheduled: quotas.scheduled === null ? 0 : scheduled,
    bytes: quotas.storedBytes === null ? 0 : bytes,
  };
}

export function isNothing({ tasks, scheduled, bytes }: TaskAmount): boolean {
  return tasks === 0 && scheduled === 0 && bytes === 0;
}

export function plus(a: TaskAmount, b: TaskAmount): TaskAmount {
  return combine((unit) => a[unit] + b[unit]);
}

export function minus(a: TaskAmount, b: TaskAmount): TaskAmount {
  return combine((unit) => a[unit] - b[unit]);
}

export function sum(amounts: readonly TaskAmount[]): TaskAmount {
  return amounts.reduce(plus, NOTHING);
}

export function combine(of: (unit: keyof TaskAmount) => number): TaskAmount {
  return { tasks: of("tasks"), scheduled: of("scheduled"), bytes: of("bytes") };
}

/** Facts of a refusal. */
export interface Refusal {
  readonly limit: QuotaName;
  readonly used: number;
  readonly allowed: number;
  readonly wanted: number;
  /** When it is worth another try; `undefined` where no time tells. */
  readonly retryAfterMs: number | undefined;
  readonly nowMs: number;
}

/** `LIMIT_EXCEEDED` of a quota. */
export function quotaError({ id }: Tenant, refusal: Refusal): BusError {
  const { limit, used, allowed, wanted, retryAfterMs, nowMs } = refusal;
  const facts = `${used} of ${allowed} ${WORDS[limit]} are used, ${wanted} more were asked for`;
  const hint = retryAfterMs === undefined ? "" : `; try again in ${retryAfterMs} ms`;
  return new BusError("LIMIT_EXCEEDED", `quota ${limit} of tenant ${id}: ${facts}${hint}`, {
    details: {
      tenant: id,
      limit,
      used,
      allowed,
      ...(retryAfterMs !== undefined && { retryAfterMs, retryAtMs: nowMs + retryAfterMs }),
    },
  });
}
