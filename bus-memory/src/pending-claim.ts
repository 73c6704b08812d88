import type { ClaimedJob } from "@busbar/core";
import { closedError } from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import { Deadline } from "./engine/deadlines.ts";
import type { ClaimRequest, ClaimWaiter, Queue } from "./engine/queue.ts";
import type { JobTerm } from "./engine/job-term.ts";

/** What a {@link PendingClaim} waits with. */
export interface PendingClaimOptions {
  readonly queue: Queue;
  readonly request: ClaimRequest;
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
  /** Puts granted jobs into the worker's hands. */
  readonly hold: (claims: JobTerm[]) => ClaimedJob[];
}

/** A claim that waits for its first job: for a time, a signal, or the end of the bus. */
export class PendingClaim extends Deadline implements ClaimWaiter {
  readonly request: ClaimRequest;
  readonly #context: BusContext;
  readonly #all: Set<PendingClaim>;
  readonly #options: PendingClaimOptions;
  #resolve: (jobs: ClaimedJob[]) => void = () => undefined;
  #reject: (reason: unknown) => void = () => undefined;

  constructor(context: BusContext, all: Set<PendingClaim>, options: PendingClaimOptions) {
    super();
    this.request = options.request;
    this.#context = context;
    this.#all = all;
    this.#options = options;
  }

  /** Waits; an empty array when the time is over. */
  wait(): Promise<ClaimedJob[]> {
    const { queue, waitMs, signal } = this.#options;
    this.#all.add(this);
    queue.wait(this);
    this.#context.deadlines.set(this, this.#context.nowMs + waitMs);
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  grant(claims: JobTerm[]): void {
    this.#end();
    this.#resolve(this.#options.hold(claims));
  }

  expire(): void {
    this.#end();
    this.#resolve([]);
  }

  /** The bus is closed. */
  close(): void {
    this.#end();
    this.#reject(closedError("the bus"));
  }

  readonly #onAbort = (): void => {
    this.#end();
    this.#reject(this.#options.signal?.reason);
  };

  #end(): void {
    const { queue, signal } = this.#options;
    this.#all.delete(this);
    queue.unwait(this);
    this.#context.deadlines.clear(this);
    signal?.removeEventListener("abort", this.#onAbort);
  }
}
