import type { ClaimedJob, ClaimOptions, JobQueue } from "@busbar/core";
import type { Lane } from "./lane.ts";
import { laneQueue } from "./lanes.ts";

/** What {@link LaneClaims} are made of. */
export interface LaneClaimsParts {
  readonly jobs: JobQueue;
  readonly queue: string;
  readonly options: ClaimOptions;
  /** Called for each claim. */
  readonly onClaim: () => void;
}

/** Takes tasks from lanes. */
export class LaneClaims {
  readonly #parts: LaneClaimsParts;

  constructor(parts: LaneClaimsParts) {
    this.#parts = parts;
  }

  /**
   * In the order of the lane; every so many tasks one of a lower priority, if one waits: see `Lane.aged`.
   * Those come last, so that a claim that takes all there is has them in their order.
   */
  async claim(lane: Lane, max: number): Promise<ClaimedJob[]> {
    const brought = lane.claiming(max);
    const aged = lane.aged(max);
    const strict = max - aged.length;
    const claimed = strict === 0 ? [] : await this.#take(lane, { max: strict });
    // Fewer than asked for: there are no others, of whatever priority.
    const asked = claimed.length < strict ? [] : [...new Set(aged)];
    try {
      for (const maxPriority of asked) {
        const count = aged.filter((priority) => priority === maxPriority).length;
        claimed.push(...(await this.#take(lane, { max: count, maxPriority })));
      }
      const left = max - claimed.length;
      if (asked.length > 0 && left > 0) claimed.push(...(await this.#take(lane, { max: left })));
      brought(claimed.length);
    } catch (error) {
      if (claimed.length === 0) throw error;
    }
    lane.claimed(claimed.length, asked);
    return claimed;
  }

  #take({ name }: Lane, options: Partial<ClaimOptions>): Promise<ClaimedJob[]> {
    const { jobs, queue, options: common, onClaim } = this.#parts;
    onClaim();
    return jobs.claim(laneQueue(queue, name), { ...common, ...options });
  }
}
