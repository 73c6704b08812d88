import type { TraceEvent } from "../trace.ts";

interface Crash {
  readonly atMs: number;
  readonly lostSettlesMs: number;
  readonly lostWritesMs: number;
}

/** What the server may have forgotten in its crashes, as far as their fault events say. */
export class Losses {
  readonly #crashes: Crash[] = [];

  /** Looks at every event. @returns whether it is a crash that may lose writes */
  event({ type, op, atMs, data }: TraceEvent): boolean {
    if (type !== "fault" || op !== "serverCrash") return false;
    const { lostSettlesMs = 0, lostWritesMs = 0 } = data as Partial<Crash>;
    if (lostSettlesMs > 0 || lostWritesMs > 0) {
      this.#crashes.push({ atMs, lostSettlesMs, lostWritesMs });
    }
    return lostWritesMs > 0;
  }

  /** Whether a settle that was taken in between the two times may be forgotten. */
  settle(fromMs: number, toMs: number): boolean {
    return this.#crashes.some(({ atMs, lostSettlesMs }) =>
      isIn(fromMs, toMs, { atMs, windowMs: lostSettlesMs }),
    );
  }

  /** Whether a write that was taken in between the two times may be forgotten. */
  write(fromMs: number, toMs: number): boolean {
    return this.#crashes.some(({ atMs, lostWritesMs }) =>
      isIn(fromMs, toMs, { atMs, windowMs: lostWritesMs }),
    );
  }

  /** Whether writes were lost between the two times. */
  lostWritesBetween(fromMs: number, toMs: number): boolean {
    return this.#crashes.some(
      ({ atMs, lostWritesMs }) => lostWritesMs > 0 && atMs >= fromMs && atMs <= toMs,
    );
  }
}

function isIn(
  fromMs: number,
  toMs: number,
  { atMs, windowMs }: { readonly atMs: number; readonly windowMs: number },
): boolean {
  return windowMs > 0 && fromMs <= atMs && toMs >= atMs - windowMs;
}
