import { describe, expect, it } from "vitest";
import {
  checkDedupId,
  checkExpected,
  checkJobLease,
  checkReason,
  resolveBucketOptions,
  resolveClaimOptions,
  resolveDelay,
  resolveDrain,
  resolveJob,
  resolveKeysOptions,
  resolveLeaseOptions,
  resolveLimit,
  resolveServeOptions,
  resolveSubscribeOptions,
  resolveTimeout,
} from "../src/adapter.ts";
import { type Job, toBytes } from "../src/index.ts";

const TEN_YEARS = 315_360_000_000;
const job = (options: Partial<Job>) => resolveJob({ payload: "", ...options }, "q", 10);
const subscribe = resolveSubscribeOptions;
const claim = (options: object) => resolveClaimOptions({ workerId: "w", ...options });
const lease = (options: object) => resolveLeaseOptions({ ttlMs: 100, ...options });

// field, resolver, smallest, largest, whether it must be whole
const RANGES: readonly (readonly [
  string,
  (value: never) => unknown,
  number,
  number,
  "whole" | "any",
])[] = [
  ["timeoutMs", resolveTimeout, 1, TEN_YEARS, "any"],
  ["delayMs", resolveDelay, 0, TEN_YEARS, "any"],
  ["drainMs", (drainMs) => resolveDrain(drainMs, 5), 0, TEN_YEARS, "any"],
  ["limit", (limit) => resolveLimit(limit, 100, 1_000), 1, 1_000, "whole"],
  ["revision", (value) => checkExpected("revision", value), 0, Number.MAX_SAFE_INTEGER, "whole"],
  ["leaseMs", checkJobLease, 50, 86_400_000, "any"],
  ["leaseMs", (leaseMs) => claim({ leaseMs }), 50, 86_400_000, "any"],
  ["max", (max) => claim({ max }), 1, 1_000, "whole"],
  ["waitMs", (waitMs) => claim({ waitMs }), 0, TEN_YEARS, "any"],
  [
    "maxDeliveries",
    (maxDeliveries) => subscribe({ durable: "d", maxDeliveries }),
    1,
    1_000_000,
    "whole",
  ],
  ["ackWaitMs", (ackWaitMs) => subscribe({ ackWaitMs }), 10, TEN_YEARS, "any"],
  ["backoffMs", (wait) => subscribe({ backoffMs: [10, wait] }), 10, TEN_YEARS, "any"],
  ["maxInFlight", (maxInFlight) => subscribe({ maxInFlight }), 1, 10_000, "whole"],
  [
    "from.sequence",
    (sequence) => subscribe({ from: { sequence } }),
    1,
    Number.MAX_SAFE_INTEGER,
    "whole",
  ],
  ["from.timeMs", (timeMs) => subscribe({ from: { timeMs } }), 0, 8.64e15, "whole"],
  ["maxAttempts", (maxAttempts) => job({ maxAttempts }), 1, 1_000, "whole"],
  ["priority", (priority) => job({ priority }), 0, 9, "whole"],
  ["delayMs", (delayMs) => job({ delayMs }), 0, TEN_YEARS, "any"],
  ["runAtMs", (runAtMs) => job({ runAtMs }), 0, 8.64e15, "whole"],
  ["history", (history) => resolveBucketOptions({ history }), 1, 64, "whole"],
  ["ttlMs", (ttlMs) => resolveBucketOptions({ ttlMs }), 100, TEN_YEARS, "any"],
  [
    "maxBytes",
    (maxBytes) => resolveBucketOptions({ maxBytes }),
    1,
    Number.MAX_SAFE_INTEGER,
    "whole",
  ],
  ["limit", (limit) => resolveKeysOptions({ limit }), 1, 10_000, "whole"],
  ["concurrency", (concurrency) => resolveServeOptions({ concurrency }), 1, 100_000, "whole"],
  ["maxQueued", (maxQueued) => resolveServeOptions({ maxQueued }), 0, 1_000_000, "whole"],
  ["ttlMs", (ttlMs) => lease({ ttlMs }), 50, TEN_YEARS, "any"],
  ["waitMs", (waitMs) => lease({ waitMs }), 0, TEN_YEARS, "any"],
];

describe.each(RANGES)("option %s of %s", (field, resolve, min, max, kind) => {
  it(`goes from ${min} to ${max}`, () => {
    expect(() => resolve(min as never)).not.toThrow();
    expect(() => resolve(max as never)).not.toThrow();
  });

  it("names field, value and range in its error", () => {
    const outside = [min - 1, max + Math.max(1, max * 1e-9), -Infinity];
    // For ever is a number of deliveries.
    if (field !== "maxDeliveries") outside.push(Infinity);
    if (kind === "whole") outside.push(min + 0.5);
    for (const value of outside) {
      let error: unknown;
      try {
        resolve(value as never);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(RangeError);
      const { message } = error as Error;
      expect(message).toMatch(
        new RegExp(`^${field.replace(".", "\\.")} must be .*from ${min} to `),
      );
      expect(message).toContain(`got ${value}`);
    }
  });

  it("names field, type and range where it is no number", () => {
    for (const value of ["5", Number.NaN, null, {}, true, 5n]) {
      let error: unknown;
      try {
        resolve(value as never);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(TypeError);
      expect((error as Error).message).toMatch(
        new RegExp(`^${field.replace(".", "\\.")} must be a number, .*from ${min} to `),
      );
    }
  });
});

describe("defaults", () => {
  it("are those that the contracts state", () => {
    expect(resolveTimeout(undefined)).toBe(5_000);
    expect(resolveDelay(undefined)).toBe(0);
    expect(resolveDrain(undefined, 7)).toBe(7);
    expect(resolveLimit(undefined, 7, 9)).toBe(7);
    expect(subscribe()).toEqual({
      durable: undefined,
      from: "new",
      ackWaitMs: 30_000,
      maxDeliveries: Number.POSITIVE_INFINITY,
      backoffMs: [],
      maxInFlight: 32,
      signal: undefined,
    });
    expect(subscribe({ durable: "d" })).toMatchObject({ from: "all", maxDeliveries: 5 });
    expect(claim({})).toEqual({
      workerId: "w",
      maxPriority: 9,
      leaseMs: 30_000,
      max: 1,
      waitMs: 0,
      signal: undefined,
    });
    expect(job({})).toEqual({
      payload: toBytes(""),
      headers: {},
      dedupKey: undefined,
      maxAttempts: 5,
      priority: 0,
      delayMs: 0,
      runAtMs: undefined,
    });
    expect(resolveBucketOptions()).toEqual({ history: 1, ttlMs: 0, maxBytes: -1 });
    expect(resolveKeysOptions()).toEqual({ key: ">", after: undefined, limit: 1_000 });
    expect(resolveServeOptions()).toEqual({
      group: "default",
      concurrency: 64,
      maxQueued: 1_024,
      signal: undefined,
    });
    expect(lease({})).toEqual({ ttlMs: 100, waitMs: 0, owner: undefined, signal: undefined });
  });
});

describe("resolveSubscribeOptions", () => {
  it("takes backoff for ack waits, and a copy of it", () => {
    const backoffMs = [100, 200];
    const resolved = subscribe({ backoffMs });
    backoffMs.push(5);
    expect(resolved).toMatchObject({ ackWaitMs: 100, backoffMs: [100, 200] });
    expect(Object.isFrozen(resolved.backoffMs)).toBe(true);
  });

  it("allows deliveries for ever, and a limit only for a durable", () => {
    const maxDeliveries = Number.POSITIVE_INFINITY;
    expect(subscribe({ durable: "d", maxDeliveries }).maxDeliveries).toBe(maxDeliveries);
    expect(subscribe({ maxDeliveries }).maxDeliveries).toBe(maxDeliveries);
    expect(() => subscribe({ maxDeliveries: 5 })).toThrow(/^maxDeliveries needs a durable/);
  });

  it("refuses other places to start from, and what is no list of waits", () => {
    for (const from of ["last", 5, null, {}, []]) {
      expect(() => subscribe({ from: from as never })).toThrow(/^from must be/);
    }
    expect(() => subscribe({ backoffMs: 5 as never })).toThrow(/^backoffMs must be an array/);
    const many = Array.from({ length: 101 }, () => 10);
    expect(() => subscribe({ backoffMs: many })).toThrow(/^backoffMs must have 0 to 100 entries/);
  });
});

describe("names in options", () => {
  const refused = (field: string) =>
    expect.objectContaining({
      code: "INVALID_ARGUMENT",
      details: expect.objectContaining({ field }),
    });

  it("are checked", () => {
    expect(() => subscribe({ durable: "a b" })).toThrow(refused("durable"));
    expect(() => claim({ workerId: "" })).toThrow(refused("workerId"));
    expect(() => resolveClaimOptions(undefined as never)).toThrow(refused("workerId"));
    expect(() => resolveServeOptions({ group: "*" })).toThrow(refused("group"));
    expect(resolveServeOptions({ group: false }).group).toBe(false);
    expect(() => lease({ owner: "a b" })).toThrow(refused("owner"));
    expect(() => resolveKeysOptions({ after: "a b" })).toThrow(refused("after"));
    expect(() => resolveKeysOptions({ key: "a b" })).toThrow(refused("key"));
    expect(() => resolveKeysOptions({ key: "" })).toThrow(refused("key"));
    expect(resolveKeysOptions({ key: "a.*", after: "a.b" })).toMatchObject({ key: "a.*" });
    expect(() => resolveLeaseOptions(undefined as never)).toThrow(/^ttlMs must be a number/);
  });
});

describe("resolveJob", () => {
  it("refuses two times, and what is no job", () => {
    expect(() => job({ delayMs: 1, runAtMs: 1 })).toThrow("give delayMs or runAtMs, not both");
    expect(() => resolveJob(null as never, "q", 10)).toThrow(TypeError);
    expect(() => resolveJob({} as never, "q", 10)).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }),
    );
    expect(() => job({ payload: "x".repeat(11) })).toThrow(
      expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }),
    );
    expect(() => job({ headers: { "a b": "c" } })).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }),
    );
  });
});

describe("dedup ids and reasons", () => {
  it("have their rules", () => {
    expect(checkDedupId("messageId", "!~x".repeat(85))).toHaveLength(255);
    for (const id of ["", "a b", "ä", "a\n", "x".repeat(257), 5 as never]) {
      expect(() => checkDedupId("dedupKey", id)).toThrow(/^dedupKey must be 1 to 256/);
    }
    expect(checkReason(` ${"ü".repeat(255)}`)).toHaveLength(255);
    expect(checkReason("")).toBe("");
    for (const reason of ["a\nb", "x".repeat(257), undefined as never]) {
      expect(() => checkReason(reason)).toThrow(
        expect.objectContaining({ code: "INVALID_ARGUMENT" }),
      );
    }
  });
});
