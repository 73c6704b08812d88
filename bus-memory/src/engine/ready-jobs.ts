import type { StoredBytes } from "./arena.ts";
import { FreshJobs } from "./fresh-jobs.ts";
import type { JobContent, StoredJob } from "./stored-job.ts";

/** The ready jobs of one priority: first those that came back, then the others, by rank. */
class Lane {
  /** Those that nobody had yet: nearly all. */
  readonly fresh: FreshJobs;
  /** Those that nobody had yet and that came late, by a delay or a replay: a heap by rank. */
  #late: StoredJob[] = [];
  /** Those that somebody had: a heap by rank. */
  #back: StoredJob[] = [];

  constructor(priority: number) {
    this.fresh = new FreshJobs(priority);
  }

  get size(): number {
    return this.fresh.size + this.#late.length + this.#back.length;
  }

  get bytes(): number {
    return this.fresh.bytes + payloads(this.#late) + payloads(this.#back);
  }

  add(job: StoredJob): void {
    siftUp(job.wasClaimed ? this.#back : this.#late, job);
  }

  find(number: number): StoredJob | undefined {
    const isIt = (job: StoredJob): boolean => job.number === number;
    return this.#back.find(isIt) ?? this.#late.find(isIt) ?? this.fresh.find(number);
  }

  /** One that is in it. */
  remove({ number }: StoredJob): void {
    if (this.fresh.remove(number)) return;
    const isOther = (job: StoredJob): boolean => job.number !== number;
    // What is sorted is a heap.
    this.#late = this.#late.filter(isOther).sort(byRank);
    this.#back = this.#back.filter(isOther).sort(byRank);
  }

  /** Drops those with this number or a greater one. @returns how many of them were left. */
  dropFrom(number: number): number {
    const isLeft = (job: StoredJob): boolean => job.wasLeft && job.number >= number;
    const left = this.#back.filter(isLeft).length;
    this.fresh.dropFrom(number);
    this.#late = this.#late.filter((job) => job.number < number).sort(byRank);
    this.#back = this.#back.filter((job) => job.number < number).sort(byRank);
    return left;
  }

  /** There must be one. */
  take(): StoredJob {
    if (this.#back.length > 0) return takeFirst(this.#back);
    const late = this.#late[0];
    if (late === undefined) return this.fresh.shift();
    if (this.fresh.size > 0 && this.fresh.firstNumber < late.rank) return this.fresh.shift();
    return takeFirst(this.#late);
  }
}

/** The ready jobs of a queue, highest priority first. See {@link Lane}. */
export class ReadyJobs {
  #lanes: (Lane | undefined)[] = [];
  /** One bit for every priority that has jobs. */
  #filled = 0;
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** How many bytes of payloads there are. */
  get bytes(): number {
    return this.#lanes.reduce((bytes, lane) => bytes + (lane?.bytes ?? 0), 0);
  }

  /** Adds a new job, with a number greater than all before. */
  push(number: number, content: JobContent, bytes: StoredBytes): void {
    this.#lane(content.priority).fresh.push(number, content, bytes);
    this.#size += 1;
  }

  /** Adds a job that comes late, or back. */
  add(job: StoredJob): void {
    this.#lane(job.priority).add(job);
    this.#size += 1;
  }

  /** Takes the next one of this priority or a lower one. */
  take(maxPriority: number): StoredJob | undefined {
    const allowed = this.#filled & ((2 << maxPriority) - 1);
    if (allowed === 0) return undefined;
    const priority = 31 - Math.clz32(allowed);
    const job = (this.#lanes[priority] as Lane).take();
    this.#left(priority);
    return job;
  }

  /** One of them, by its number. */
  find(number: number): StoredJob | undefined {
    for (const lane of this.#lanes) {
      const job = lane?.find(number);
      if (job) return job;
    }
    return undefined;
  }

  /** Takes out one that {@link ReadyJobs.find} gave. */
  remove(job: StoredJob): void {
    (this.#lanes[job.priority] as Lane).remove(job);
    this.#left(job.priority);
  }

  /**
   * Drops those with this number or a greater one.
   * @returns how many of them their worker had left: see {@link StoredJob.wasLeft}
   */
  dropFrom(number: number): number {
    let left = 0;
    this.#size = 0;
    this.#lanes.forEach((lane, priority) => {
      if (lane === undefined) return;
      left += lane.dropFrom(number);
      this.#size += lane.size;
      if (lane.size === 0) this.#filled &= ~(1 << priority);
    });
    return left;
  }

  /** Removes all. @returns how many. */
  clear(): number {
    const size = this.#size;
    this.#lanes = [];
    this.#filled = 0;
    this.#size = 0;
    return size;
  }

  /** One left the lane of a priority. */
  #left(priority: number): void {
    if ((this.#lanes[priority] as Lane).size === 0) this.#filled &= ~(1 << priority);
    this.#size -= 1;
  }

  /** The lane of a priority, which is about to get a job. */
  #lane(priority: number): Lane {
    this.#filled |= 1 << priority;
    let lane = this.#lanes[priority];
    if (lane === undefined) {
      lane = new Lane(priority);
      this.#lanes[priority] = lane;
    }
    return lane;
  }
}

function payloads(jobs: readonly StoredJob[]): number {
  return jobs.reduce((bytes, { length }) => bytes + length, 0);
}

function byRank(one: StoredJob, other: StoredJob): number {
  return one.rank - other.rank;
}

function siftUp(heap: StoredJob[], job: StoredJob): void {
  let slot = heap.length;
  heap.push(job);
  while (slot > 0) {
    const parent = (slot - 1) >> 1;
    const above = heap[parent] as StoredJob;
    if (above.rank <= job.rank) break;
    heap[slot] = above;
    slot = parent;
  }
  heap[slot] = job;
}

/** Of a heap that is not empty. */
function takeFirst(heap: StoredJob[]): StoredJob {
  const first = heap[0] as StoredJob;
  const last = heap.pop() as StoredJob;
  const { length } = heap;
  if (length === 0) return first;
  let slot = 0;
  for (;;) {
    let child = 2 * slot + 1;
    if (child >= length) break;
    const right = child + 1;
    if (right < length && (heap[right] as StoredJob).rank < (heap[child] as StoredJob).rank) {
      child = right;
    }
    const below = heap[child] as StoredJob;
    if (below.rank >= last.rank) break;
    heap[slot] = below;
    slot = child;
  }
  heap[slot] = last;
  return first;
}
