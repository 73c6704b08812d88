import type { Bus, Clock } from "@busbar/core";

/** What a script runs on: a fresh namespace of some backend. */
export interface World {
  /** The clock of the programs. */
  readonly clock: Clock;
  /** Opens a bus in the namespace. */
  openBus(): Promise<Bus>;
  /** Stops the server and starts it again, if it can be. */
  restartServer(): Promise<void>;
  /** Ends what is still open and removes what was stored. */
  close(): Promise<void>;
}

/** What of a server version changes the outcome of a script by declaration. */
export interface Traits {
  /** The version, such as `2.10.27`. */
  readonly version: string;
  /** Whether single values may have a TTL. */
  readonly keyTtl: boolean;
  readonly maxPayloadBytes: number;
}
