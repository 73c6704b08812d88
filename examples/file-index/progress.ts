import { styleText } from "node:util";
import logUpdate from "log-update";

const BAR_WIDTH = 30;
const REDRAW_MS = 60;

/** Where a run says what happens: on a terminal with a live bar below, else in plain lines. */
export class Progress implements Disposable {
  readonly #live = process.stdout.isTTY === true;
  readonly #startedAt = performance.now();
  readonly #redraw: NodeJS.Timeout | undefined;
  readonly #state: () => { readonly done: number; readonly total: number; readonly note: string };

  constructor(
    state: () => { readonly done: number; readonly total: number; readonly note: string },
  ) {
    this.#state = state;
    if (this.#live) this.#redraw = setInterval(() => this.#draw(), REDRAW_MS);
  }

  /** Says something that stays. */
  say(text: string): void {
    const { done, total } = this.#state();
    const seconds = ((performance.now() - this.#startedAt) / 1_000).toFixed(2).padStart(6);
    const head = `${seconds} s  ${String(done).padStart(String(total).length)}/${total}`;
    if (this.#live) logUpdate.clear();
    console.log(`${styleText("dim", head)}  ${text}`);
    if (this.#live) this.#draw();
  }

  #draw(): void {
    const { done, total, note } = this.#state();
    const full = total === 0 ? BAR_WIDTH : Math.round((done / total) * BAR_WIDTH);
    const bar =
      styleText("cyan", "█".repeat(full)) + styleText("dim", "░".repeat(BAR_WIDTH - full));
    logUpdate(`${bar} ${done} of ${total} files  ${styleText("dim", note)}`);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#redraw);
    if (this.#live) logUpdate.clear();
  }
}
