import { styleText } from "node:util";
import Table from "cli-table3";
import logUpdate from "log-update";

const REDRAW_MS = 200;

/** A line of the table. */
export interface BoardRow {
  readonly tenant: string;
  readonly status: string;
  readonly waiting: number;
  readonly running: number;
  readonly done: number;
  readonly cancelled: number;
  readonly dead: number;
  readonly slowestMs: number;
}

/** Where the demo says what happens: on a terminal above a live table, else in plain lines. */
export class Board implements Disposable {
  readonly #live = process.stdout.isTTY === true;
  readonly #startedAt = performance.now();
  readonly #rows: () => readonly BoardRow[];
  readonly #redraw: NodeJS.Timeout | undefined;

  constructor(rows: () => readonly BoardRow[]) {
    this.#rows = rows;
    if (this.#live) this.#redraw = setInterval(() => logUpdate(this.table()), REDRAW_MS);
  }

  /** Since the start, in seconds. */
  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1_000;
  }

  /** Says something that stays. */
  say(text: string): void {
    if (this.#live) logUpdate.clear();
    console.log(`${styleText("dim", `${this.seconds.toFixed(2).padStart(6)} s`)}  ${text}`);
    if (this.#live) logUpdate(this.table());
  }

  /** The tenants at this moment. */
  table(): string {
    const table = new Table({
      head: ["tenant", "status", "waiting", "running", "done", "cancelled", "dead", "longest wait"],
      colAligns: ["left", "left", "right", "right", "right", "right", "right", "right"],
      // The table's own colours know nothing of files and pipes.
      style: { head: [], border: [], compact: true },
    });
    for (const { tenant, status, slowestMs, ...counts } of this.#rows()) {
      const shown = status === "active" ? status : styleText("yellow", status);
      const { waiting, running, done, cancelled, dead } = counts;
      const numbers = [waiting, running, done, cancelled, dead].map((n) => n.toLocaleString("en"));
      table.push([tenant, shown, ...numbers, `${slowestMs.toLocaleString("en")} ms`]);
    }
    return table.toString();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#redraw);
    if (this.#live) logUpdate.clear();
  }
}
