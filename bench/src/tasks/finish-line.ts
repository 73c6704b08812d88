/** Resolves when so many tasks have ended. */
export class FinishLine {
  #left = 0;
  #reached: (() => void) | undefined;

  /** Expects that many from now on. */
  async after(count: number): Promise<void> {
    this.#left = count;
    await new Promise<void>((resolve) => {
      this.#reached = resolve;
    });
  }

  /** One has ended. */
  passed(): void {
    this.#left -= 1;
    if (this.#left === 0) this.#reached?.();
  }
}
