import type { WorkerEvent } from "./worker.ts";

/** Adds up what the workers tell. */
export class Tally {
  deliveries = 0;
  redelivered = 0;
  /** Jobs that came back although their file was counted: their worker died before it settled. */
  countedBefore = 0;
  /** Events that were published, and not refused as duplicates. */
  announced = 0;
  failedAttempts = 0;
  leasesLost = 0;
  /** Compare-and-sets of the totals that lost a race. */
  conflicts = 0;
  /** How many jobs the dead worker took with it. */
  heldByDead = 0;
  readonly #indexed = new Set<string>();

  /** Files that are in the index. */
  get files(): number {
    return this.#indexed.size;
  }

  add(event: WorkerEvent): void {
    switch (event.type) {
      case "claimed":
        this.deliveries += event.attempts.length;
        this.redelivered += event.attempts.filter((attempt) => attempt > 1).length;
        break;
      case "indexed":
        this.#indexed.add(event.path);
        this.conflicts += event.conflicts;
        this.announced += Number(event.announced);
        this.countedBefore += Number(!event.counted);
        break;
      case "failed":
        this.failedAttempts += 1;
        break;
      case "leaseLost":
        this.leasesLost += 1;
        break;
      case "hung":
        this.heldByDead += event.holding;
        break;
    }
  }
}
