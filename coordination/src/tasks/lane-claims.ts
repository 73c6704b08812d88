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
    const aged = lane.aged(max);
    const strict = max - aged.length;
    const asked: number[] = [];
    const claimed = strict === 0 ? [] : await this.#take(lane, { max: strict });
    try {
      // Fewer than asked for: there are no others, of whatever priority.
      for (let place = 0; place < aged.length && claimed.length === strict + place; place++) {
        const maxPriority = aged[place] as number;
        asked.push(maxPriority);
        const [job] = await this.#take(lane, { max: 1, maxPriority });
        claimed.push(...(job ? [job] : await this.#take(lane, { max: 1 })));
      }
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
