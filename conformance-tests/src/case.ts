import type { Bus, BusConfig, Capabilities, Clock, Random } from "@busbar/core";

/**
 * How far a case goes: `L0` smoke, `L1` what every backend must do, `L2` optional by capability,
 * `L3` stress with seeds, `L4` faults of the server.
 */
export type Level = "L0" | "L1" | "L2" | "L3" | "L4";

/** Which contract a case holds to account. */
export type Contract =
  | "pubsub"
  | "rpc"
  | "kv"
  | "lease"
  | "jobs"
  | "capabilities"
  | "lifecycle"
  | "names"
  | "faults";

/** What a case needs beyond a bus. Where it is missing the case is skipped, with this as the reason. */
export interface Requirement {
  /** Said in the report: "needs a harness that can kill the server". */
  readonly reason: string;
  /** Whether this backend and harness have it. */
  met(context: { readonly capabilities: Capabilities; readonly harness: Harness }): boolean;
}

/** One case of the suite, as data. */
export interface ConformanceCase {
  /** Stable, never reused: contract, group, number, as in `JQ-LEASE-003`. */
  readonly id: string;
  /** What must hold, in the present tense. */
  readonly title: string;
  readonly contract: Contract;
  readonly level: Level;
  readonly requires?: readonly Requirement[];
  /** Most time the case may take, by its clock, in milliseconds. @defaultValue 30_000 */
  readonly timeoutMs?: number;
  run(context: CaseContext): Promise<void>;
}

/** Options of {@link CaseContext.open}. */
export interface OpenOptions {
  /** Another namespace than the case's own. */
  readonly namespace?: string;
  /** Another dedup window. */
  readonly dedupWindowMs?: number;
}

/** What a case works with. */
export interface CaseContext {
  /** A bus of its own, in a namespace that nobody used before. Closed by the runner. */
  readonly bus: Bus;
  /** Opens a further bus: another client of the same server, in the same namespace. Closed by the runner. */
  open(this: void, options?: OpenOptions): Promise<Bus>;
  /** The namespace of `bus`. */
  readonly namespace: string;
  /**
   * The case's clock. On a virtual one the runner moves time whenever nothing can run, so a case may
   * await what takes an hour. `sleep` is for letting a lease or an ack wait pass, never for hoping
   * that something has happened: that is {@link CaseContext.until}.
   */
  readonly clock: Clock;
  /** Whether time is virtual: long waits cost nothing. */
  readonly virtual: boolean;
  /** By how much this backend's timers may be late in this environment, in milliseconds. */
  readonly toleranceMs: number;
  /** Polls until `condition` holds; fails with `what` after `withinMs` (default 5_000, scaled by the harness). */
  until(
    this: void,
    what: string,
    condition: () => boolean | Promise<boolean>,
    withinMs?: number,
  ): Promise<void>;
  /** The result of `promise`; fails with `what` if it is not there after `withinMs` (as `until`). */
  within<T>(this: void, what: string, promise: Promise<T>, withinMs?: number): Promise<T>;
  /** Runs at the end of the case, last first, also if it failed. */
  defer(this: void, cleanup: () => unknown): void;
  /** Seeded randomness; the seed is in the report. */
  readonly random: Random;
  /** The seed. */
  readonly seed: number;
  /** Faults of the server; only in cases that require them. */
  readonly faults: ServerFaults;
  /** Opens the case's namespace in another process; only in cases that require it. */
  readonly elsewhere: BusConfig | string;
}

/** What can be done to the server under a bus. */
export interface ServerFaults {
  /** Ends the server at once, as `kill -9` does. */
  kill(): Promise<void>;
  /** Starts it again, on the same address and store. Resolves when it answers. */
  start(): Promise<void>;
  /** Freezes it. */
  pause?(): Promise<void>;
  /** Lets it go on. */
  resume?(): Promise<void>;
}

/** What a backend brings so that the suite can run on it. */
export interface Harness {
  /** Name for reports, such as `memory` or `nats 2.10.27`. */
  readonly name: string;
  /** Opens a bus in the namespace; all buses of one harness share one server. */
  open(options: { readonly namespace: string; readonly dedupWindowMs?: number }): Promise<Bus>;
  /** Time for one case; default: the machine's clock. A virtual clock comes with how to run under it. */
  readonly time?: {
    readonly clock: Clock;
    /** Moves time while the promise is pending; gives its result. */
    run<T>(promise: Promise<T>): Promise<T>;
  };
  /**
   * The configuration with which another process opens this server; plain data. Without it what
   * takes two processes is skipped.
   */
  elsewhere?(namespace: string): BusConfig | string;
  /** How late timers may be here, in milliseconds. @defaultValue 250 */
  readonly toleranceMs?: number;
  /** All budgets are multiplied with it: more than 1 on slow machines. @defaultValue 1 */
  readonly timeScale?: number;
  /** Faults; without it cases that need them are skipped. */
  readonly faults?: ServerFaults;
  /**
   * Things the backend still holds for a namespace after all its buses are closed (timers,
   * consumers, connections): leaks that fail a case. Asked again for two seconds before it counts.
   * Other cases may be running in other namespaces. Default: not checked.
   */
  leaks?(namespace: string): Promise<readonly string[]>;
  /** Removes what the namespace left on the server. */
  clean?(namespace: string): Promise<void>;
  /** Ends the server. */
  close(): Promise<void>;
}

/** Makes a harness: one for a whole run, or one for each case if it has a `time` of its own. */
export type HarnessFactory = () => Promise<Harness>;

/** Needs `harness.faults`. */
export const needsServerFaults: Requirement = {
  reason: "needs a harness that can kill and restart the server",
  met: ({ harness }) => harness.faults !== undefined,
};

/** Needs `harness.faults` that can freeze the server. */
export const needsServerPause: Requirement = {
  reason: "needs a harness that can freeze the server",
  met: ({ harness }) => harness.faults?.pause !== undefined && harness.faults.resume !== undefined,
};

/** Needs a backend that other processes can share, and a harness that says how. */
export const needsOtherProcess: Requirement = {
  reason: "needs capabilities.crossProcess and a harness that says how another process opens it",
  met: ({ capabilities, harness }) => capabilities.crossProcess && harness.elsewhere !== undefined,
};

/** Needs a backend whose data outlives its server. */
export const needsPersistence: Requirement = {
  reason: "needs capabilities.persistent",
  met: ({ capabilities }) => capabilities.persistent,
};

/** Needs virtual time: it would take too long on the machine's clock. */
export const needsVirtualTime: Requirement = {
  reason: "needs virtual time: it waits for longer than a run may take",
  met: ({ harness }) => harness.time !== undefined,
};

/** Needs redeliveries that come when they are due, and once. */
export const needsSoundRedelivery: Requirement = {
  reason: 'is about capabilities.deliveryCounts "exact" or "nearly"',
  met: ({ capabilities }) => capabilities.deliveryCounts !== "loose",
};

/** Needs a value that can be given a TTL. */
export const needsKeyTtl: Requirement = {
  reason: "needs capabilities.keyTtl",
  met: ({ capabilities }) => capabilities.keyTtl,
};
