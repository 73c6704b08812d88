import type { Draw } from "./draws.ts";
import type { TraceEvent } from "./trace.ts";

/** What a {@link SimulationError} knows of the run that failed. */
export interface FailedRun {
  readonly seed: number;
  /** Who found it: a checker, `process`, `scenario`, `deadlock`, `circles`, `liveness` or `determinism`. */
  readonly by: string;
  /** The faults and delays of the run: with them as `plan` it happens again. */
  readonly plan: readonly Draw[];
  /** What happened, if the run kept it. */
  readonly trace: readonly TraceEvent[];
}

/** A simulation that failed. Its message begins with the seed: with that it fails again. */
export class SimulationError extends Error implements FailedRun {
  override readonly name = "SimulationError";
  // Not plain fields: a failure is printed with all its fields, and these may be long.
  readonly #run: FailedRun;

  constructor(run: FailedRun, what: string, cause?: unknown) {
    super(`seed ${run.seed}: ${run.by}: ${what}`, { cause });
    this.#run = run;
  }

  get seed(): number {
    return this.#run.seed;
  }

  get by(): string {
    return this.#run.by;
  }

  get plan(): readonly Draw[] {
    return this.#run.plan;
  }

  get trace(): readonly TraceEvent[] {
    return this.#run.trace;
  }
}
