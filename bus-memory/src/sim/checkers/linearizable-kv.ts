import { checkInteger } from "@busbar/core/adapter";
import type { CountingChecker } from "../checker.ts";
import type { TraceEvent } from "../trace.ts";
import { KvHistories } from "./kv-histories.ts";
import { ANY_VALUE, type KvOperation, type KvState, NO_VALUE } from "./kv-model.ts";
import { linearize } from "./linearization.ts";

/** Options of {@link linearizableKv}. */
export interface LinearizableKvOptions {
  /**
   * How many steps the search may take for each key, 1 to 1_000_000_000. A key that needs more is
   * counted in `gaveUp`: nothing is known of it.
   * @defaultValue 100_000
   */
  readonly maxSteps?: number;
}

/**
 * Each key of a bucket is a register with revisions.
 *
 * *Proves*, at the end of the run, for each key: there is an order of its `get`, `put`, `create`,
 * `cas` and `delete` in which each has the result that its process saw, and each takes effect between
 * its call and its result. One of unknown outcome takes effect at some time after its call, or never.
 * Over all keys of a bucket, at once: no revision is given twice, and a write that begins when another
 * was answered gets a greater one.
 *
 * *Assumes* that all writes are made by processes: what `world.bus` does is not in the trace. After a
 * crash that lost writes nothing is known of any key; what was under way then has an unknown outcome.
 *
 * *Cannot see* keys with a TTL and keys of buckets that have one or were deleted (`skipped`), keys
 * whose search took too long (`gaveUp`), nor what `watch`, `keys` and `history` give.
 *
 * @throws RangeError if `maxSteps` is out of range
 */
export function linearizableKv(options: LinearizableKvOptions = {}): CountingChecker {
  const { maxSteps = 100_000 } = options;
  checkInteger("maxSteps", maxSteps, 1, 1_000_000_000);
  return new LinearizableKv(maxSteps);
}

class LinearizableKv implements CountingChecker {
  readonly name = "linearizable kv";
  readonly #maxSteps: number;
  readonly #histories = new KvHistories();
  readonly #counts = { keys: 0, operations: 0, unknown: 0, skipped: 0, gaveUp: 0 };

  constructor(maxSteps: number) {
    this.#maxSteps = maxSteps;
  }

  get counts(): Readonly<Record<string, number>> {
    return this.#counts;
  }

  event(event: TraceEvent): string | undefined {
    return this.#histories.event(event);
  }

  finish(): readonly string[] {
    const wrong: string[] = [];
    for (const { key, isSkipped, parts } of this.#histories.keys()) {
      if (isSkipped) {
        this.#counts.skipped += 1;
        continue;
      }
      this.#counts.keys += 1;
      for (const [index, part] of parts.entries()) {
        const what = this.#check(part, index === 0 ? NO_VALUE : ANY_VALUE);
        if (what !== undefined) wrong.push(`${key}: ${what}`);
      }
    }
    return wrong;
  }

  #check(operations: readonly KvOperation[], start: KvState): string | undefined {
    this.#counts.operations += operations.length;
    for (const { outcome } of operations) if (outcome === "unknown") this.#counts.unknown += 1;
    const found = linearize(operations, start, this.#maxSteps);
    if (found.answer === "gaveUp") this.#counts.gaveUp += 1;
    if (found.answer !== "none") return undefined;
    return `no order of its operations explains ${shownOperation(found.operation)}; at best there was ${shownState(found.state)}`;
  }
}

function shownOperation(operation: KvOperation): string {
  const { kind, process, atMs, value, expected, revision, outcome } = operation;
  const facts = [
    value === undefined ? "" : `value ${value}`,
    expected === undefined ? "" : `expected revision ${expected}`,
    outcome === "conflict" ? "a conflict" : "",
    revision === undefined ? "" : `revision ${revision}`,
  ].filter((fact) => fact !== "");
  return `${kind} of ${process} at +${atMs.toFixed(1)} (${facts.join(", ") || "no value"})`;
}

function shownState({ value, revision, isAny }: KvState): string {
  if (isAny) return "anything";
  if (value === undefined) return "no value";
  return `value ${value}, revision ${revision === 0 ? "not known" : revision}`;
}
