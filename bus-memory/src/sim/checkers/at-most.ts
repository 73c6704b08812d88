import { checkInteger } from "@busbar/core/adapter";
import type { CountingChecker } from "../checker.ts";
import type { TraceEvent } from "../trace.ts";
import { type Execution, Executions, named, TOLERANCE_MS } from "./executions.ts";

/** What an execution counts for: the same text counts together, `undefined` does not count. */
export type CountedAs = (execution: Execution) => string | undefined;

/**
 * At no instant more than `limit` executions of jobs run: of the queue that is named, or of those for
 * which `of` gives the same text.
 *
 * *Proves* it for executions as the workers see them: from the delivery to the first of: what
 * settles it is sent; its lease is over, by the worker's clock or as far as the server has told
 * it to the worker; its process is killed or closes its bus. What is over at an instant does not run
 * at it.
 *
 * *Assumes* that a worker stops with its lease.
 *
 * *Cannot see* work that goes on after the settle or after the lease, nor work that did not come by a
 * queue. A lease whose renewal was not confirmed counts as not renewed.
 *
 * @throws RangeError if `limit` is not an integer from 1 to 1_000_000
 */
export function atMost(limit: number, of: string | CountedAs): CountingChecker {
  checkInteger("limit", limit, 1, 1_000_000);
  const countedAs =
    typeof of === "string"
      ? ({ queue }: Execution) => (queue === of ? `queue ${of}` : undefined)
      : of;
  return new AtMost(limit, countedAs);
}

class AtMost implements CountingChecker {
  readonly name: string;
  readonly #limit: number;
  readonly #countedAs: CountedAs;
  readonly #executions = new Executions();
  readonly #running = new Map<string, Execution[]>();
  readonly #counts = {
    /** Executions that were counted. */
    executions: 0,
    /** The most that ran at one instant. */
    most: 0,
  };

  constructor(limit: number, countedAs: CountedAs) {
    this.name = `at most ${limit} running`;
    this.#limit = limit;
    this.#countedAs = countedAs;
  }

  get counts(): Readonly<Record<string, number>> {
    return this.#counts;
  }

  event(event: TraceEvent): string | undefined {
    const change = this.#executions.event(event);
    if (change?.what !== "started") return undefined;
    const { execution } = change;
    const key = this.#countedAs(execution);
    if (key === undefined) return undefined;
    const nowMs = event.atMs;
    const before = this.#running.get(key) ?? [];
    // At most `limit` are left each time, so each is looked at a bounded number of times.
    const running = [...before, execution].filter((one) => isRunning(one, nowMs));
    this.#running.set(key, running);
    this.#counts.executions += 1;
    this.#counts.most = Math.max(this.#counts.most, running.length);
    if (running.length <= this.#limit) return undefined;
    const names = running.map((one) => `job ${one.id} at ${named(one)}`).join(", ");
    return `${key}: ${running.length} run at the same time, allowed are ${this.#limit}: ${names}`;
  }
}

function isRunning(execution: Execution, nowMs: number): boolean {
  const { settledAtMs, endedAtMs, leaseEndsAtMs, heldUntilMs } = execution;
  if (settledAtMs <= nowMs || endedAtMs <= nowMs) return false;
  return Math.min(leaseEndsAtMs, heldUntilMs) > nowMs + TOLERANCE_MS;
}
