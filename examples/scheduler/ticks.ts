import { type Bus, type KvWatch, toText } from "@busbar/core";

/** Looks at each write of the scheduler: every tick has to come once, in order, from the last leader. */
export class Ticks implements AsyncDisposable {
  /** The last tick. */
  count = 0;
  /** What should not have been. */
  readonly problems: string[] = [];
  readonly #watch: KvWatch;
  readonly #waiting = new Map<() => void, number>();
  #term = 0;

  private constructor(watch: KvWatch) {
    this.#watch = watch;
  }

  /** Begins to look. */
  static async open(bus: Bus): Promise<Ticks> {
    // So that no write is skipped.
    await bus.kv.ensureBucket("schedule", { history: 64 });
    const ticks = new Ticks(await bus.kv.watch("schedule", { key: "tick" }));
    void ticks.#look();
    return ticks;
  }

  /** Resolves when so many more ticks have come. */
  more(count: number): Promise<void> {
    const target = this.count + count;
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.set(wake, target);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch.close();
  }

  async #look(): Promise<void> {
    for await (const event of this.#watch) {
      if (event.type !== "put") continue;
      // As a fenced bucket writes it: the term of the leader, a line end, the value.
      const [term = 0, tick = 0] = toText(event.value).split("\n").map(Number);
      const isTakenOver = term > this.#term && tick === this.count;
      if (term < this.#term || (tick !== this.count + 1 && !isTakenOver)) {
        this.problems.push(`tick ${tick} of term ${term} after ${this.count} of ${this.#term}`);
      }
      [this.#term, this.count] = [term, tick];
      for (const [wake, target] of this.#waiting) if (this.count >= target) wake();
    }
  }
}
