/** Lets the parts of a run wait for each other. */
export class Milestones {
  #waiting: { readonly reached: () => boolean; readonly go: () => void }[] = [];

  /** Something happened: whoever waited for it goes on. */
  check(): void {
    const ready = this.#waiting.filter(({ reached }) => reached());
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter((one) => !ready.includes(one));
    for (const { go } of ready) go();
  }

  /** Resolves as soon as `reached` holds. */
  until(reached: () => boolean): Promise<void> {
    if (reached()) return Promise.resolve();
    return new Promise((go) => this.#waiting.push({ reached, go }));
  }
}
