import { closedError } from "@busbar/core/adapter";
import type { KeptLease } from "../locks/kept-lease.ts";

/** A leader and its term. */
export interface Leader {
  /** Counts the leaderships of this election: 1 is the first one, each is one more. */
  readonly term: number;
  /** The candidate. */
  readonly leader: string;
  /** What it said about itself. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a {@link Leadership} is made of. */
export interface LeadershipParts {
  readonly leader: Leader;
  readonly lease: KeptLease;
  /** Writes down who shall lead next, as long as this one leads. */
  readonly nominate: (successor: string) => Promise<void>;
}

/**
 * One term as a leader.
 *
 * States: *leading* -> not renewed in time, or its bus closes -> *lost*; *leading* -> `resign()`,
 * `transfer()` -> *resigned*. `lost` aborts at the end of either; both are final.
 */
export class Leadership implements Leader {
  readonly term: number;
  readonly leader: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #parts: LeadershipParts;
  readonly #lost = new AbortController();

  constructor(parts: LeadershipParts) {
    const { term, leader, metadata } = parts.leader;
    this.term = term;
    this.leader = leader;
    this.metadata = metadata;
    this.#parts = parts;
    const { lost } = parts.lease;
    if (lost.aborted) this.end(lost.reason);
    else lost.addEventListener("abort", () => this.end(lost.reason), { once: true });
  }

  /**
   * Aborts when it is over, while the lease still stands at the server: who stops at once never
   * overlaps with the next leader. Reasons: `LEASE_LOST`; `CLOSED` after `resign`, `transfer` and the
   * end of its bus; that of the signal of `whileLeader`.
   */
  get lost(): AbortSignal {
    // A paused process finds out by asking, not by a timer.
    const { lost } = this.#parts.lease;
    if (lost.aborted) this.end(lost.reason);
    return this.#lost.signal;
  }

  /** Gives it up; others may lead at once. Idempotent. @throws BusError if the server cannot be told */
  async resign(): Promise<void> {
    this.end(closedError(`term ${this.term}`));
    await this.#parts.lease.release();
  }

  /**
   * Gives it up in favour of a candidate: others hold back for `handOverMs`. If that one does not
   * campaign, another one leads after that time.
   * @throws BusError `LEASE_LOST` if it is over; `INVALID_ARGUMENT`; others if the server cannot be told
   */
  async transfer(candidate: string): Promise<void> {
    this.lost.throwIfAborted();
    await this.#parts.nominate(candidate);
    await this.resign();
  }

  /** Ends the work of the leader. The lease stays until `resign`. @internal */
  end(reason: unknown): void {
    this.#lost.abort(reason);
  }
}
