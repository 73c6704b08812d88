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

  /** In the order of the lane; every so many tasks one of a lower priority, if one waits: see `Lane.aged`. */
  async claim(lane: Lane, max: number): Promise<ClaimedJob[]> {
    const aged: ClaimedJob[] = [];
    for (const maxPriority of lane.aged(max)) {
      aged.push(...(await this.#take(lane, { max: 1, maxPriority })));
    }
    if (aged.length === max) return aged;
    try {
      return [...(await this.#take(lane, { max: max - aged.length })), ...aged];
    } catch (error) {
      if (aged.length === 0) throw error;
      return aged;
    }
  }

  #take({ name }: Lane, options: Partial<ClaimOptions>): Promise<ClaimedJob[]> {
    const { jobs, queue, options: common, onClaim } = this.#parts;
    onClaim();
    return jobs.claim(laneQueue(queue, name), { ...common, ...options });
  }
}
