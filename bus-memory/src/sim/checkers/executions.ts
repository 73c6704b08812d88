import type { TraceEvent } from "../trace.ts";
import { isRefused, type JobFacts, type JobSettleFacts } from "./facts.ts";
import { Processes } from "./processes.ts";

/** How a worker settled a job. */
export type JobSettle = "ack" | "nak" | "giveBack" | "deadLetter";

/** One handing out of a job to a worker, as the trace shows it. Times are the world's. */
export interface Execution {
  readonly process: string;
  readonly queue: string;
  readonly id: string;
  readonly attempt: number;
  readonly fence: number;
  /** As in the trace: long ones are cut, with length and hash. */
  readonly payload: string;
  /** When it reached the worker. */
  readonly startedAtMs: number;
  /** When the server gave it out. */
  readonly grantedAtMs: number;
  /** Until when the server gives it to nobody else, as far as the worker was told. */
  readonly leaseEndsAtMs: number;
  /** Until when the worker takes it for its own, by its own clock. */
  readonly heldUntilMs: number;
  /** What the worker sent last that was not refused. */
  readonly settle: JobSettle | undefined;
  readonly settledAtMs: number;
  /** When its process was killed, or closed its bus. */
  readonly endedAtMs: number;
}

/** What an event has changed. */
export interface ExecutionChange {
  readonly what: "started" | "settling" | "confirmed" | "refused" | "renewed";
  readonly execution: Execution;
  /** When the settle or heartbeat was begun. */
  readonly callAtMs: number;
}

type Open<T> = { -readonly [Key in keyof T]: T[Key] };

interface OpenCall {
  readonly execution: Open<Execution>;
  readonly op: string;
  readonly atMs: number;
  readonly facts: JobSettleFacts;
  readonly leaseMs: number;
}

/** Clocks of processes and of the world are joined by numbers that were rounded. */
export const TOLERANCE_MS = 0.5;

const SETTLES: ReadonlyMap<string, JobSettle> = new Map([
  ["job.ack", "ack"],
  ["job.nak", "nak"],
  ["job.giveBack", "giveBack"],
  ["job.deadLetter", "deadLetter"],
]);

/**
 * Follows the executions of jobs. A worker tells how much of a lease is left by its own clock; with
 * the rate of that clock this gives the time at which the server granted it.
 */
export class Executions {
  readonly processes: Processes = new Processes();
  readonly #jobs = new Map<string, Execution[]>();
  /** Those of each process that may still run. */
  readonly #running = new Map<string, Set<Open<Execution>>>();
  readonly #calls = new Map<number, OpenCall>();
  readonly #leaseMs = new WeakMap<Execution, number>();

  /** Those of a job, by their fences. */
  of(queue: string, id: string): readonly Execution[] {
    return this.#jobs.get(`${queue}/${id}`) ?? [];
  }

  /** Looks at every event. */
  event(event: TraceEvent): ExecutionChange | undefined {
    switch (event.type) {
      case "note":
        if (this.processes.event(event)) this.#ended(event);
        return undefined;
      case "deliver":
        return event.op === "job" ? this.#started(event) : undefined;
      case "call":
        return event.op.startsWith("job.") ? this.#called(event) : undefined;
      case "result":
        return event.op.startsWith("job.") ? this.#answered(event) : undefined;
      case "error":
        return event.op.startsWith("job.") ? this.#failed(event) : undefined;
      case "fault":
        return undefined;
    }
  }

  #started({ process, about, atMs, data }: TraceEvent): ExecutionChange {
    const { id, attempt, fence, leaseMs, payload, ...rest } = data as unknown as JobFacts;
    const { leftMs = leaseMs } = rest;
    const { rate } = this.processes.of(process);
    const grantedAtMs = atMs - (leaseMs - leftMs) / rate;
    const execution: Open<Execution> = {
      process,
      queue: about,
      id,
      attempt,
      fence,
      payload,
      startedAtMs: atMs,
      grantedAtMs,
      leaseEndsAtMs: grantedAtMs + leaseMs,
      heldUntilMs: atMs + leftMs / rate,
      settle: undefined,
      settledAtMs: Number.POSITIVE_INFINITY,
      endedAtMs: Number.POSITIVE_INFINITY,
    };
    this.#leaseMs.set(execution, leaseMs);
    this.#insert(execution);
    const running = this.#running.get(process) ?? new Set();
    this.#running.set(process, running);
    running.add(execution);
    return { what: "started", execution, callAtMs: atMs };
  }

  #called({ process, op, about, call, atMs, data }: TraceEvent): ExecutionChange | undefined {
    const facts = data as unknown as JobSettleFacts;
    const execution = this.of(about, facts.id).find(
      (one) => one.fence === facts.fence && one.process === process,
    ) as Open<Execution> | undefined;
    if (execution === undefined) return undefined;
    const leaseMs = facts.leaseMs ?? (this.#leaseMs.get(execution) as number);
    this.#calls.set(call, { execution, op, atMs, facts, leaseMs });
    const settle = SETTLES.get(op);
    if (settle === undefined) return undefined;
    execution.settle = settle;
    execution.settledAtMs = atMs;
    this.#running.get(process)?.delete(execution);
    return { what: "settling", execution, callAtMs: atMs };
  }

  #answered({ process, call, atMs, data }: TraceEvent): ExecutionChange | undefined {
    const open = this.#calls.get(call);
    if (open === undefined) return undefined;
    this.#calls.delete(call);
    const { execution, op, facts, leaseMs } = open;
    if (op === "job.heartbeat") {
      const { leftMs } = data as { readonly leftMs?: number };
      const { rate } = this.processes.of(process);
      const renewedAtMs = leftMs === undefined ? open.atMs : atMs - (leaseMs - leftMs) / rate;
      execution.leaseEndsAtMs = renewedAtMs + leaseMs;
      execution.heldUntilMs = renewedAtMs + leaseMs / rate;
      return { what: "renewed", execution, callAtMs: open.atMs };
    }
    const isConfirmed = facts.confirm === true;
    return isConfirmed ? { what: "confirmed", execution, callAtMs: open.atMs } : undefined;
  }

  #failed(event: TraceEvent): ExecutionChange | undefined {
    const open = this.#calls.get(event.call);
    if (open === undefined) return undefined;
    this.#calls.delete(event.call);
    const { execution, op, atMs } = open;
    if (op === "job.heartbeat" || !isRefused(event)) return undefined;
    execution.settle = undefined;
    execution.settledAtMs = Number.POSITIVE_INFINITY;
    return { what: "refused", execution, callAtMs: atMs };
  }

  #ended({ process, atMs }: TraceEvent): void {
    for (const execution of this.#running.get(process) ?? []) execution.endedAtMs = atMs;
    this.#running.delete(process);
  }

  #insert(execution: Execution): void {
    const key = `${execution.queue}/${execution.id}`;
    const known = this.#jobs.get(key);
    if (known === undefined) {
      this.#jobs.set(key, [execution]);
      return;
    }
    let index = known.length;
    while (index > 0 && (known[index - 1] as Execution).fence > execution.fence) index -= 1;
    known.splice(index, 0, execution);
  }
}

/** For messages. */
export function named({ process, attempt, fence, grantedAtMs }: Execution): string {
  return `${process} (attempt ${attempt}, fence ${fence}, granted +${grantedAtMs.toFixed(1)})`;
}

/**
 * Whether the job of an execution was free again at a time: its worker had settled it, or its lease
 * was over by the server's time.
 */
export function isFree({ leaseEndsAtMs, settledAtMs }: Execution, atMs: number): boolean {
  return settledAtMs <= atMs + TOLERANCE_MS || leaseEndsAtMs <= atMs + TOLERANCE_MS;
}
