import { type Clock, isBusError } from "@busbar/core";
import type { Draws } from "./draws.ts";
import type { Call } from "./link.ts";
import type { TraceEvent } from "./trace.ts";

const NO_FACTS: Readonly<Record<string, unknown>> = Object.freeze({});

interface Outcome<T> {
  readonly number: number;
  readonly value: T;
  readonly facts: ((value: T) => Readonly<Record<string, unknown>>) | undefined;
}

/** Counts of a run. */
export interface RunCounts {
  /** Operations that processes began. */
  readonly calls: number;
  /** Messages, events, requests and replies that reached them. */
  readonly deliveries: number;
  /** Faults that happened, by kind. */
  readonly faults: Readonly<Record<string, number>>;
}

/** What a {@link Recorder} needs. */
export interface RecorderParts {
  readonly clock: Clock;
  readonly draws: Draws;
  readonly watchers: readonly ((event: TraceEvent) => void)[];
  /** How many events may happen without time passing. */
  readonly maxEventsAtOnce: number;
  /** Called once when there are more: somebody goes round in circles, and time stands still. */
  readonly circles: (lastEvent: string) => void;
}

/** Writes down what happens, and shows it to whoever watches. */
export class Recorder {
  readonly #parts: RecorderParts;
  readonly #startMs: number;
  readonly #faults: Record<string, number> = {};
  #calls = 0;
  #deliveries = 0;
  #lastMs = 0;
  #atOnce = 0;

  constructor(parts: RecorderParts) {
    this.#parts = parts;
    this.#startMs = parts.clock.monotonic();
  }

  /** The world's time since its start. */
  get nowMs(): number {
    return this.#parts.clock.monotonic() - this.#startMs;
  }

  get counts(): RunCounts {
    return { calls: this.#calls, deliveries: this.#deliveries, faults: { ...this.#faults } };
  }

  /** Whether anybody looks at events: else nobody needs their facts. */
  get isWatched(): boolean {
    return this.#parts.watchers.length > 0;
  }

  /** A process begins an operation. @returns its number */
  call(process: string, { op, about, data = NO_FACTS }: Call): number {
    const call = ++this.#calls;
    if (this.#happened(call, process, op, about)) {
      this.#show({ type: "call", process, op, about, call, data });
    }
    return call;
  }

  /** It has its result. */
  done<T>(process: string, { op, about }: Call, { number, value, facts }: Outcome<T>): void {
    if (!this.#happened(number, process, op, about)) return;
    const data = facts === undefined ? NO_FACTS : facts(value);
    this.#show({ type: "result", process, op, about, call: number, data });
  }

  /** It failed. */
  failed(
    process: string,
    { op, about }: Call,
    failure: { readonly number: number; readonly error: unknown },
  ): void {
    const { number, error } = failure;
    if (!this.#happened(number, process, op, about)) return;
    const { code, details } = isBusError(error) ? error : { code: undefined, details: undefined };
    // Whether it may have been done all the same, and what a conflict was with.
    const { outcome, revision } = details ?? {};
    const data = { code, outcome, revision };
    this.#show({ type: "error", process, op, about, call: number, data });
  }

  /** Something reached a process. */
  delivered(process: string, op: string, about: string, facts: () => TraceEvent["data"]): void {
    this.#deliveries += 1;
    if (!this.#happened(0, process, op, about)) return;
    this.#show({ type: "deliver", process, op, about, call: 0, data: facts() });
  }

  /** A fault happens. */
  fault(process: string, op: string, data: TraceEvent["data"]): void {
    this.#faults[op] = (this.#faults[op] ?? 0) + 1;
    if (!this.#happened(0, process, op, "")) return;
    this.#show({ type: "fault", process, op, about: "", call: 0, data });
  }

  /** Something else. */
  note(process: string, op: string, data: TraceEvent["data"] = NO_FACTS): void {
    if (!this.#happened(0, process, op, "")) return;
    this.#show({ type: "note", process, op, about: "", call: 0, data });
  }

  /** Counts it. @returns whether anybody looks: most runs make no object of what happens */
  #happened(call: number, process: string, op: string, about: string): boolean {
    const { draws, maxEventsAtOnce, circles } = this.#parts;
    const atMs = this.nowMs;
    draws.mix(atMs);
    draws.mix(call);
    if (atMs !== this.#lastMs) {
      this.#lastMs = atMs;
      this.#atOnce = 0;
    }
    this.#atOnce += 1;
    if (this.#atOnce === maxEventsAtOnce + 1) circles(`${process}: ${op} ${about}`);
    return this.isWatched;
  }

  #show(event: Omit<TraceEvent, "atMs">): void {
    const full = { atMs: this.nowMs, ...event };
    for (const watch of this.#parts.watchers) watch(full);
  }
}
