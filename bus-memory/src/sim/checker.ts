import type { Bus } from "@busbar/core";
import type { TraceEvent } from "./trace.ts";

/** What a {@link Checker} may look at when the run is over. */
export interface FinalState {
  /** A bus that has no faults, in the namespace of the world. */
  readonly bus: Bus;
  /** Whether everything that could be taken had time to be taken: there was a liveness phase. */
  readonly drained: boolean;
}

/**
 * Watches a run and says what must not be. It sees what the processes see, never the inside of the
 * server. One instance is for one run.
 */
export interface Checker {
  /** Named in failures. */
  readonly name: string;
  /** What it has counted that is no failure, such as duplicates: for reports. */
  readonly counts?: Readonly<Record<string, number>>;
  /** Looks at one event. @returns what is wrong, if something is; the run ends there */
  event(event: TraceEvent): string | undefined;
  /** Looks at the end. @returns everything that is wrong */
  finish?(state: FinalState): readonly string[] | Promise<readonly string[]>;
}

/** A checker that counts. */
export interface CountingChecker extends Checker {
  readonly counts: Readonly<Record<string, number>>;
}
