import { Fifo } from "./fifo.ts";

interface Seen<T> {
  readonly id: string;
  readonly value: T;
  readonly untilMs: number;
}

/** Remembers ids for a fixed time, and what was answered to the first one. */
export class DedupWindow<T> {
  readonly #windowMs: number;
  readonly #seen = new Map<string, Seen<T>>();
  readonly #byAge = new Fifo<Seen<T>>();

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** How many ids are remembered. */
  get size(): number {
    return this.#seen.size;
  }

  /** What was remembered with `id`, if it is not over. */
  find(id: string, nowMs: number): T | undefined {
    this.#forget(nowMs);
    return this.#seen.get(id)?.value;
  }

  /** Remembers an id that {@link DedupWindow.find} did not know. */
  add(id: string, value: T, nowMs: number): void {
    const seen = { id, value, untilMs: nowMs + this.#windowMs };
    this.#seen.set(id, seen);
    this.#byAge.push(seen);
  }

  /** Forgets an id that was remembered with `value`, if it still is. */
  remove(id: string, value: T): void {
    if (this.#seen.get(id)?.value === value) this.#seen.delete(id);
  }

  #forget(nowMs: number): void {
    for (;;) {
      const oldest = this.#byAge.peek();
      if (oldest === undefined || oldest.untilMs > nowMs) return;
      this.#byAge.shift();
      // It may have been removed, and remembered anew since.
      if (this.#seen.get(oldest.id) === oldest) this.#seen.delete(oldest.id);
    }
  }
}
