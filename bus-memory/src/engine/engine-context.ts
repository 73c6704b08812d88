import type { Clock } from "@busbar/core";
import type { Arena } from "./arena.ts";
import type { Deadlines } from "./deadlines.ts";
import type { Journal } from "./journal.ts";
import type { StreamLimits } from "./stream.ts";

/** What every part of the engine lives on. */
export interface EngineContext {
  /** The server's clock. */
  readonly clock: Clock;
  /** Deadlines by that clock. */
  readonly deadlines: Deadlines;
  /** Where stored payloads go. */
  readonly arena: Arena;
  readonly streamLimits: StreamLimits;
  /** What a crash can undo; `undefined` on a server that loses nothing. */
  readonly journal: Journal | undefined;
}
