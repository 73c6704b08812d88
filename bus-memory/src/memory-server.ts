import { type Clock, type Random, seededRandom, systemClock, systemRandom } from "@busbar/core";
import { checkDuration, checkInteger } from "@busbar/core/adapter";
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
  /**
   * How far back {@link MemoryServer.crash} can lose changes, in milliseconds from 0 to 3_600_000.
   * The server remembers what it changed in this time, which costs memory and some speed.
   * @defaultValue 0: nothing can be lost
   */
  readonly unsyncedMs?: number | undefined;
}

/** What a server loses in a crash. See {@link MemoryServer.crash}. */
export interface CrashOptions {
  /**
   * How far back acks and terms are forgotten, in milliseconds from 0 to the server's `unsyncedMs`.
   * @defaultValue 0: none
   */
  readonly lostSettlesMs?: number | undefined;
  /**
   * How far back publishes, enqueues, dead letters that a worker made, and writes to buckets are
   * lost, in milliseconds from 0 to the server's `unsyncedMs`.
   * @defaultValue 0: none
   */
  readonly lostWritesMs?: number | undefined;
}

const MAX_UNSYNCED_MS = 3_600_000;

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
  readonly #unsyncedMs: number;

  constructor(options: MemoryServerOptions = {}) {
    const { seed, clock = systemClock, streamLimits = {}, unsyncedMs = 0 } = options;
    checkDuration("unsyncedMs", unsyncedMs, 0, MAX_UNSYNCED_MS);
    if (seed !== undefined) checkInteger("seed", seed, 0, 0xffff_ffff);
    const random = seed === undefined ? systemRandom : seededRandom(seed);
    this.#engine = new ServerEngine({ clock, random, streamLimits, unsyncedMs });
    this.#unsyncedMs = unsyncedMs;
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

  /**
   * Ends at once and is back at once, with what was on disk. Windows are judged by the server's
   * monotonic time: what was changed less than so many milliseconds ago is lost.
   *
   * - A lost settle is as if it had not been made: the ack wait or lease runs to its end, then the
   *   message or job comes again, as one more delivery or attempt. Who settled it is not told.
   * - A lost write is undone, and all that became of it: its deliveries come to nothing, its job
   *   cannot be settled (`LEASE_LOST`), its dedup id is forgotten. As on a real server its sequence,
   *   job id or revision is given again. Fences are not: they grow for ever. What limits, a purge or
   *   the deletion of a queue, durable or bucket removed stays removed.
   * - Records of leases are written through: they are never lost.
   * - What subscriptions have only buffered goes back and is given out again. What is in hands
   *   stays there until its time is over. Subscriptions, watches, listeners and claims that wait go
   *   on, as those of clients that reconnect.
   *
   * What was not lost is on disk from now on: a later crash cannot lose it.
   * @throws RangeError if a window is longer than the server's `unsyncedMs`
   */
  crash(options: CrashOptions = {}): void {
    const { lostSettlesMs = 0, lostWritesMs = 0 } = options;
    checkDuration("lostSettlesMs", lostSettlesMs, 0, this.#unsyncedMs);
    checkDuration("lostWritesMs", lostWritesMs, 0, this.#unsyncedMs);
    this.#engine.crash({ settle: lostSettlesMs, write: lostWritesMs });
  }

  /** Counts what is alive, over all namespaces. For tests, and for the hunt for leaks. */
  stats(): MemoryServerStats {
    return statsOf(this.#engine);
  }
}
