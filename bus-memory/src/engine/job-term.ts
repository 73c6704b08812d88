import { Deadline } from "./deadlines.ts";
import type { StoredJob } from "./stored-job.ts";

/** Who holds leases. */
export interface JobHolder {
  /** One is over, for whatever reason. */
  released(): void;
}

/** Who is told when a lease or a delay has run out. */
export interface JobTermOwner {
  termOver(term: JobTerm): void;
}

/**
 * The time for which a job is not to be handed out: a lease, or a delay where there is no holder.
 *
 * *running* -> settled, or run out -> *over*; *running* -> its job is taken out -> *removed*.
 */
export class JobTerm extends Deadline {
  readonly job: StoredJob;
  readonly holder: JobHolder | undefined;
  /** Of the claim; 0 for a delay. */
  readonly fence: number;
  readonly #owner: JobTermOwner;
  state: "running" | "over" | "removed" = "running";
  bagSlot = -1;

  constructor(
    owner: JobTermOwner,
    job: StoredJob,
    claim?: { readonly holder: JobHolder; readonly fence: number },
  ) {
    super();
    this.#owner = owner;
    this.job = job;
    this.holder = claim?.holder;
    this.fence = claim?.fence ?? 0;
  }

  expire(): void {
    this.#owner.termOver(this);
  }
}
