import { type BucketDefinition, defineBucket } from "@busbar/core";
import { z } from "zod";
import type { JsonValue } from "../tenants/tenant.ts";

/**
 * Where a task is.
 *
 * States: *queued* -> a worker begins it -> *running* -> *done*, *dead* (it failed for good) or *retrying*;
 * *retrying* -> *running*; any but *done* and *dead* -> `cancel()` -> *cancelled*. The last three are final.
 */
export type TaskStatus = "queued" | "running" | "retrying" | "done" | "dead" | "cancelled";

/** Whether a status never changes again. */
export type FinalStatus = Extract<TaskStatus, "done" | "dead" | "cancelled">;

/**
 * Why a task failed: its handler `failed` (threw), the attempt took too long (`timeout`), the handler
 * `discarded` it, its `deadline` was over, its type was `unhandled`, its payload or result was `invalid`,
 * it was `cancelled`, or its workers died (`exhausted`).
 */
export type TaskFailureKind =
  | "failed"
  | "timeout"
  | "discarded"
  | "deadline"
  | "unhandled"
  | "invalid"
  | "cancelled"
  | "exhausted";

/** How a task or an attempt failed. */
export interface TaskFailure {
  readonly kind: TaskFailureKind;
  /** Of the error, up to 1_024 characters. Never its stack. */
  readonly message: string;
}

/** What became of a task. */
export type TaskResult<Value = JsonValue> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: TaskFailure };

/** An attempt that has ended. */
export interface TaskAttempt {
  /** 1 for the first. */
  readonly attempt: number;
  readonly workerId: string;
  /** By the worker's clock, in milliseconds since the Unix epoch. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly error?: TaskFailure | undefined;
}

/** What is kept of a task that has ended, or of its attempts so far. */
export interface TaskRecord {
  readonly status: FinalStatus | "retrying";
  readonly type: string;
  /** The last ten. */
  readonly attempts: readonly TaskAttempt[];
  /** The last hundred lines of the last attempt. */
  readonly logs: readonly string[];
  /** The last one that was reported. */
  readonly progress?: JsonValue | undefined;
  /** What the handler returned; `null` for nothing. */
  readonly value?: JsonValue | undefined;
  readonly error?: TaskFailure | undefined;
  /** By the clock of who wrote it, in milliseconds since the Unix epoch. */
  readonly updatedAtMs: number;
}

/** Attempts that are kept. */
export const MAX_ATTEMPTS_KEPT = 10;
/** Lines of log that are kept of an attempt. */
export const MAX_LOG_LINES = 100;
/** Characters of a line of log. */
export const MAX_LINE = 1_000;

const failure: z.ZodType<TaskFailure, unknown> = z.object({
  kind: z.enum([
    "failed",
    "timeout",
    "discarded",
    "deadline",
    "unhandled",
    "invalid",
    "cancelled",
    "exhausted",
  ]),
  message: z.string().max(1_024),
});

const record: z.ZodType<TaskRecord, unknown> = z.object({
  status: z.enum(["done", "dead", "cancelled", "retrying"]),
  type: z.string(),
  attempts: z.array(
    z.object({
      attempt: z.int(),
      workerId: z.string(),
      startedAtMs: z.number(),
      endedAtMs: z.number(),
      error: failure.optional(),
    }),
  ),
  logs: z.array(z.string()),
  // Made by JSON, so it is JSON.
  progress: z.custom<JsonValue>().optional(),
  value: z.custom<JsonValue>().optional(),
  error: failure.optional(),
  updatedAtMs: z.number(),
});

/** Whether a task with this record has ended. */
export function isFinal(
  entry: TaskRecord | undefined,
): entry is TaskRecord & { readonly status: FinalStatus } {
  return entry !== undefined && entry.status !== "retrying";
}

/** Where the records of a queue are: under the name of the lane, a dot, and the id of the job. */
export function recordBucket(queue: string): BucketDefinition<z.ZodType<TaskRecord, unknown>> {
  return defineBucket({ bucket: `task-records.${queue}`, schema: record });
}
