import { combine, NOTHING, plus, sum, type TaskAmount } from "./quota.ts";
import type { Reckoning } from "./reckoning.ts";

/** Budget that nobody used for so long goes back. */
export const IDLE_MS = 200;
/** For how long a process that submits steadily reserves. */
const AHEAD_MS = 1_000;
/** At most this part of what is left is reserved for what may come. */
const AHEAD_PART = 1 / 8;

/** How fast a process submits: how much it reserves for what may come. Times are monotonic. */
export class Pace {
  /** When it last wrote. */
  writtenAtMs: number = Number.NEGATIVE_INFINITY;
  /** What was admitted without a write since, and in how many submissions. */
  #recent: TaskAmount = NOTHING;
  #submissions = 0;
  #lastAhead: TaskAmount = NOTHING;

  /** A submission was admitted without a write. */
  add(wanted: TaskAmount): void {
    this.#recent = plus(this.#recent, wanted);
    this.#submissions += 1;
  }

  /** How much more than these submissions ask for is worth to be reserved with them. */
  ahead(reckoning: Reckoning, submissions: readonly TaskAmount[], nowMs: number): TaskAmount {
    const elapsedMs = Math.max(1, nowMs - this.writtenAtMs);
    const count = this.#submissions + submissions.length;
    // At a slower rate it would go back before it is used.
    if (submissions.length === 0 || (count * IDLE_MS) / elapsedMs < 2) return NOTHING;
    const asked = sum(submissions);
    const recent = plus(this.#recent, asked);
    return combine((unit) =>
      Math.floor(
        Math.min(
          (recent[unit] * AHEAD_MS) / elapsedMs,
          2 * (this.#lastAhead[unit] + asked[unit]),
          reckoning.room(unit) * AHEAD_PART,
        ),
      ),
    );
  }

  /** It was written down; `ahead` if submissions were admitted with it. */
  written(nowMs: number, ahead: TaskAmount | undefined): void {
    this.writtenAtMs = nowMs;
    this.#recent = NOTHING;
    this.#submissions = 0;
    if (ahead !== undefined) this.#lastAhead = ahead;
  }
}
