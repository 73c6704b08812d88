import { BusError } from "@busbar/core";
import { Cron } from "croner";
import type { ScheduleTimes } from "./schedule.ts";

/** The ticks of a schedule: times in milliseconds since the Unix epoch. */
export interface Times {
  /** The first tick after a time; `undefined` if there is none. */
  next(afterMs: number): number | undefined;
  /** Of the ticks after `afterMs`, up to `untilMs`, the newest `max`, oldest first. */
  between(afterMs: number, untilMs: number, max: number): number[];
}

/** `startMs`: where intervals begin that do not say it. @throws BusError `INVALID_ARGUMENT` */
export function toTimes(times: ScheduleTimes, startMs: number): Times {
  return "cron" in times
    ? new CronTimes(times.cron, times.timeZone ?? "UTC")
    : new Intervals(times.everyMs, times.startAtMs ?? startMs);
}

class Intervals implements Times {
  readonly #everyMs: number;
  readonly #startMs: number;

  constructor(everyMs: number, startMs: number) {
    this.#everyMs = everyMs;
    this.#startMs = startMs;
  }

  next(afterMs: number): number {
    return this.#at(Math.max(0, this.#count(afterMs)));
  }

  between(afterMs: number, untilMs: number, max: number): number[] {
    const end = this.#count(untilMs);
    const first = Math.max(0, this.#count(afterMs), end - max);
    return Array.from({ length: Math.max(0, end - first) }, (_, index) => this.#at(first + index));
  }

  /** How many ticks there are up to a time. */
  #count(ms: number): number {
    return Math.floor((ms - this.#startMs) / this.#everyMs) + 1;
  }

  #at(index: number): number {
    return this.#startMs + index * this.#everyMs;
  }
}

class CronTimes implements Times {
  readonly #cron: Cron;

  constructor(expression: string, timeZone: string) {
    checkTimeZone(timeZone);
    this.#cron = parse(expression, timeZone);
    if (this.next(0) === undefined) throw refused("cron", expression, "times that come at all");
  }

  next(afterMs: number): number | undefined {
    return this.#cron.nextRun(new Date(afterMs))?.getTime();
  }

  between(afterMs: number, untilMs: number, max: number): number[] {
    const first = this.next(afterMs);
    if (first === undefined || first > untilMs) return [];
    const second = this.next(first);
    if (second === undefined || second > untilMs) return [first];
    // What is before the millisecond after the end.
    const newest = this.#cron.previousRuns(max, new Date(untilMs + 1));
    return newest
      .map((date) => date.getTime())
      .filter((atMs) => atMs > afterMs)
      .reverse();
  }
}

function parse(expression: string, timezone: string): Cron {
  try {
    const cron = new Cron(expression, {
      timezone,
      mode: "5-or-6-parts",
      fixedTimeRule: "no-wildcard",
    });
    // It takes a single date too.
    if (cron.getPattern() !== undefined) return cron;
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^CronPattern: /, "") : "";
    throw refused("cron", expression, `${CRON_ALLOWED}; ${reason}`);
  }
  throw refused("cron", expression, CRON_ALLOWED);
}

const CRON_ALLOWED = 'five fields, or six with seconds first, such as "30 2 * * MON-FRI"';

function checkTimeZone(timeZone: string): void {
  try {
    new Intl.DateTimeFormat("en", { timeZone });
  } catch {
    throw refused("timeZone", timeZone, 'a name of the IANA database, such as "Europe/Berlin"');
  }
}

function refused(field: string, value: string, allowed: string): BusError {
  const message = `${field} is ${JSON.stringify(value)}; allowed: ${allowed}`;
  return new BusError("INVALID_ARGUMENT", message, { details: { field, value, allowed } });
}
