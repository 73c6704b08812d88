import type { CloseReport } from "@busbar/core";
import type { Owned } from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import type { JobHolder } from "./engine/job-term.ts";
import { IdleGate } from "./idle-gate.ts";

/** A claimed job that watches the end of its lease. */
export interface LeaseWatcher {
  /** The bus is closed: nobody can settle it any more. */
  abandon(): void;
}

/** All jobs that this bus has claimed and not settled. */
export class WorkerHand implements JobHolder, Owned {
  /** Jobs that have somebody waiting for the end of their lease. */
  readonly watchers: Set<LeaseWatcher> = new Set();
  readonly #context: BusContext;
  readonly #gate = new IdleGate();
  #held = 0;

  constructor(context: BusContext) {
    this.#context = context;
  }

  /** So many more. */
  take(count: number): void {
    this.#held += count;
  }

  released(): void {
    this.#held -= 1;
    if (this.#held === 0) this.#gate.open();
  }

  async stop(drainMs: number): Promise<CloseReport> {
    if (this.#held > 0) await this.#gate.wait(this.#context.clock, drainMs);
    return { abandoned: this.#held };
  }

  /** The bus is closed. */
  end(): void {
    for (const watcher of this.watchers) watcher.abandon();
    this.watchers.clear();
  }
}
