import type { TaskOutcome } from "./running-task.ts";

/** Counts since the pool was made. */
export interface PoolCounters {
  /** Attempts that were begun, and how those that have ended did. */
  readonly started: number;
  readonly done: number;
  readonly retried: number;
  readonly dead: number;
  readonly cancelled: number;
  readonly returned: number;
  readonly lost: number;
  /** Claims that were made, and that failed. */
  readonly claims: number;
  readonly failedClaims: number;
  /** Tasks that were given back because as many of their type ran as may. */
  readonly deferred: number;
}

export type Writable<T> = { -readonly [Name in keyof T]: T[Name] };

/** Which counter an outcome counts in. */
export const COUNTER: Readonly<Record<TaskOutcome["type"], keyof PoolCounters>> = {
  done: "done",
  retry: "retried",
  dead: "dead",
  cancelled: "cancelled",
  returned: "returned",
  lost: "lost",
};
/** Nothing has happened. */
export const NO_COUNTS: PoolCounters = {
  started: 0,
  done: 0,
  retried: 0,
  dead: 0,
  cancelled: 0,
  returned: 0,
  lost: 0,
  claims: 0,
  failedClaims: 0,
  deferred: 0,
};
