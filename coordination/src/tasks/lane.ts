import type { Clock, Timer } from "@busbar/core";
import { Heap } from "@busbar/core/adapter";
import type { LaneEntry } from "./lanes.ts";
import { PRIORITIES } from "./task-wire.ts";

/**
 * Of so many tasks of a tenant that a pool begins, one is of normal or low priority and one of low, if such
 * wait, however many of a higher one do. So the n-th low one waits for no more than 20 * n others.
 */
const AGING = 20;

/** How long it is believed what lanes were told: a live message may be lost. */
const TRUSTED_MS = 1_000;

/** Of how many times it is known when something falls due; what is beyond is found by looking. */
const MAX_DUES = 1_000;

/** What a pool knows of a lane. */
export class Lane implements LaneEntry {
  readonly name: string;
  readonly tenant: string;
  /** Its tasks that run in this pool. */
  running = 0;
  /** Claims that are under way, how many slots wait for them, and how many tasks they may bring. */
  claims = 0;
  reserved = 0;
  expected = 0;
  /** How often it was to be looked at, whatever was known of it. */
  looks = 0;
  /** Others have its permits. */
  isFull = false;
  /** When it was last known to have tasks, by the monotonic clock; at first when it was found. */
  workedAt: number;
  /** How many were claimed since tasks of normal or low priority, or of low priority, were asked for first. */
  #sinceNormal = 0;
  #sinceLow = 0;
  /** How many tasks it was told of. */
  #told = 0;
  /** How many it has at most; `undefined` if that is not known. */
  #backlog: number | undefined;
  /** When it was last seen to have no more than `#backlog`, by the monotonic clock. */
  #countedAt = Number.NEGATIVE_INFINITY;
  readonly #clock: Clock;
  readonly #onDue: () => void;
  /** By the monotonic clock. */
  readonly #dues = new Heap<number>((a, b) => a < b);
  #timer: Timer | undefined;

  /** `onDue` is called when something falls due. */
  constructor({ name, tenant }: LaneEntry, clock: Clock, onDue: () => void) {
    this.name = name;
    this.tenant = tenant;
    this.#clock = clock;
    this.#onDue = onDue;
    this.workedAt = clock.monotonic();
  }

  /** Which of the next tasks are of a lower priority if such wait: the highest priority of each. */
  aged(count: number): number[] {
    const aged: number[] = [];
    // All that it has, as far as is known: nobody is left behind.
    if (this.#backlog !== undefined && count >= this.#backlog) return aged;
    let [normal, low] = [this.#sinceNormal, this.#sinceLow];
    for (let place = 0; place < count; place++) {
      normal += 1;
      low += 1;
      if (low >= AGING) {
        aged.push(PRIORITIES.low);
        normal = low = 0;
      } else if (normal >= AGING / 2) {
        aged.push(PRIORITIES.normal);
        normal = 0;
      }
    }
    return aged;
  }

  /** So many tasks were claimed; tasks of these lower priorities were asked for first. */
  claimed(count: number, aged: readonly number[]): void {
    this.#sinceNormal = aged.length > 0 ? 0 : this.#sinceNormal + count;
    this.#sinceLow = aged.includes(PRIORITIES.low) ? 0 : this.#sinceLow + count;
  }

  /** Whether it may have tasks that nobody has claimed. */
  get mayHaveTasks(): boolean {
    return this.#atMost > 0;
  }

  /** How many more slots it can use, as far as is known: those of claims under way are not counted. */
  get room(): number {
    return this.#atMost - this.reserved;
  }

  /** For how many tasks to look: one more than are known of, unless that was counted a moment ago. */
  get #atMost(): number {
    if (this.#backlog === undefined) return Number.POSITIVE_INFINITY;
    return this.#isTrusted ? this.#backlog : this.#backlog + 1;
  }

  get #isTrusted(): boolean {
    return this.#clock.monotonic() - this.#countedAt < TRUSTED_MS;
  }

  /** So many tasks were submitted. */
  submitted(tasks: number): void {
    this.#told += tasks;
    if (this.#backlog !== undefined) this.#backlog += tasks;
  }

  /** It is to be looked at: what is known of its tasks may be wrong. */
  look(): void {
    this.looks += 1;
    this.#backlog = undefined;
  }

  /** Begins a claim of up to `max` tasks. @returns to be called with how many it brought */
  claiming(max: number): (tasks: number) => void {
    const { looks } = this;
    const told = this.#told;
    return (tasks) => {
      if (tasks === max) {
        if (this.#backlog === undefined) return;
        // More than it was told of, and long not counted: nobody knows how many there are.
        const isMore = tasks > this.#backlog && !this.#isTrusted;
        this.#backlog = isMore ? undefined : Math.max(0, this.#backlog - tasks);
        return;
      }
      // There were no more, but for those that came meanwhile.
      if (this.looks > looks) return;
      this.#backlog = this.#told - told;
      this.#countedAt = this.#clock.monotonic();
    };
  }

  /** It has tasks, or had some a moment ago. */
  hasWork(): void {
    this.workedAt = this.#clock.monotonic();
  }

  /** Something falls due after each of these times. */
  dueAfter(...delaysMs: readonly number[]): void {
    if (this.#dues.size >= MAX_DUES) return;
    for (const delayMs of delaysMs) this.#dues.push(this.#clock.monotonic() + delayMs);
    this.#arm();
  }

  /** Leaves the clock alone. */
  stop(): void {
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer?.cancel();
    const first = this.#dues.first;
    if (first === undefined) return;
    const delayMs = Math.max(0, first - this.#clock.monotonic());
    this.#timer = this.#clock.setTimer(() => {
      const nowMs = this.#clock.monotonic();
      while ((this.#dues.first ?? Number.POSITIVE_INFINITY) <= nowMs) this.#dues.pop();
      this.#onDue();
      this.#arm();
    }, delayMs);
  }
}
