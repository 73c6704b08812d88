import type { TaskInput } from "../tasks/task.ts";

/** Which schedule: ids are unique within a tenant and a queue. */
export interface ScheduleName {
  readonly tenant: string;
  /** 1 to 64 letters, digits, `-` and `_`; the first is a letter or digit. */
  readonly id: string;
}

/**
 * When a schedule ticks.
 *
 * `cron` has five fields (minute, hour, day of month, month, day of week) or six, with seconds first;
 * also `@daily` and the like. With lists, ranges, steps, names of days and months, `L`, `W` and `#`. If
 * both days are given, one of them must fit. Times without `*` and steps, such as `30 2 * * *`, come once
 * on each day also where a time zone changes its clock: a time that is left out comes when the clock has
 * jumped, one that comes twice is taken the first time. Others, such as every quarter of an hour, follow the clock.
 *
 * `everyMs` ticks at `startAtMs` and each multiple after it.
 */
export type ScheduleTimes =
  | {
      readonly cron: string;
      /** A name of the IANA database, such as `Europe/Berlin`. @defaultValue "UTC" */
      readonly timeZone?: string | undefined;
    }
  | {
      /** 1_000 to 31_536_000_000, a year. */
      readonly everyMs: number;
      /** Milliseconds since the Unix epoch. Default: when it is put, so that the first tick is one interval later. */
      readonly startAtMs?: number | undefined;
    };

/**
 * What becomes of ticks that nobody submitted when they were due.
 *
 * `none`: the newest one is made up for if it is no older than `graceMs`, the others are left out.
 * `last`: the newest one, however old. `all`: each of them, oldest first, but of more than 100 the newest
 * 100.
 */
export type CatchUp = "none" | "last" | "all";

/** What a tick submits. */
export type ScheduledTask = Pick<
  TaskInput,
  | "type"
  | "payload"
  | "headers"
  | "priority"
  | "maxAttempts"
  | "timeoutMs"
  | "backoff"
  | "keepResult"
>;

/** A schedule to put. */
export interface ScheduleInput extends ScheduleName {
  readonly times: ScheduleTimes;
  readonly task: ScheduledTask;
  /** @defaultValue "last" */
  readonly catchUp?: CatchUp | undefined;
  /** See {@link CatchUp}: 0 to 86_400_000. @defaultValue 60_000 */
  readonly graceMs?: number | undefined;
  /** The last time at which it may tick, in milliseconds since the Unix epoch. Default: for ever. */
  readonly untilMs?: number | undefined;
  /** How often it ticks at most, 1 to 1_000_000_000. Default: without end. */
  readonly maxTicks?: number | undefined;
}

/** A recurring task. */
export interface Schedule extends ScheduleName {
  readonly times: ScheduleTimes;
  /** The payload is always bytes here. */
  readonly task: ScheduledTask;
  readonly catchUp: CatchUp;
  readonly graceMs: number;
  readonly untilMs: number | undefined;
  readonly maxTicks: number | undefined;
  readonly paused: boolean;
  /** How many ticks were submitted since its times were set. */
  readonly ticks: number;
  readonly lastTickAtMs: number | undefined;
  /** `undefined` if it is paused or has ended. In the past if that tick is late. */
  readonly nextTickAtMs: number | undefined;
  /** The last tick that was given up because its task was refused for good. */
  readonly lastRefusal: TickRefusal | undefined;
  readonly createdAtMs: number;
  /** When it was put, paused or resumed last. */
  readonly updatedAtMs: number;
  /** Grows with every change, also with every tick. */
  readonly revision: number;
}

/** Why a tick was given up. */
export interface TickRefusal {
  readonly tickAtMs: number;
  readonly message: string;
}
