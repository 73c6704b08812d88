import type { NatsContext } from "./context.ts";

/** Where a {@link ServerClock} leaves its mark. */
export interface ClockMark {
  readonly stream: string;
  readonly subject: string;
}

/** How long a reading is carried on by the local monotonic clock: two clocks drift apart slowly. */
const READING_LIFE_MS = 30_000;
const TIMEOUT_MS = 5_000;
const NOTHING = new Uint8Array(0);

/**
 * The server's time, by the stamp that it puts on a stored message. Works on every version and
 * compares no two machines' clocks.
 */
export class ServerClock {
  readonly #context: NatsContext;
  readonly #mark: ClockMark;
  #toldMs = 0;
  #heardAt = Number.NEGATIVE_INFINITY;

  constructor(context: NatsContext, mark: ClockMark) {
    this.#context = context;
    this.#mark = mark;
  }

  /**
   * The time now, asked of the server; `undefined` if it does not tell. A stamp of somebody else's
   * that came in between is as good: it lies between ours and now.
   */
  async ask(): Promise<number | undefined> {
    const { api } = this.#context;
    await api.publish({
      subject: this.#mark.subject,
      payload: NOTHING,
      timeoutMs: TIMEOUT_MS,
      what: "the server's clock",
      idempotent: true,
    });
    return (await api.lastByLeader(this.#mark.stream, this.#mark.subject))?.timeMs;
  }

  /** At least this late it is: a reading of the last half minute and what has passed since. */
  async atLeastMs(): Promise<number> {
    const { clock } = this.#context.link;
    if (clock.monotonic() - this.#heardAt > READING_LIFE_MS) {
      const toldMs = await this.ask();
      if (toldMs === undefined) return Number.NEGATIVE_INFINITY;
      this.#toldMs = toldMs;
      this.#heardAt = clock.monotonic();
    }
    return this.#toldMs + (clock.monotonic() - this.#heardAt);
  }
}
