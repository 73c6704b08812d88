import { BusError } from "./errors.ts";
import type { ClaimOptions, Job } from "./job-queue.ts";
import type { BucketOptions, KeysOptions } from "./kv-store.ts";
import type { LeaseOptions } from "./lease.ts";
import { checkKey, checkKeyPattern, checkName } from "./names.ts";
import { checkHeaders, type Headers, type Payload, payloadBytes } from "./payload.ts";
import type { StartFrom, SubscribeOptions } from "./pubsub.ts";
import type { ServeOptions } from "./request-reply.ts";

// Options are resolved here and nowhere else: defaults, ranges, and the errors that name them.

/** @throws TypeError or RangeError naming the field, the value and the range. */
export function checkInteger(field: string, value: unknown, min: number, max: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number;
  }
  throw refused(field, value, `an integer from ${min} to ${max}`);
}

/** A duration in milliseconds: not necessarily whole. @throws TypeError or RangeError */
export function checkDuration(field: string, value: unknown, min: number, max: number): number {
  if (typeof value === "number" && value >= min && value <= max) return value;
  throw refused(field, value, `from ${min} to ${max} milliseconds`);
}

function refused(field: string, value: unknown, range: string): TypeError | RangeError {
  if (typeof value === "number" && !Number.isNaN(value)) {
    return new RangeError(`${field} must be ${range}, got ${value}`);
  }
  const got = typeof value === "number" ? "NaN" : value === null ? "null" : typeof value;
  return new TypeError(`${field} must be a number, ${range}, got ${got}`);
}

/** Longest wait anywhere: 10 years. */
export const MAX_DURATION_MS = 315_360_000_000;
/** Longest lease of a job. */
export const MAX_JOB_LEASE_MS = 86_400_000;
/** Default of every `timeoutMs`. */
export const DEFAULT_TIMEOUT_MS = 5_000;
/** Highest priority of a job. */
export const MAX_PRIORITY = 9;

/** Resolves `timeoutMs`. */
export function resolveTimeout(timeoutMs: number | undefined): number {
  return timeoutMs === undefined
    ? DEFAULT_TIMEOUT_MS
    : checkDuration("timeoutMs", timeoutMs, 1, MAX_DURATION_MS);
}

/** Checks a message id or dedup key. @throws BusError `INVALID_ARGUMENT` */
export function checkDedupId(field: "messageId" | "dedupKey", id: string): string {
  if (typeof id === "string" && /^[!-~]{1,256}$/.test(id)) return id;
  throw new BusError(
    "INVALID_ARGUMENT",
    `${field} must be 1 to 256 printable ASCII characters without space`,
    { details: { field, value: typeof id === "string" ? id.slice(0, 64) : typeof id } },
  );
}

/** Checks the reason of a term, nak or dead letter: up to 256 characters, no control characters. */
export function checkReason(reason: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused.
  if (typeof reason === "string" && reason.length <= 256 && !/[\u0000-\u001f\u007f]/.test(reason)) {
    return reason.trim();
  }
  throw new BusError(
    "INVALID_ARGUMENT",
    "reason must be a string of up to 256 characters without control characters",
    { details: { field: "reason" } },
  );
}

/** {@link SubscribeOptions} with defaults. */
export interface ResolvedSubscribeOptions {
  readonly durable: string | undefined;
  readonly from: StartFrom;
  readonly ackWaitMs: number;
  /** `Infinity` for ever. */
  readonly maxDeliveries: number;
  readonly backoffMs: readonly number[];
  readonly maxInFlight: number;
  readonly signal: AbortSignal | undefined;
}

/** Resolves {@link SubscribeOptions}. */
export function resolveSubscribeOptions(options: SubscribeOptions = {}): ResolvedSubscribeOptions {
  // Defaults stand for `undefined` only: null is a mistake.
  const { durable, ackWaitMs = 30_000, backoffMs = [], maxInFlight = 32 } = options;
  const forever = Number.POSITIVE_INFINITY;
  const { maxDeliveries = durable === undefined ? forever : 5 } = options;
  const { from = durable === undefined ? "new" : "all" } = options;
  if (durable !== undefined) checkName("durable", durable);
  if (maxDeliveries !== forever) {
    checkInteger("maxDeliveries", maxDeliveries, 1, 1_000_000);
    if (durable === undefined) {
      throw new TypeError(
        "maxDeliveries needs a durable: an ephemeral subscription has no dead letters",
      );
    }
  }
  checkBackoff(backoffMs);
  return {
    durable,
    from: checkFrom(from),
    ackWaitMs: backoffMs[0] ?? checkDuration("ackWaitMs", ackWaitMs, 10, MAX_DURATION_MS),
    maxDeliveries,
    backoffMs: Object.freeze([...backoffMs]),
    maxInFlight: checkInteger("maxInFlight", maxInFlight, 1, 10_000),
    signal: options.signal,
  };
}

function checkBackoff(backoffMs: readonly number[]): void {
  if (!Array.isArray(backoffMs)) {
    throw new TypeError(`backoffMs must be an array, got ${typeof backoffMs}`);
  }
  if (backoffMs.length > 100) {
    throw new RangeError(`backoffMs must have 0 to 100 entries, got ${backoffMs.length}`);
  }
  for (const wait of backoffMs) checkDuration("backoffMs", wait, 10, MAX_DURATION_MS);
}

function checkFrom(from: StartFrom): StartFrom {
  if (from === "all" || from === "new") return from;
  if (typeof from === "object" && from !== null) {
    if ("sequence" in from) {
      return { sequence: checkInteger("from.sequence", from.sequence, 1, Number.MAX_SAFE_INTEGER) };
    }
    if ("timeMs" in from) return { timeMs: checkInteger("from.timeMs", from.timeMs, 0, 8.64e15) };
  }
  throw new TypeError(
    `from must be "all", "new", { sequence } or { timeMs }, got ${JSON.stringify(from)}`,
  );
}

/** {@link ClaimOptions} with defaults. */
export interface ResolvedClaimOptions {
  readonly workerId: string;
  readonly leaseMs: number;
  readonly max: number;
  readonly maxPriority: number;
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Default of `leaseMs`. */
export const DEFAULT_JOB_LEASE_MS = 30_000;

/** Resolves {@link ClaimOptions}. */
export function resolveClaimOptions(options: ClaimOptions): ResolvedClaimOptions {
  checkName("workerId", options?.workerId);
  return {
    workerId: options.workerId,
    leaseMs: options.leaseMs === undefined ? DEFAULT_JOB_LEASE_MS : checkJobLease(options.leaseMs),
    max: options.max === undefined ? 1 : checkInteger("max", options.max, 1, 1_000),
    maxPriority:
      options.maxPriority === undefined
        ? MAX_PRIORITY
        : checkInteger("maxPriority", options.maxPriority, 0, MAX_PRIORITY),
    waitMs:
      options.waitMs === undefined
        ? 0
        : checkDuration("waitMs", options.waitMs, 0, MAX_DURATION_MS),
    signal: options.signal,
  };
}

/** Checks the length of a job's lease. */
export function checkJobLease(leaseMs: number): number {
  return checkDuration("leaseMs", leaseMs, 50, MAX_JOB_LEASE_MS);
}

/** The number that is the id of a job; `undefined` for a text that is no id. @throws TypeError */
export function jobNumber(id: string): number | undefined {
  if (typeof id !== "string") throw new TypeError(`id must be a string, got ${typeof id}`);
  return /^[1-9]\d{0,14}$/.test(id) ? Number(id) : undefined;
}

/** A {@link Job} that was checked. */
export interface ResolvedJob {
  readonly payload: Uint8Array;
  readonly headers: Headers;
  readonly dedupKey: string | undefined;
  readonly maxAttempts: number;
  readonly priority: number;
  readonly delayMs: number;
  readonly runAtMs: number | undefined;
}

/** Default of `maxAttempts`. */
export const DEFAULT_MAX_ATTEMPTS = 5;

/** Checks a {@link Job}. */
export function resolveJob(job: Job, queue: string, maxPayloadBytes: number): ResolvedJob {
  if (typeof job !== "object" || job === null)
    throw new TypeError("job must be an object with a payload");
  const { dedupKey, maxAttempts, priority, delayMs, runAtMs } = job;
  if (delayMs !== undefined && runAtMs !== undefined)
    throw new TypeError("give delayMs or runAtMs, not both");
  return {
    payload: payloadBytes(job.payload as Payload, maxPayloadBytes, queue),
    headers: checkHeaders(job.headers),
    dedupKey: dedupKey === undefined ? undefined : checkDedupId("dedupKey", dedupKey),
    maxAttempts:
      maxAttempts === undefined
        ? DEFAULT_MAX_ATTEMPTS
        : checkInteger("maxAttempts", maxAttempts, 1, 1_000),
    priority: priority === undefined ? 0 : checkInteger("priority", priority, 0, MAX_PRIORITY),
    delayMs: delayMs === undefined ? 0 : checkDuration("delayMs", delayMs, 0, MAX_DURATION_MS),
    runAtMs: runAtMs === undefined ? undefined : checkInteger("runAtMs", runAtMs, 0, 8.64e15),
  };
}

/** Resolves the delay of a nak, or of what is given back. */
export function resolveDelay(delayMs: number | undefined): number {
  return delayMs === undefined ? 0 : checkDuration("delayMs", delayMs, 0, MAX_DURATION_MS);
}

/** Resolves `drainMs`. */
export function resolveDrain(drainMs: number | undefined, defaultMs: number): number {
  return drainMs === undefined ? defaultMs : checkDuration("drainMs", drainMs, 0, MAX_DURATION_MS);
}

/** {@link BucketOptions} with defaults; 0 and -1 stand for no limit. */
export interface ResolvedBucketOptions {
  readonly history: number;
  readonly ttlMs: number;
  readonly maxBytes: number;
}

/** Resolves {@link BucketOptions}. */
export function resolveBucketOptions(options: BucketOptions = {}): ResolvedBucketOptions {
  const { history, ttlMs, maxBytes } = options;
  return {
    history: history === undefined ? 1 : checkInteger("history", history, 1, 64),
    ttlMs: ttlMs === undefined ? 0 : checkDuration("ttlMs", ttlMs, 100, MAX_DURATION_MS),
    maxBytes:
      maxBytes === undefined ? -1 : checkInteger("maxBytes", maxBytes, 1, Number.MAX_SAFE_INTEGER),
  };
}

/** Resolves the limit of a page. */
export function resolveLimit(limit: number | undefined, defaultLimit: number, max: number): number {
  return limit === undefined ? defaultLimit : checkInteger("limit", limit, 1, max);
}

/** The number in the `next` of a page of dead letters. @throws BusError `INVALID_ARGUMENT` */
export function checkPageCursor(after: string): number {
  if (typeof after === "string" && /^\d{1,15}$/.test(after)) return Number(after);
  throw new BusError("INVALID_ARGUMENT", "after must be the next of an earlier page", {
    details: { field: "after" },
  });
}

/** Resolves {@link KeysOptions}. */
export function resolveKeysOptions(options: KeysOptions = {}): Required<
  Pick<KeysOptions, "key" | "limit">
> & {
  readonly after: string | undefined;
} {
  if (options.after !== undefined) checkKey(options.after, "after");
  if (options.key !== undefined) checkKeyPattern(options.key);
  return {
    key: options.key ?? ">",
    after: options.after,
    limit: resolveLimit(options.limit, 1_000, 10_000),
  };
}

/** Checks an expected revision or sequence: 0 or more. */
export function checkExpected(field: string, value: number): number {
  return checkInteger(field, value, 0, Number.MAX_SAFE_INTEGER);
}

/** {@link ServeOptions} with defaults. */
export interface ResolvedServeOptions {
  readonly group: string | false;
  readonly concurrency: number;
  readonly maxQueued: number;
  readonly signal: AbortSignal | undefined;
}

/** Resolves {@link ServeOptions}. */
export function resolveServeOptions(options: ServeOptions = {}): ResolvedServeOptions {
  const { group = "default", concurrency = 64, maxQueued = 1_024 } = options;
  if (group !== false) checkName("group", group);
  return {
    group,
    concurrency: checkInteger("concurrency", concurrency, 1, 100_000),
    maxQueued: checkInteger("maxQueued", maxQueued, 0, 1_000_000),
    signal: options.signal,
  };
}

/** {@link LeaseOptions} with defaults. */
export interface ResolvedLeaseOptions {
  readonly ttlMs: number;
  readonly waitMs: number;
  readonly owner: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Resolves {@link LeaseOptions}. */
export function resolveLeaseOptions(options: LeaseOptions): ResolvedLeaseOptions {
  if (options?.owner !== undefined) checkName("owner", options.owner);
  return {
    ttlMs: checkDuration("ttlMs", options?.ttlMs, 50, MAX_DURATION_MS),
    waitMs:
      options.waitMs === undefined
        ? 0
        : checkDuration("waitMs", options.waitMs, 0, MAX_DURATION_MS),
    owner: options.owner,
    signal: options.signal,
  };
}
