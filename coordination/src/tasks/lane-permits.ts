import type { Bus } from "@busbar/core";
import { Permits, type PermitsOptions } from "../permits/permits.ts";
import type { Lane } from "./lane.ts";

/** What {@link LanePermits} are made of. */
export interface LanePermitsParts extends PermitsOptions {
  readonly bus: Bus;
  /** Called when everything that was permitted is lost. */
  readonly lost: () => void;
  /** Called when permits of a lane were given back. */
  readonly freed: (lane: Lane) => Promise<void>;
}

/** The permits of a pool: how many tasks of each lane it may run. Opened when the first one is needed. */
export class LanePermits {
  readonly #parts: LanePermitsParts;
  #permits: Promise<Permits> | undefined;
  #current: Permits | undefined;

  constructor(parts: LanePermitsParts) {
    this.#parts = parts;
  }

  /**
   * How many more tasks of a lane may run, up to `wanted`; `lane.expected` grows by it.
   * @throws BusError as `Permits`
   */
  async allow(lane: Lane, wanted: number, limit: number | null): Promise<number> {
    const allowed = limit === null ? wanted : await this.#take(lane, wanted, limit);
    lane.expected += allowed;
    return allowed;
  }

  /** Whether one more task may run at this moment: time has passed since it was allowed. */
  covers(lane: Lane, limit: number | null): boolean {
    return limit === null || (this.#current?.held(lane.name) ?? 0) > lane.running;
  }

  /** What the lane does not use, others may. */
  async giveBack(lane: Lane): Promise<void> {
    try {
      const permits = await this.#permits;
      const spare = permits === undefined ? 0 : spareOf(permits, lane);
      if (permits === undefined || spare <= 0) return;
      await permits.release(lane.name, spare);
      await this.#parts.freed(lane);
    } catch {
      // What could not be given back is found when the lane is next looked at.
    }
  }

  /** Gives everything back. */
  async close(): Promise<void> {
    const permits = await this.#permits?.catch(() => undefined);
    await permits?.close().catch(() => undefined);
  }

  async #take(lane: Lane, wanted: number, limit: number): Promise<number> {
    const permits = await this.#open();
    const spare = spareOf(permits, lane);
    if (spare < wanted) await permits.acquire(lane.name, wanted - Math.max(0, spare), limit);
    // Read again: meanwhile others of this pool may have used some.
    return Math.max(0, Math.min(wanted, spareOf(permits, lane)));
  }

  #open(): Promise<Permits> {
    this.#permits ??= this.#new().catch((error: unknown) => {
      this.#permits = undefined;
      throw error;
    });
    return this.#permits;
  }

  async #new(): Promise<Permits> {
    const { bus, lost, freed: _, ...options } = this.#parts;
    const permits = await Permits.open(bus, options);
    this.#current = permits;
    permits.lost.addEventListener("abort", () => {
      this.#permits = undefined;
      this.#current = undefined;
      void permits.close().catch(() => undefined);
      lost();
    });
    return permits;
  }
}

function spareOf(permits: Permits, lane: Lane): number {
  return permits.held(lane.name) - lane.running - lane.expected;
}
