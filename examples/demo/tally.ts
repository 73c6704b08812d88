import { EventEmitter, once } from "node:events";
import type { WorkerEvent } from "./worker.ts";

/** What the workers told about one tenant. */
export interface TenantTally {
  /** Begun, and not ended as far as it is known. */
  readonly running: Set<string>;
  done: number;
  /** Attempts that were not the first. */
  again: number;
  cancelled: number;
  dead: number;
  /** The longest wait of a first attempt, in milliseconds. */
  slowestMs: number;
}

/** What the workers told. */
export class Tally {
  /** The tasks of the schedule by the time at which they were due. */
  readonly ticks = new Map<string, Set<string>>();
  readonly #tenants = new Map<string, TenantTally>();
  /** Who has begun a task last. */
  readonly #holders = new Map<string, string>();
  readonly #changes = new EventEmitter().setMaxListeners(0);

  /** Takes in what a worker told. */
  hear(worker: string, event: WorkerEvent): void {
    const tenant = this.of(event.tenant);
    if (event.type === "started") {
      tenant.running.add(event.task);
      this.#holders.set(event.task, worker);
      if (event.attempt > 1) tenant.again += 1;
      else tenant.slowestMs = Math.max(tenant.slowestMs, event.waitedMs);
      if (event.tick !== undefined) this.#tick(event.tick, event.task);
    } else if (this.#holders.get(event.task) === worker) {
      tenant.running.delete(event.task);
      this.#holders.delete(event.task);
      if (event.how === "done" || event.how === "cancelled" || event.how === "dead") {
        tenant[event.how] += 1;
      }
    }
    this.#changes.emit("change");
  }

  /** Of a tenant. */
  of(tenant: string): TenantTally {
    let own = this.#tenants.get(tenant);
    if (own === undefined) {
      own = { running: new Set(), done: 0, again: 0, cancelled: 0, dead: 0, slowestMs: 0 };
      this.#tenants.set(tenant, own);
    }
    return own;
  }

  /** What a worker has begun and not ended. */
  heldBy(worker: string): string[] {
    return [...this.#holders].filter(([, holder]) => holder === worker).map(([task]) => task);
  }

  /** Who runs a task. */
  holderOf(task: string): string | undefined {
    return this.#holders.get(task);
  }

  /** A worker is dead: it runs nothing any more. */
  bury(worker: string): void {
    for (const task of this.heldBy(worker)) {
      for (const { running } of this.#tenants.values()) running.delete(task);
      this.#holders.delete(task);
    }
  }

  /** Resolves as soon as `reached` holds. @throws the reason of the signal */
  async until(reached: () => boolean, signal: AbortSignal): Promise<void> {
    while (!reached()) await once(this.#changes, "change", { signal });
  }

  #tick(tick: string, task: string): void {
    const tasks = this.ticks.get(tick) ?? new Set();
    this.ticks.set(tick, tasks.add(task));
  }
}
