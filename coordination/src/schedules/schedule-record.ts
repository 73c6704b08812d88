import { isDeepStrictEqual } from "node:util";
import { type BucketDefinition, defineBucket, type TypedEntry } from "@busbar/core";
import { invalidPayload, schemaIssues } from "@busbar/core/adapter";
import { z } from "zod";
import { toJob } from "../tasks/task-wire.ts";
import type {
  CatchUp,
  Schedule,
  ScheduledTask,
  ScheduleInput,
  ScheduleTimes,
  TickRefusal,
} from "./schedule.ts";
import { idOf } from "./schedule-key.ts";
import { type Times, toTimes } from "./times.ts";

/** What a schedule is, as it was put. */
export interface ScheduleDefinition {
  readonly times: ScheduleTimes;
  /** The payload in base64. */
  readonly task: Omit<ScheduledTask, "payload"> & { readonly payload: string };
  readonly catchUp: CatchUp;
  readonly graceMs: number;
  readonly untilMs?: number | undefined;
  readonly maxTicks?: number | undefined;
}

/** A schedule as it is stored. */
export interface ScheduleRecord extends ScheduleDefinition {
  /** Of the layout of the record. */
  readonly version: 1;
  readonly tenant: string;
  readonly paused: boolean;
  /** When its times were set. */
  readonly startMs: number;
  /** All ticks up to here are dealt with. */
  readonly doneMs: number;
  /** The tick that is being submitted, and since when, if it was found so: by the server's clock. */
  readonly pending?: { readonly atMs: number; readonly sinceMs?: number | undefined } | undefined;
  readonly ticks: number;
  readonly lastTickAtMs?: number | undefined;
  readonly lastRefusal?: TickRefusal | undefined;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** A record with its place. */
export type ScheduleEntry = Pick<TypedEntry<ScheduleRecord>, "key" | "value" | "revision">;

/** Most ticks that are made up for. */
const MAX_CATCH_UP = 100;
const DAY_MS = 86_400_000;

const instant = z.int().min(0).max(8_640_000_000_000_000);
const definitionFields = {
  times: z.union([
    z.strictObject({ cron: z.string().max(256), timeZone: z.string().max(64).optional() }),
    z.strictObject({
      everyMs: z
        .int()
        .min(1_000)
        .max(365 * DAY_MS),
      startAtMs: instant.optional(),
    }),
  ]),
  catchUp: z.enum(["none", "last", "all"]),
  graceMs: z.int().min(0).max(DAY_MS),
  untilMs: instant.optional(),
  maxTicks: z.int().min(1).max(1_000_000_000).optional(),
};
const task = z.strictObject({
  type: z.string(),
  payload: z.base64(),
  headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])).optional(),
  priority: z.enum(["low", "normal", "high"]).optional(),
  maxAttempts: z.number().optional(),
  timeoutMs: z.number().optional(),
  backoff: z
    .object({ firstMs: z.number(), factor: z.number(), maxMs: z.number(), jitter: z.number() })
    .partial()
    .optional(),
  keepResult: z.boolean().optional(),
});
const definition: z.ZodType<ScheduleDefinition, unknown> = z.strictObject({
  ...definitionFields,
  task,
  catchUp: definitionFields.catchUp.default("last"),
  graceMs: definitionFields.graceMs.default(60_000),
});
const record: z.ZodType<ScheduleRecord, unknown> = z.strictObject({
  ...definitionFields,
  task,
  version: z.literal(1),
  tenant: z.string(),
  paused: z.boolean(),
  startMs: instant,
  doneMs: instant,
  pending: z.strictObject({ atMs: instant, sinceMs: instant.optional() }).optional(),
  ticks: z.int().min(0),
  lastTickAtMs: instant.optional(),
  lastRefusal: z.strictObject({ tickAtMs: instant, message: z.string() }).optional(),
  createdAtMs: instant,
  updatedAtMs: instant,
});

/** Where the schedules of a namespace are. */
export const scheduleBucket: BucketDefinition<z.ZodType<ScheduleRecord, unknown>> = defineBucket({
  bucket: "schedules",
  schema: record,
});

/** What was given, checked, with the defaults. @throws BusError `INVALID_ARGUMENT`; as `TaskQueue.submit` */
export function toDefinition(input: ScheduleInput): ScheduleDefinition {
  const { tenant, id: _, ...given } = input;
  // What a submit would refuse at once is refused here.
  toJob({ ...given.task, tenant });
  const payload = Buffer.from(given.task.payload ?? "").toString("base64");
  const { data, error } = definition.safeParse({ ...given, task: { ...given.task, payload } });
  if (error) throw invalidPayload("the schedule", schemaIssues(error.issues));
  const checked = defined(data as ScheduleDefinition);
  toTimes(checked.times, 0);
  return checked;
}

/** The record of a new schedule. */
export function newRecord(
  definition: ScheduleDefinition,
  tenant: string,
  nowMs: number,
): ScheduleRecord {
  const state = { startMs: nowMs, doneMs: nowMs, ticks: 0, createdAtMs: nowMs, updatedAtMs: nowMs };
  return { version: 1, tenant, paused: false, ...definition, ...state };
}

/** What becomes of a record when it is put again; `undefined` if nothing. */
export function redefined(
  current: ScheduleRecord,
  definition: ScheduleDefinition,
  nowMs: number,
): ScheduleRecord | undefined {
  const { times, task, catchUp, graceMs, untilMs, maxTicks } = definition;
  const next = { ...current, times, task, catchUp, graceMs, untilMs, maxTicks };
  if (isDeepStrictEqual(defined(next), defined(current))) return undefined;
  const updatedAtMs = Math.max(nowMs, current.updatedAtMs);
  if (isDeepStrictEqual(times, current.times)) return { ...next, updatedAtMs };
  // With other times it starts anew; a tick that is being submitted is brought to its end.
  const doneMs = Math.max(nowMs, current.doneMs);
  return { ...next, startMs: nowMs, doneMs, ticks: 0, updatedAtMs };
}

/** The ticks of a record. */
export function timesOf({ times, startMs }: ScheduleRecord): Times {
  return toTimes(times, startMs);
}

/** When the next tick is, whether it is over or not. */
export function nextTickMs(
  record: ScheduleRecord,
  times: Times,
  afterMs: number,
): number | undefined {
  const { untilMs = Number.POSITIVE_INFINITY, maxTicks, ticks } = record;
  if (maxTicks !== undefined && ticks >= maxTicks) return undefined;
  const next = times.next(afterMs);
  return next === undefined || next > untilMs ? undefined : next;
}

/** The first of the ticks that are to be submitted now. */
export function dueTick(record: ScheduleRecord, times: Times, nowMs: number): number | undefined {
  const { catchUp, graceMs, doneMs, untilMs = nowMs, maxTicks, ticks } = record;
  if (maxTicks !== undefined && ticks >= maxTicks) return undefined;
  const max = catchUp === "all" ? MAX_CATCH_UP : 1;
  const [first] = times.between(doneMs, Math.min(nowMs, untilMs), max);
  if (first === undefined) return undefined;
  return catchUp === "none" && nowMs - first > graceMs ? undefined : first;
}

/** What is shown of an entry. */
export function toSchedule({ key, value, revision }: ScheduleEntry): Schedule {
  const { version: _, task, startMs: _start, doneMs, pending, ...rest } = value;
  const { untilMs, maxTicks, lastTickAtMs, lastRefusal, paused } = rest;
  const nextTickAtMs = paused
    ? undefined
    : (pending?.atMs ?? nextTickMs(value, timesOf(value), doneMs));
  return {
    ...rest,
    id: idOf(key),
    task: taskOf(task),
    untilMs,
    maxTicks,
    lastTickAtMs,
    nextTickAtMs,
    lastRefusal,
    revision,
  };
}

/** The task with its payload as bytes. */
export function taskOf(task: ScheduleDefinition["task"]): ScheduledTask & { payload: Uint8Array } {
  return { ...task, payload: new Uint8Array(Buffer.from(task.payload, "base64")) };
}

/** As it is read again: without fields that are `undefined`. */
function defined<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value;
}
