import type { Headers } from "@busbar/core";
import { Deadline } from "./deadlines.ts";

/** Where a job is. See {@link StoredJob}. */
export type JobState = "ready" | "delayed" | "leased" | "dead" | "gone";

/** Who is told when the lease or the delay of a job is over. */
export interface JobOwner {
  timeOver(job: StoredJob): void;
}

/** Who holds a lease. */
export interface JobHolder {
  /** The lease is over, for whatever reason. */
  released(): void;
}

/** What a job is made of. */
export interface JobContent {
  readonly payload: Uint8Array;
  readonly headers: Headers;
  readonly dedupKey: string | undefined;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly enqueuedAtMs: number;
}

/**
 * A job as its queue keeps it. Its deadline is the end of its delay or of its lease.
 *
 * *ready* -> claimed -> *leased*; *leased* -> ack -> *gone*; *leased* -> nak or lease over ->
 * *ready*, *delayed* or, after the last attempt, *dead*; *delayed* -> time over -> *ready*;
 * any but *dead* -> purge -> *gone*.
 */
export class StoredJob extends Deadline {
  readonly #owner: JobOwner;
  readonly id: string;
  readonly content: JobContent;
  /** Its place among those of its priority. */
  rank: number;
  state: JobState = "ready";
  attempt = 0;
  /** Of the last claim. */
  fence = 0;
  holder: JobHolder | undefined = undefined;
  bagSlot = -1;

  constructor(owner: JobOwner, rank: number, content: JobContent) {
    super();
    this.#owner = owner;
    this.rank = rank;
    this.id = String(rank);
    this.content = content;
  }

  expire(): void {
    this.#owner.timeOver(this);
  }
}
