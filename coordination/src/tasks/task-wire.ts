import { BusError, type ClaimedJob, type Headers, type Job } from "@busbar/core";
import { checkInteger, checkName } from "@busbar/core/adapter";
import { z } from "zod";
import { type ResolvedBackoff, resolveBackoff } from "./backoff.ts";
import type { Task, TaskInput, TaskPriority } from "./task.ts";

/** What of a task its job has no field for, as JSON in one header. */
export interface TaskFacts {
  readonly tenant: string;
  readonly type: string;
  readonly deadlineMs?: number | undefined;
  readonly timeoutMs?: number | undefined;
  readonly backoff?: ResolvedBackoff | undefined;
  /** When it may be begun: after so many milliseconds, or at this time. */
  readonly delayMs?: number | undefined;
  readonly runAtMs?: number | undefined;
  /** Nothing is kept of its end. */
  readonly noResult?: true | undefined;
  /** So that a dead one can be submitted again as it was; absent where it is the default. */
  readonly priority?: TaskPriority | undefined;
  readonly maxAttempts?: number | undefined;
}

const HEADER = "task-facts";
/** Jobs have ten priorities; the steps between are for later. */
export const PRIORITIES: Readonly<Record<TaskPriority, number>> = { low: 2, normal: 5, high: 8 };
const BY_NUMBER = new Map(
  Object.entries(PRIORITIES).map(([name, number]) => [number, name as TaskPriority]),
);
const DAY_MS = 86_400_000;
const DEFAULT_MAX_ATTEMPTS = 5;
const MOST_ATTEMPTS = 1_000;
/**
 * How often the job of a task is handed out beyond its attempts, to find out how the last one ended: the
 * queue itself would bury a task that is done and whose ack was lost.
 */
const SPARE_ATTEMPTS = 10;

const facts: z.ZodType<TaskFacts, unknown> = z.object({
  tenant: z.string(),
  type: z.string(),
  deadlineMs: z.number().optional(),
  timeoutMs: z.number().optional(),
  backoff: z
    .object({ firstMs: z.number(), factor: z.number(), maxMs: z.number(), jitter: z.number() })
    .optional(),
  delayMs: z.number().optional(),
  runAtMs: z.number().optional(),
  noResult: z.literal(true).optional(),
  priority: z.enum(["low", "normal", "high"]).optional(),
  maxAttempts: z.number().optional(),
});

/** The job of a task. @throws BusError `INVALID_ARGUMENT`; TypeError or RangeError for wrong options */
export function toJob(input: TaskInput): Job {
  const { tenant, type, payload = "", headers = {}, priority = "normal", backoff } = input;
  const { dedupKey, delayMs, runAtMs, maxAttempts, deadlineMs, timeoutMs } = input;
  checkName("queue", type);
  if (!Object.hasOwn(PRIORITIES, priority)) {
    const message = `priority is ${JSON.stringify(priority)}; it is low, normal or high`;
    throw new BusError("INVALID_ARGUMENT", message, { details: { field: "priority" } });
  }
  if (Object.keys(headers).some((name) => name.toLowerCase() === HEADER)) {
    const message = `the header ${HEADER} is Busbar's own`;
    throw new BusError("INVALID_ARGUMENT", message, { details: { field: "headers" } });
  }
  if (maxAttempts !== undefined) checkInteger("maxAttempts", maxAttempts, 1, MOST_ATTEMPTS);
  checkMs("deadlineMs", deadlineMs, 0, Number.MAX_SAFE_INTEGER);
  checkMs("timeoutMs", timeoutMs, 1, DAY_MS);
  const own: TaskFacts = {
    tenant,
    type,
    deadlineMs,
    timeoutMs,
    ...(backoff && { backoff: resolveBackoff(backoff) }),
    ...(delayMs !== undefined && { delayMs }),
    ...(runAtMs !== undefined && { runAtMs }),
    ...(input.keepResult === false && { noResult: true }),
    ...(priority !== "normal" && { priority }),
    ...(maxAttempts !== undefined && { maxAttempts }),
  };
  return {
    payload,
    headers: { ...headers, [HEADER]: JSON.stringify(own) },
    priority: PRIORITIES[priority],
    maxAttempts: Math.min(MOST_ATTEMPTS, attemptsOf(own) + SPARE_ATTEMPTS),
    ...(dedupKey !== undefined && { dedupKey }),
    ...(delayMs !== undefined && { delayMs }),
    ...(runAtMs !== undefined && { runAtMs }),
  };
}

/** How often a task may be begun. */
export function attemptsOf({ maxAttempts = DEFAULT_MAX_ATTEMPTS }: TaskFacts): number {
  return maxAttempts;
}

/** What a job is as a task; `undefined` if something else has enqueued it. */
export function toTask(
  job: ClaimedJob,
  queue: string,
): { readonly task: Task; readonly facts: TaskFacts } | undefined {
  const parsed = factsOf(job.headers);
  if (parsed === undefined) return undefined;
  const headers = userHeadersOf(job.headers);
  const { tenant, type, deadlineMs } = parsed;
  const { payload, dedupKey, attempt, fence, enqueuedAtMs } = job;
  const task: Task = {
    id: `${tenant}.${job.id}`,
    tenant,
    queue,
    type,
    priority: BY_NUMBER.get(job.priority) ?? "normal",
    payload,
    headers,
    dedupKey,
    attempt,
    maxAttempts: attemptsOf(parsed),
    fence,
    deadlineMs,
    submittedAtMs: enqueuedAtMs,
  };
  return { task, facts: parsed };
}

/** The headers that the submitter gave. */
export function userHeadersOf(stored: Headers): Headers {
  const { [HEADER]: _, ...headers } = stored;
  return headers;
}

/** What the headers of a job say of its task; `undefined` if something else has enqueued it. */
export function factsOf(headers: Headers): TaskFacts | undefined {
  try {
    return facts.safeParse(JSON.parse(String(headers[HEADER]))).data;
  } catch {
    return undefined;
  }
}

function checkMs(field: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined || (typeof value === "number" && value >= min && value <= max)) return;
  throw new RangeError(`${field} must be from ${min} to ${max}, got ${String(value)}`);
}
