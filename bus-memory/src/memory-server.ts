import { type Clock, type Random, seededRandom, systemClock, systemRandom } from "@busbar/core";
import { checkInteger } from "@busbar/core/adapter";
import { ServerEngine } from "./engine/server-engine.ts";
import type { StreamLimits } from "./engine/stream.ts";
import { type MemoryServerStats, statsOf } from "./server-stats.ts";

/** What a {@link MemoryServer} may be told. */
export interface MemoryServerOptions {
  /** The server's clock. @defaultValue the machine's */
  readonly clock?: Clock | undefined;
  /** Makes everything random repeatable: an integer from 0 to 4_294_967_295. Default: random. */
  readonly seed?: number | undefined;
  /** How much the stream of each namespace keeps; the oldest messages go first. Default: all. */
  readonly streamLimits?: StreamLimits | undefined;
}

/** The engine of a server: for the bus of this package, and for nobody else. */
export let engineOf: (server: MemoryServer) => ServerEngine;

/**
 * A simulated JetStream server in this process. Buses that are opened with it as `config.server`
 * share its streams, buckets and queues, as far as they are in one namespace.
 *
 * Its time is its clock. It keeps what it has when the last bus is closed, and arms no timer then:
 * what falls due meanwhile happens when the next bus is opened.
 */
export class MemoryServer {
  readonly #engine: ServerEngine;

  constructor(options: MemoryServerOptions = {}) {
    const { seed, clock = systemClock, streamLimits = {} } = options;
    if (seed !== undefined) checkInteger("seed", seed, 0, 0xffff_ffff);
    const random = seed === undefined ? systemRandom : seededRandom(seed);
    this.#engine = new ServerEngine({ clock, random, streamLimits });
  }

  static {
    engineOf = (server) => server.#engine;
  }

  /** The server's clock. */
  get clock(): Clock {
    return this.#engine.clock;
  }

  /** The server's source of randomness. */
  get random(): Random {
    return this.#engine.random;
  }

  /** Counts what is alive, over all namespaces. For tests, and for the hunt for leaks. */
  stats(): MemoryServerStats {
    return statsOf(this.#engine);
  }
}
