import type { Clock, Timer } from "@busbar/core";
import type { Lane } from "./lane.ts";

/** What a {@link LaneSweep} is made of. */
export interface LaneSweepParts {
  readonly clock: Clock;
  /** Every lane with work is looked at once in this time. */
  readonly leaseMs: number;
  readonly lanes: () => Iterable<Lane>;
  readonly look: (lane: Lane) => void;
}

/** How often some lanes are looked at, and how many at least. */
const SWEEP_MS = 5_000;
const SWEPT = 100;
/** How long a lane counts as one with work since it last had some. */
const WORK_MS = 600_000;

/**
 * Looks at lanes that nobody woke: a live message may be lost, and a worker may have died with tasks. The
 * lanes that had work in the last ten minutes are all looked at within a lease, at least a hundred every
 * five seconds; of the others a hundred every five seconds.
 */
export class LaneSweep {
  readonly #parts: LaneSweepParts;
  readonly #places = { busy: 0, idle: 0 };
  #timer: Timer | undefined;

  constructor(parts: LaneSweepParts) {
    this.#parts = parts;
  }

  /** Begins. */
  start(): void {
    this.#timer = this.#parts.clock.setTimer(() => {
      this.#sweep();
      this.start();
    }, SWEEP_MS);
  }

  /** Ends. */
  stop(): void {
    this.#timer?.cancel();
  }

  #sweep(): void {
    const { clock, leaseMs, lanes } = this.#parts;
    const since = clock.monotonic() - WORK_MS;
    const busy: Lane[] = [];
    const idle: Lane[] = [];
    for (const lane of lanes()) (lane.workedAt >= since ? busy : idle).push(lane);
    this.#look("busy", busy, Math.max(SWEPT, Math.ceil((busy.length * SWEEP_MS) / leaseMs)));
    this.#look("idle", idle, SWEPT);
  }

  #look(which: "busy" | "idle", lanes: readonly Lane[], count: number): void {
    for (let looked = 0; looked < Math.min(count, lanes.length); looked++) {
      const place = (this.#places[which] + 1) % lanes.length;
      this.#places[which] = place;
      this.#parts.look(lanes[place] as Lane);
    }
  }
}
