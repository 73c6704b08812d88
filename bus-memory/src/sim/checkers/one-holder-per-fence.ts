import type { CountingChecker } from "../checker.ts";
import type { TraceEvent } from "../trace.ts";
import {
  type Execution,
  type ExecutionChange,
  Executions,
  isFree,
  named,
  TOLERANCE_MS,
} from "./executions.ts";
import { LeaseHolders } from "./lease-holders.ts";
import { Losses } from "./losses.ts";

/**
 * Leases on keys and claims of jobs have one holder at a time, and their fences grow.
 *
 * *Proves*
 * - No fence of a key is given twice. One that is granted after another was granted is greater.
 * - At no instant two processes take themselves for the holder of one key: from the result of
 *   `lease` until `release` is called, `lost` fires, the TTL is over by the holder's own clock (while
 *   its process is paused, `lost` cannot fire), or its process ends.
 * - A job is handed out only when its claim before was settled, or its lease over by the server's
 *   time; no fence of it is given twice, and fences are in the order in which they were granted.
 * - Accepted writes to a guarded resource never carry a smaller fence after a larger one. The program
 *   says what was accepted: `note("guarded", { resource, fence })`.
 *
 * *Assumes* that no clock is so much too slow that a TTL by it is longer than a TTL and its safety
 * margin (a tenth, at most 2 seconds): with a drift of 5 per cent that is so for TTLs over 40 seconds,
 * and then a failure of this checker is what a real cluster would do.
 *
 * *Cannot see* leases and claims of `world.bus`, nor whether a holder that does not look at `lost`
 * goes on: that is what fences and guards are for. A worker whose clock is slow may take a job for
 * its own a little longer than the server: it cannot settle it then.
 */
export function oneHolderPerFence(): CountingChecker {
  return new OneHolderPerFence();
}

class OneHolderPerFence implements CountingChecker {
  readonly name = "one holder per fence";
  readonly #losses = new Losses();
  readonly #executions = new Executions();
  readonly #leases = new LeaseHolders(this.#executions.processes);
  readonly #guards = new Map<string, { readonly fence: number; readonly process: string }>();
  readonly #counts = { claims: 0, guarded: 0 };

  get counts(): Readonly<Record<string, number>> {
    return { ...this.#counts, leases: this.#leases.grants };
  }

  event(event: TraceEvent): string | undefined {
    const { type, op } = event;
    this.#losses.event(event);
    // Also tells both which processes there are.
    const change = this.#executions.event(event);
    if (change) return this.#checkJob(change);
    if (op.startsWith("lease.") || type === "note") {
      if (type === "note" && op === "guarded") return this.#guarded(event);
      return this.#leases.event(event);
    }
    return undefined;
  }

  #checkJob({ what, execution }: ExecutionChange): string | undefined {
    if (what !== "started" && what !== "renewed") return undefined;
    if (what === "started") this.#counts.claims += 1;
    const all = this.#executions.of(execution.queue, execution.id);
    const index = all.indexOf(execution);
    return this.#pair(all[index - 1], execution) ?? this.#pair(execution, all[index + 1]);
  }

  /** Two executions of a job, one behind the other by their fences. */
  #pair(one: Execution | undefined, next: Execution | undefined): string | undefined {
    if (one === undefined || next === undefined) return undefined;
    const job = `job ${one.id} of queue ${one.queue}`;
    // A server that loses writes gives their ids to other jobs.
    if (this.#losses.lostWritesBetween(one.grantedAtMs, next.startedAtMs)) return undefined;
    if (one.fence === next.fence) {
      return `${job}: fence ${one.fence} was given to ${named(one)} and to ${named(next)}`;
    }
    if (one.grantedAtMs > next.grantedAtMs + TOLERANCE_MS) {
      return `${job}: the fence does not grow from ${named(next)} to ${named(one)}`;
    }
    if (isFree(one, next.grantedAtMs)) return undefined;
    return `${job} has two holders: the lease of ${named(one)} runs until +${one.leaseEndsAtMs.toFixed(1)}, but ${named(next)} got it`;
  }

  #guarded({ process, data }: TraceEvent): string | undefined {
    const { resource, fence } = data as { readonly resource: unknown; readonly fence: number };
    const name = String(resource);
    const last = this.#guards.get(name);
    this.#counts.guarded += 1;
    if (last !== undefined && fence < last.fence) {
      return `${name} accepted fence ${fence} of ${process} after fence ${last.fence} of ${last.process}`;
    }
    this.#guards.set(name, { fence, process });
    return undefined;
  }
}
