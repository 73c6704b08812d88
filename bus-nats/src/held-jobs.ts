import type { Clock } from "@busbar/core";
import { within } from "@busbar/core/adapter";

/** A claimed job, as far as {@link HeldJobs} cares. */
export interface HeldJob {
  /** The end of its lease, by the monotonic clock. */
  readonly endsAt: number;
  /** Its place in {@link HeldJobs}; -1 if it is not there. Kept by that class. */
  heldAt: number;
  /** Whether the server may forget its lease when it is killed: it was set or renewed by us. */
  readonly atRisk: boolean;
  /** Says what is left of the lease to the server again. */
  reassert(): void;
}

/** A server that comes back looks for ended ack waits not before this long after its start. */
const FIRST_CHECK_MS = 500;
/** Of every so many milliseconds of wall time ... */
const SLOT_MS = 250;
/** ... the last so many are kept free of delayed naks. */
const QUIET_MS = 30;

/**
 * Waits, for a moment, until a delayed nak does no harm. Each one puts off
 * the server's look at all ack waits by 10 ms (`processNak` in server/consumer.go): with more than a
 * hundred a second no ended lease would ever be found. So all clients hold them back in the same
 * short part of wall time, and the server gets to look. Clocks that disagree cost time, not safety.
 */
export async function quietMoment(clock: Clock): Promise<void> {
  const phase = clock.now() % SLOT_MS;
  if (phase >= SLOT_MS - QUIET_MS) await clock.sleep(SLOT_MS - phase);
}

const SWEEP_EVERY = 1_024;

/** The jobs that this bus has claimed and not settled. */
export class HeldJobs {
  readonly #clock: Clock;
  // Not a Set: V8 keeps short-lived members of one alive until the next full collection.
  readonly #jobs: HeldJob[] = [];
  #onEmpty: (() => void) | undefined;
  #added = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A job was claimed. Forgets, now and then, those that ended without a settle. */
  add(job: HeldJob): void {
    job.heldAt = this.#jobs.push(job) - 1;
    this.#added += 1;
    if (this.#added % SWEEP_EVERY === 0) this.#sweep();
  }

  /** A job was settled, or its lease is over. */
  remove(job: HeldJob): void {
    const at = job.heldAt;
    if (at < 0) return;
    job.heldAt = -1;
    const last = this.#jobs.pop() as HeldJob;
    if (last !== job) {
      this.#jobs[at] = last;
      last.heldAt = at;
    }
    if (this.#jobs.length === 0) this.#onEmpty?.();
  }

  /**
   * A lease other than the default one, or renewed by a heartbeat, is a recent note of the server,
   * which a kill may lose. After a reconnect its holder says it again, with what is left of it. Only
   * where we dial so often that nobody can have been handed the job meanwhile: a server that comes
   * back takes its time before it looks (`readStoredState` in nats-server's consumer.go).
   */
  reassert(reconnectWaitMs: number): void {
    if (reconnectWaitMs * 1.25 >= FIRST_CHECK_MS) return;
    for (const job of this.#jobs) if (job.atRisk) job.reassert();
  }

  /** Waits up to `drainMs` until all are settled. @returns how many are not. */
  async drain(drainMs: number): Promise<number> {
    this.#sweep();
    if (this.#jobs.length > 0 && drainMs > 0) {
      const empty = new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
      });
      await within(this.#clock, empty, drainMs);
    }
    this.#sweep();
    return this.#jobs.length;
  }

  #sweep(): void {
    const now = this.#clock.monotonic();
    for (const job of this.#jobs.filter(({ endsAt }) => endsAt <= now)) this.remove(job);
  }
}
