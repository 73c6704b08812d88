import type { CloseReport } from "@busbar/core";
import { closedError, type Owned } from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import { IdleGate } from "./idle-gate.ts";

/** A request that waits for replies. */
export interface Waiting {
  /** Ends it with an error. */
  fail(error: unknown): void;
}

/** All requests of one bus that wait for replies. */
export class PendingRequests implements Owned {
  readonly #context: BusContext;
  readonly #waiting = new Set<Waiting>();
  readonly #gate = new IdleGate();

  constructor(context: BusContext) {
    this.#context = context;
  }

  /** How many there are. */
  get size(): number {
    return this.#waiting.size;
  }

  /** One more. */
  add(request: Waiting): void {
    this.#waiting.add(request);
  }

  /** One has ended. */
  remove(request: Waiting): void {
    this.#waiting.delete(request);
    if (this.#waiting.size === 0) this.#gate.open();
  }

  async stop(drainMs: number): Promise<CloseReport> {
    if (this.#waiting.size > 0) await this.#gate.wait(this.#context.clock, drainMs);
    const abandoned = this.#waiting.size;
    for (const request of this.#waiting) request.fail(closedError("the bus"));
    return { abandoned };
  }
}
