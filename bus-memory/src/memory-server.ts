import { type Clock, type Random, seededRandom, systemClock, systemRandom } from "@busbar/core";
import { checkInteger, optionsConflict } from "@busbar/core/adapter";
import { Arena } from "./engine/arena.ts";
import { Deadlines } from "./engine/deadlines.ts";
import type { EngineContext } from "./engine/message-hub.ts";
import { Namespace } from "./engine/namespace.ts";
import type { StreamLimits } from "./engine/stream.ts";

/** What a {@link MemoryServer} may be told. */
export interface MemoryServerOptions {
  /** The server's clock. @defaultValue the machine's */
  readonly clock?: Clock;
  /** Makes everything random repeatable: an integer from 0 to 4_294_967_295. Default: random. */
  readonly seed?: number;
  /** How much the stream of each namespace keeps; the oldest messages go first. Default: all. */
  readonly streamLimits?: StreamLimits;
}

/** What is alive on a {@link MemoryServer}: what has to be zero when everything is closed is so. */
export interface MemoryServerStats {
  /** Buses that are open. */
  readonly buses: number;
  /** Namespaces that were used. */
  readonly namespaces: number;
  /** Messages in streams. */
  readonly messages: number;
  /** Durables, and ephemeral consumers of subscriptions that are open. */
  readonly consumers: number;
  /** Those of them that are durable. */
  readonly durables: number;
  /** Subscriptions that are open. */
  readonly subscriptions: number;
  /** Deliveries that are buffered, in hands, to be repeated or delayed. */
  readonly unsettled: number;
  /** Live listeners. */
  readonly listeners: number;
  /** Servers of requests. */
  readonly responders: number;
  /** Requests that wait for a reply. */
  readonly pendingRequests: number;
  /** Watches of buckets. */
  readonly watches: number;
  /** Lease records. */
  readonly leases: number;
  /** Claims that wait for a job. */
  readonly waitingClaims: number;
  /** Jobs in the hands of workers. */
  readonly leasedJobs: number;
  /** Message ids that are remembered. */
  readonly messageIds: number;
  /** Ack waits, leases, delays, TTLs and waits whose time is still to come. */
  readonly pendingDeadlines: number;
  /** Timers of the clock, 0 or 1 for each clock, however many deadlines there are. */
  readonly timers: number;
}

/** What a server knows of a bus. */
export interface AttachedBus {
  readonly pendingRequests: number;
  /** The deadlines of a bus whose clock is not the server's. */
  readonly ownDeadlines: Deadlines | undefined;
}

/**
 * A simulated JetStream server in this process. Buses that are opened with it as `config.server`
 * share its streams, buckets and queues, as far as they are in one namespace.
 *
 * Its time is its clock. It keeps what it has when the last bus is closed, and arms no timer then:
 * what falls due meanwhile happens when the next bus is opened.
 */
export class MemoryServer {
  /** The server's clock. */
  readonly clock: Clock;
  /** The server's source of randomness. */
  readonly random: Random;
  readonly #deadlines: Deadlines;
  readonly #context: EngineContext;
  readonly #namespaces = new Map<string, Namespace>();
  readonly #buses = new Set<AttachedBus>();

  constructor(options: MemoryServerOptions = {}) {
    const { seed, clock = systemClock, streamLimits = {} } = options;
    if (seed !== undefined) checkInteger("seed", seed, 0, 0xffff_ffff);
    this.clock = clock;
    this.random = seed === undefined ? systemRandom : seededRandom(seed);
    this.#deadlines = new Deadlines(clock);
    this.#context = { clock, deadlines: this.#deadlines, arena: new Arena(), streamLimits };
  }

  /**
   * The engine's own parts, for the bus of this package.
   * @internal
   */
  get engine(): EngineContext {
    return this.#context;
  }

  /**
   * The namespace of this name, made if need be.
   * @throws BusError `CONFLICT` if it exists with another dedup window
   * @internal
   */
  namespace(name: string, dedupWindowMs: number): Namespace {
    const existing = this.#namespaces.get(name);
    if (existing === undefined) {
      const made = new Namespace(name, dedupWindowMs, this.#context);
      this.#namespaces.set(name, made);
      return made;
    }
    if (existing.dedupWindowMs !== dedupWindowMs) {
      throw optionsConflict(`namespace ${name}`, [
        ["dedupWindowMs", existing.dedupWindowMs, dedupWindowMs],
      ]);
    }
    return existing;
  }

  /**
   * A bus begins to use the server.
   * @internal
   */
  attach(bus: AttachedBus): void {
    this.#buses.add(bus);
    this.#deadlines.start();
  }

  /**
   * A bus uses the server no more.
   * @internal
   */
  detach(bus: AttachedBus): void {
    this.#buses.delete(bus);
    if (this.#buses.size === 0) this.#deadlines.stop();
  }

  /** Counts what is alive, over all namespaces. For tests and for the hunt for leaks. */
  stats(): MemoryServerStats {
    const count = {
      messages: 0,
      consumers: 0,
      durables: 0,
      subscriptions: 0,
      unsettled: 0,
      listeners: 0,
      responders: 0,
      pendingRequests: 0,
      watches: 0,
      leases: 0,
      waitingClaims: 0,
      leasedJobs: 0,
      messageIds: 0,
      pendingDeadlines: this.#deadlines.size,
      timers: this.#deadlines.isArmed ? 1 : 0,
    };
    for (const namespace of this.#namespaces.values()) {
      const { hub, responders, leases } = namespace;
      count.messages += hub.stream.size;
      count.consumers += hub.consumerCount;
      count.durables += hub.durableCount;
      count.messageIds += hub.dedupCount;
      count.listeners += hub.live.size;
      count.responders += responders.size;
      count.leases += leases.size;
      for (const consumer of hub.consumers()) {
        count.subscriptions += consumer.memberCount;
        count.unsettled += consumer.unsettledCount;
      }
      for (const bucket of namespace.buckets()) count.watches += bucket.watcherCount;
      for (const queue of namespace.queues()) {
        count.waitingClaims += queue.waiterCount;
        count.leasedJobs += queue.stats.leased;
      }
    }
    for (const { pendingRequests, ownDeadlines } of this.#buses) {
      count.pendingRequests += pendingRequests;
      count.pendingDeadlines += ownDeadlines?.size ?? 0;
      count.timers += ownDeadlines?.isArmed ? 1 : 0;
    }
    return { buses: this.#buses.size, namespaces: this.#namespaces.size, ...count };
  }
}
