import type { Clock, Timer } from "@busbar/core";
import { settle } from "@busbar/core/adapter";

/** Something that happens at a time unless it is cleared before. Set and cleared by {@link Deadlines}. */
export abstract class Deadline {
  /** When it is due, by the clock's monotonic time. */
  dueMs = 0;
  /** Its rank in the heap: `dueMs`, or an earlier time if it was put off since. */
  keyMs = 0;
  /** Tells equal ranks apart: first set, first due. */
  order = 0;
  /** Its place in the heap, -1 if it is not pending. */
  slot = -1;

  /** Called once, not before `dueMs`. */
  abstract expire(): void;
}

/** A {@link Deadline} that calls a function. */
export class Alarm extends Deadline {
  readonly #ring: () => void;

  constructor(ring: () => void) {
    super();
    this.#ring = ring;
  }

  expire(): void {
    this.#ring();
  }
}

/**
 * All deadlines of one clock, behind a single timer that is armed for the earliest.
 *
 * Clearing removes for good, so cancelled deadlines do not pile up. Putting one off only writes its
 * new time; its place is corrected when the old one comes up. The timer is moved forward at once and
 * backward, or off, once per turn of the event loop, so that a stream of short-lived deadlines does
 * not touch it.
 *
 * States: *stopped* -> `start()` -> *running* -> `stop()` -> *stopped*. What falls due while it is
 * stopped happens at the start.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #heap: Deadline[] = [];
  #order = 0;
  #nextMs = Number.POSITIVE_INFINITY;
  #nowMs = 0;
  #timer: Timer | undefined;
  #armedMs = Number.POSITIVE_INFINITY;
  #running = false;
  #tidying = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many are pending. */
  get size(): number {
    return this.#heap.length;
  }

  /** Whether the clock has a timer of ours. */
  get isArmed(): boolean {
    return this.#timer !== undefined;
  }

  /** The time of the last {@link Deadlines.tick}: one reading for all that one operation does. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /**
   * Reads the clock and lets everything happen that is due. Every operation begins with it, so that
   * a busy program, which gives its timers no turn, sees the same as an idle one.
   */
  tick(): number {
    const nowMs = this.#clock.monotonic();
    this.#nowMs = nowMs;
    if (this.#nextMs <= nowMs && this.#running) this.#run(nowMs);
    return nowMs;
  }

  /** Sets a deadline, or moves it. */
  set(deadline: Deadline, dueMs: number): void {
    deadline.dueMs = dueMs;
    if (deadline.slot >= 0) {
      if (dueMs >= deadline.keyMs) return;
      deadline.keyMs = dueMs;
      this.#siftUp(deadline, deadline.slot);
    } else {
      deadline.keyMs = dueMs;
      deadline.order = this.#order++;
      this.#heap.push(deadline);
      this.#siftUp(deadline, this.#heap.length - 1);
    }
    this.#noteNext();
    if (this.#nextMs < this.#armedMs && this.#running) this.#arm();
  }

  /** Removes a deadline. Does nothing if it is not pending. */
  clear(deadline: Deadline): void {
    const { slot } = deadline;
    if (slot < 0) return;
    this.#remove(slot);
    if (this.#nextMs !== this.#armedMs) this.#tidySoon();
  }

  /** Begins to fire. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.tick();
    if (this.#nextMs < this.#armedMs) this.#arm();
  }

  /** Leaves the clock alone. */
  stop(): void {
    this.#running = false;
    this.#disarm();
  }

  #run(nowMs: number): void {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.keyMs > nowMs) return;
      if (first.dueMs > nowMs) {
        first.keyMs = first.dueMs;
        first.order = this.#order++;
        this.#siftDown(first, 0);
        this.#noteNext();
        continue;
      }
      this.#remove(0);
      // May set and clear deadlines, and call back in here: nothing is remembered across it.
      first.expire();
    }
  }

  #fire(): void {
    this.#timer = undefined;
    this.#armedMs = Number.POSITIVE_INFINITY;
    this.tick();
    // Real timers may come early by a fraction of a millisecond: then nothing was due.
    if (this.#nextMs < this.#armedMs && this.#running) this.#arm();
  }

  #arm(): void {
    this.#disarm();
    this.#armedMs = this.#nextMs;
    const delayMs = Math.max(0, Math.ceil(this.#nextMs - this.#clock.monotonic()));
    this.#timer = this.#clock.setTimer(() => this.#fire(), delayMs);
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#armedMs = Number.POSITIVE_INFINITY;
  }

  #tidySoon(): void {
    if (this.#tidying || this.#timer === undefined) return;
    this.#tidying = true;
    void settle().then(() => {
      this.#tidying = false;
      if (this.#timer === undefined || this.#nextMs === this.#armedMs) return;
      this.#disarm();
      if (this.#nextMs !== Number.POSITIVE_INFINITY && this.#running) this.#arm();
    });
  }

  #noteNext(): void {
    const first = this.#heap[0];
    this.#nextMs = first === undefined ? Number.POSITIVE_INFINITY : first.keyMs;
  }

  #remove(slot: number): void {
    const heap = this.#heap;
    const removed = heap[slot] as Deadline;
    const last = heap.pop() as Deadline;
    if (last !== removed) {
      if (slot > 0 && before(last, heap[(slot - 1) >> 1] as Deadline)) this.#siftUp(last, slot);
      else this.#siftDown(last, slot);
    }
    removed.slot = -1;
    this.#noteNext();
  }

  #siftUp(deadline: Deadline, from: number): void {
    const heap = this.#heap;
    let slot = from;
    while (slot > 0) {
      const parent = (slot - 1) >> 1;
      const above = heap[parent] as Deadline;
      if (!before(deadline, above)) break;
      heap[slot] = above;
      above.slot = slot;
      slot = parent;
    }
    heap[slot] = deadline;
    deadline.slot = slot;
  }

  #siftDown(deadline: Deadline, from: number): void {
    const heap = this.#heap;
    const { length } = heap;
    let slot = from;
    for (;;) {
      let child = 2 * slot + 1;
      if (child >= length) break;
      const right = child + 1;
      if (right < length && before(heap[right] as Deadline, heap[child] as Deadline)) child = right;
      const below = heap[child] as Deadline;
      if (!before(below, deadline)) break;
      heap[slot] = below;
      below.slot = slot;
      slot = child;
    }
    heap[slot] = deadline;
    deadline.slot = slot;
  }
}

function before(a: Deadline, b: Deadline): boolean {
  return a.keyMs < b.keyMs || (a.keyMs === b.keyMs && a.order < b.order);
}
