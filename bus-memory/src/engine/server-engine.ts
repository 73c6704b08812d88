import type { Clock, Random } from "@busbar/core";
import { isNamespaceWithin, optionsConflict } from "@busbar/core/adapter";
import { Arena } from "./arena.ts";
import { Deadlines } from "./deadlines.ts";
import type { EngineContext } from "./engine-context.ts";
import { Journal, type LostWindows } from "./journal.ts";
import { Namespace } from "./namespace.ts";
import type { StreamLimits } from "./stream.ts";

/** What a server knows of a bus. */
export interface AttachedBus {
  readonly pendingRequests: number;
  /** Where it is. */
  readonly namespace: Namespace;
  /** The deadlines of a bus whose clock is not the server's. */
  readonly ownDeadlines: Deadlines | undefined;
}

/** What a {@link ServerEngine} is made of. */
export interface ServerEngineOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly streamLimits: StreamLimits;
  /** How far back a crash can lose changes, in milliseconds; 0 for not at all. */
  readonly unsyncedMs: number;
}

/** The engine of one simulated server: its time and its namespaces. */
export class ServerEngine implements EngineContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly streamLimits: StreamLimits;
  readonly arena: Arena = new Arena();
  readonly deadlines: Deadlines;
  readonly journal: Journal | undefined;
  readonly #namespaces = new Map<string, Namespace>();
  readonly #buses = new Set<AttachedBus>();

  constructor(options: ServerEngineOptions) {
    this.clock = options.clock;
    this.random = options.random;
    this.streamLimits = options.streamLimits;
    this.deadlines = new Deadlines(options.clock);
    this.journal = options.unsyncedMs > 0 ? new Journal(options.unsyncedMs) : undefined;
  }

  /** The buses that use it. */
  get buses(): ReadonlySet<AttachedBus> {
    return this.#buses;
  }

  /** The namespaces that were used. */
  get namespaces(): ReadonlyMap<string, Namespace> {
    return this.#namespaces;
  }

  /** The namespaces that are this one or below it. */
  namespacesWithin(name: string): Namespace[] {
    return [...this.#namespaces.values()].filter((one) => isNamespaceWithin(one.name, name));
  }

  /**
   * The namespace of this name, made if need be.
   * @throws BusError `CONFLICT` if it exists with another dedup window
   */
  namespace(name: string, dedupWindowMs: number): Namespace {
    const existing = this.#namespaces.get(name);
    if (existing === undefined) {
      const made = new Namespace(name, dedupWindowMs, this);
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

  /** Ends at once and is back at once, with what was on disk: all but the last of `lost`. */
  crash(lost: LostWindows): void {
    const nowMs = this.deadlines.tick();
    this.journal?.undo(nowMs, lost);
    for (const namespace of this.#namespaces.values()) namespace.recover();
    // Of what came back the time may be over.
    this.deadlines.tick();
  }

  /** A bus begins to use it. */
  attach(bus: AttachedBus): void {
    this.#buses.add(bus);
    this.deadlines.start();
  }

  /** A bus uses it no more. With the last one its timer goes, and a namespace of which nothing is left. */
  detach(bus: AttachedBus): void {
    this.#buses.delete(bus);
    const { namespace } = bus;
    const isUsed =
      !namespace.isBlank || [...this.#buses].some((other) => other.namespace === namespace);
    if (!isUsed) this.#namespaces.delete(namespace.name);
    if (this.#buses.size === 0) this.deadlines.stop();
  }
}
