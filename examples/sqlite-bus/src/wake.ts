import type { Clock, Timer } from "@busbar/core";

/**
 * Who waits for changes, by topic. Wakes are gathered and given at the end of the running task, so
 * that nobody is called in the middle of somebody else's work.
 */
export class WakeHub {
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #changed = new Set<string>();
  #isDue = false;

  /** Calls `onWake` after every change of the topic. @returns what ends it. */
  on(topic: string, onWake: () => void): () => void {
    const all = this.#waiting.get(topic) ?? new Set();
    this.#waiting.set(topic, all);
    all.add(onWake);
    return () => {
      all.delete(onWake);
      if (all.size === 0 && this.#waiting.get(topic) === all) this.#waiting.delete(topic);
    };
  }

  /** Something changed. */
  wake(topic: string): void {
    if (!this.#waiting.has(topic)) return;
    this.#changed.add(topic);
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => this.#flush());
  }

  /** Another process changed something, nobody knows what. */
  wakeAll(): void {
    for (const topic of this.#waiting.keys()) this.wake(topic);
  }

  #flush(): void {
    this.#isDue = false;
    const topics = [...this.#changed];
    this.#changed.clear();
    for (const topic of topics) {
      // Who begins to wait now has nothing to be told.
      const waiting = Array.from(this.#waiting.get(topic) ?? []);
      for (const onWake of waiting) onWake();
    }
  }
}

/** When to try again after an error: somebody held the file for too long. */
const AFTER_ERROR_MS = 250;

/** What a {@link Retry} lives on. */
export interface RetryContext {
  readonly hub: WakeHub;
  readonly clock: Clock;
  /** Told what an attempt threw. */
  onError(error: unknown): void;
}

/**
 * Tries something again after every change of its topics, and when the time has come that the last
 * attempt named.
 */
export class Retry {
  readonly #context: RetryContext;
  readonly #attempt: () => number;
  readonly #offs: (() => void)[];
  #timer: Timer | undefined;
  #isOver = false;

  /** `attempt` gives the milliseconds after which to try without a change; `Infinity` for never. */
  constructor(context: RetryContext, topics: readonly string[], attempt: () => number) {
    this.#context = context;
    this.#attempt = attempt;
    this.#offs = topics.map((topic) => context.hub.on(topic, () => this.run()));
  }

  /** Tries now. */
  run(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#isOver) return;
    let waitMs = AFTER_ERROR_MS;
    try {
      waitMs = this.#attempt();
    } catch (error) {
      this.#context.onError(error);
    }
    if (this.#isOver || waitMs === Number.POSITIVE_INFINITY) return;
    // A whole millisecond at least: the wall clock has no finer steps.
    this.#timer = this.#context.clock.setTimer(() => this.run(), Math.max(1, waitMs));
  }

  /** Tries no more. */
  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    for (const off of this.#offs) off();
  }
}
