import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Times, toTimes } from "../../src/schedules/times.ts";
import type { ScheduleTimes } from "../../src/index.ts";

const at = (text: string): number => Date.parse(text);

/** All ticks after one time up to another, as texts. */
function ticks(times: ScheduleTimes, after: string, until: string): string[] {
  return walk(toTimes(times, 0), at(after), at(until)).map((ms) => new Date(ms).toISOString());
}

function walk(times: Times, afterMs: number, untilMs: number): number[] {
  const all: number[] = [];
  let next = times.next(afterMs);
  while (next !== undefined && next <= untilMs) {
    all.push(next);
    next = times.next(next);
  }
  return all;
}

const BERLIN = "Europe/Berlin";

describe("times of a schedule", () => {
  it("follow a time zone over the change to summer time", () => {
    const after = "2026-03-28T12:00:00Z";
    const until = "2026-03-30T12:00:00Z";
    // Two o'clock to three o'clock is left out on the 29th.
    expect(ticks({ cron: "30 2 * * *", timeZone: BERLIN }, after, until)).toEqual([
      "2026-03-29T01:00:00.000Z",
      "2026-03-30T00:30:00.000Z",
    ]);
    expect(ticks({ cron: "30 2,14 * * *", timeZone: BERLIN }, after, until)).toEqual([
      "2026-03-28T13:30:00.000Z",
      "2026-03-29T01:00:00.000Z",
      "2026-03-29T12:30:00.000Z",
      "2026-03-30T00:30:00.000Z",
    ]);
    expect(ticks({ cron: "0 */12 * * *", timeZone: BERLIN }, after, until)).toEqual([
      "2026-03-28T23:00:00.000Z",
      "2026-03-29T10:00:00.000Z",
      "2026-03-29T22:00:00.000Z",
      "2026-03-30T10:00:00.000Z",
    ]);
  });

  it("follow a time zone over the change to winter time", () => {
    const after = "2026-10-24T22:00:00Z";
    const until = "2026-10-25T04:00:00Z";
    // Two o'clock to three o'clock comes twice.
    expect(ticks({ cron: "30 2 * * *", timeZone: BERLIN }, after, until)).toEqual([
      "2026-10-25T00:30:00.000Z",
    ]);
    expect(ticks({ cron: "*/30 2 * * *", timeZone: BERLIN }, after, until)).toEqual([
      "2026-10-25T00:00:00.000Z",
      "2026-10-25T00:30:00.000Z",
      "2026-10-25T01:00:00.000Z",
      "2026-10-25T01:30:00.000Z",
    ]);
    expect(ticks({ cron: "30 2 * * *" }, after, until)).toEqual(["2026-10-25T02:30:00.000Z"]);
  });

  it("know seconds, names, last days and short forms", () => {
    const after = "2026-01-30T23:59:58Z";
    expect(ticks({ cron: "30 0 12 * * SAT" }, after, "2026-02-08T00:00:00Z")).toEqual([
      "2026-01-31T12:00:30.000Z",
      "2026-02-07T12:00:30.000Z",
    ]);
    expect(ticks({ cron: "0 0 L * *" }, after, "2026-03-01T00:00:00Z")).toEqual([
      "2026-01-31T00:00:00.000Z",
      "2026-02-28T00:00:00.000Z",
    ]);
    expect(ticks({ cron: "@monthly" }, after, "2026-03-01T00:00:00Z")).toHaveLength(2);
  });

  it("come at intervals from their start", () => {
    const times = toTimes({ everyMs: 1_000, startAtMs: 10_500 }, 0);
    expect([times.next(0), times.next(10_500), times.next(10_501)]).toEqual([
      10_500, 11_500, 11_500,
    ]);
    expect(times.between(0, 10_499, 9)).toEqual([]);
    expect(times.between(0, 1e12 + 500, 2)).toEqual([1e12 - 500, 1e12 + 500]);
    expect(toTimes({ everyMs: 2_000 }, 7).next(7)).toBe(2_007);
  });

  it("are the same forwards and backwards", () => {
    const crons = [
      "30 2 * * *",
      "15,45 1-3 * * *",
      "*/20 1-4 * * *",
      "0 0 1 * *",
      "59 59 1 * * SUN",
    ];
    const zones = [BERLIN, "America/New_York", "Australia/Lord_Howe", "America/Santiago", "UTC"];
    fc.assert(
      fc.property(
        fc.oneof(
          fc.record({ cron: fc.constantFrom(...crons), timeZone: fc.constantFrom(...zones) }),
          fc.record({ everyMs: fc.integer({ min: 60_000, max: 86_400_000 }) }),
        ),
        fc.integer({ min: at("2026-01-01T00:00:00Z"), max: at("2027-01-01T00:00:00Z") }),
        fc.integer({ min: 0, max: 3 * 86_400_000 }),
        fc.integer({ min: 1, max: 100 }),
        (given, afterMs, forMs, max) => {
          const times = toTimes(given, 0);
          const untilMs = afterMs + forMs;
          const forwards = walk(times, afterMs, untilMs);
          expect(times.between(afterMs, untilMs, max)).toEqual(forwards.slice(-max));
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each([
    [{ cron: "61 * * * *" }, "cron"],
    [{ cron: "* * *" }, "cron"],
    [{ cron: "0 0 * * * * 2030" }, "cron"],
    [{ cron: "" }, "cron"],
    [{ cron: "2030-01-01T00:00:00" }, "cron"],
    [{ cron: "0 0 30 2 *" }, "cron"],
    [{ cron: "0 0 * * *", timeZone: "Mars/Olympus" }, "timeZone"],
  ])("are refused: %j", (times, field) => {
    expect(() => toTimes(times, 0)).toThrow(
      expect.objectContaining({
        code: "INVALID_ARGUMENT",
        message: expect.stringMatching(new RegExp(`^${field} is ".*"; allowed: `)),
        details: expect.objectContaining({ field }),
      }),
    );
  });
});
