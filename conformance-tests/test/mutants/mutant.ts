import type { Contract, Harness } from "@busbar/conformance-tests";
import type { Bus, Clock } from "@busbar/core";

/** Opens a bus on the server of a harness. */
export type Open = (this: void, ...options: Parameters<Harness["open"]>) => Promise<Bus>;

/** The good server that a mutant is built around; every case has one of its own. */
export interface World {
  /** The time of the case. */
  readonly clock: Clock;
  /** Opens a bus without any fault. */
  readonly open: Open;
}

/** A backend with one mistake, of the kind that an author of a real adapter makes. */
export interface Mutant {
  /** Stable, such as `ack-lost`. */
  readonly id: string;
  /** What is wrong, in the present tense. */
  readonly title: string;
  /** Where the mistake is. */
  readonly contract: Contract;
  /** The cases that must fail on it: those whose promise it breaks. More may. */
  readonly killedBy: readonly string[];
  /**
   * Puts the mistake between the cases and a good server. What is kept here is shared by all buses
   * of the case.
   */
  wrap(world: World): Open;
}
