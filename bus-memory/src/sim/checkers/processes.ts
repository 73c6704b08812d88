import type { TraceEvent } from "../trace.ts";

/** What a trace says of a process. */
export interface ProcessView {
  /** How fast its clock runs: 1.05 gains five per cent. */
  rate: number;
  isPaused: boolean;
  /** The last time at which it was killed, started, stopped, or closed its bus. */
  endedAtMs: number;
}

/** Follows the processes of a world by their notes. */
export class Processes {
  readonly #views = new Map<string, ProcessView>();

  /** What is known of a process. */
  of(name: string): ProcessView {
    let view = this.#views.get(name);
    if (view === undefined) {
      view = { rate: 1, isPaused: false, endedAtMs: Number.NEGATIVE_INFINITY };
      this.#views.set(name, view);
    }
    return view;
  }

  /** Looks at every event. @returns whether the life of the event's process ended with it */
  event({ type, process, op, data, atMs }: TraceEvent): boolean {
    if (type !== "note") return false;
    if (op === "paused") this.of(process).isPaused = true;
    else if (op === "resumed") this.of(process).isPaused = false;
    else if (op === "killed" || op === "stopped" || op === "bus.close") {
      const view = this.of(process);
      view.isPaused = false;
      view.endedAtMs = atMs;
      return true;
    } else if (op.startsWith("started ") && process !== "server") {
      this.#views.set(process, {
        rate: typeof data["rate"] === "number" ? data["rate"] : 1,
        isPaused: false,
        endedAtMs: atMs,
      });
      return true;
    }
    return false;
  }
}
