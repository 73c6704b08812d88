import {
  type Bus,
  type BusStatus,
  type Capabilities,
  type CloseOptions,
  type CloseReport,
  type ResolvedMemoryConfig,
  type StorageOptions,
  type StorageStats,
  VirtualClock,
} from "@busbar/core";
import {
  Lifecycle,
  namespaceBelow,
  type Owned,
  resolveDrain,
  resolveStorageOptions,
  StatusHub,
  sumStorage,
} from "@busbar/core/adapter";
import { BusContext } from "./bus-context.ts";
import type { AttachedBus } from "./engine/server-engine.ts";
import { MemoryJobQueue } from "./memory-job-queue.ts";
import { MemoryKvStore } from "./memory-kv-store.ts";
import { MemoryPubsub } from "./memory-pubsub.ts";
import { MemoryRpc } from "./memory-rpc.ts";
import { engineOf, type MemoryServer } from "./memory-server.ts";
import { VERSION } from "./version.ts";

const DEFAULT_DRAIN_MS = 5_000;
const SERVER = `bus-memory ${VERSION}`;

/** The four contracts on a {@link MemoryServer}. */
export class MemoryBus implements Bus, AttachedBus, Owned {
  readonly pubsub: MemoryPubsub;
  readonly rpc: MemoryRpc;
  readonly kv: MemoryKvStore;
  readonly jobs: MemoryJobQueue;
  readonly capabilities: Capabilities;
  readonly #context: BusContext;
  readonly #server: MemoryServer;
  readonly #views = new Set<MemoryBus>();
  readonly #release: () => void;

  /** `release` is called when the bus is closed. */
  constructor(config: ResolvedMemoryConfig, server: MemoryServer, release: () => void) {
    const engine = engineOf(server);
    const { clock = engine.clock } = config;
    const namespace = engine.namespace(config.namespace, config.dedupWindowMs);
    const lifecycle = new Lifecycle("the bus", clock);
    const status = new StatusHub();
    const context = new BusContext(config, { engine, namespace, clock, lifecycle, status });
    this.#context = context;
    this.#server = server;
    this.#release = release;
    this.pubsub = new MemoryPubsub(context);
    this.rpc = new MemoryRpc(context);
    this.kv = new MemoryKvStore(context);
    this.jobs = new MemoryJobQueue(context);
    this.capabilities = capabilitiesOf(context);
    engine.attach(this);
    context.ownDeadlines?.start();
    status.emit({ type: "connected", server: SERVER });
  }

  get pendingRequests(): number {
    return this.rpc.pendingRequests;
  }

  get namespace(): BusContext["namespace"] {
    return this.#context.namespace;
  }

  get ownDeadlines(): BusContext["ownDeadlines"] {
    return this.#context.ownDeadlines;
  }

  status(): AsyncIterable<BusStatus> {
    return this.#context.status.subscribe();
  }

  async forNamespace(namespace: string): Promise<MemoryBus> {
    const { config, lifecycle } = this.#context;
    this.#context.enter();
    const below = { ...config, namespace: namespaceBelow(config.namespace, namespace) };
    const view = new MemoryBus(below, this.#server, () => {
      lifecycle.remove(view);
      this.#views.delete(view);
    });
    lifecycle.add(view);
    this.#views.add(view);
    return view;
  }

  async storage(options?: StorageOptions): Promise<StorageStats> {
    const { engine, namespace } = this.#context;
    this.#context.enter();
    const only = resolveStorageOptions(options);
    if (only) return namespace.storage(only);
    return sumStorage(engine.namespacesWithin(namespace.name).map((one) => one.storage()));
  }

  async removeNamespace(): Promise<void> {
    const { engine, namespace } = this.#context;
    this.#context.enter();
    for (const one of engine.namespacesWithin(namespace.name)) one.clear();
  }

  async close(options?: CloseOptions): Promise<CloseReport> {
    const drainMs = resolveDrain(options?.drainMs, DEFAULT_DRAIN_MS);
    return this.#context.lifecycle.close(drainMs, async () => this.#finish());
  }

  /** The bus of which this is a view is closed. */
  stop(drainMs: number): Promise<CloseReport> {
    return this.close({ drainMs });
  }

  /**
   * Its process was killed: the server sees the connection end. What was only buffered goes to
   * others, what it held (deliveries, jobs, leases) stays held until its time is over.
   */
  async crash(): Promise<void> {
    this.#context.die();
    for (const view of this.#views) void view.crash();
    await this.#context.lifecycle.close(0, async () => this.#finish());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #finish(): void {
    const context = this.#context;
    context.end();
    this.jobs.end();
    context.ownDeadlines?.stop();
    context.engine.detach(this);
    this.#release();
    context.status.emit({ type: "closed", reason: "close was called" });
  }
}

function capabilitiesOf({ config, clock }: BusContext): Capabilities {
  return Object.freeze({
    backend: "memory",
    server: SERVER,
    ackMeaning: "memory",
    persistent: false,
    settleDurability: Object.freeze({ pubsub: "none", jobs: "none" }),
    dedupDurability: Object.freeze({ pubsub: "none", jobs: "none" }),
    deliveryCounts: "exact",
    dedupWindowMs: config.dedupWindowMs,
    maxPayloadBytes: config.maxPayloadBytes,
    timerGranularityMs: clock instanceof VirtualClock ? 1 : REAL_TIMER_GRANULARITY_MS,
    crossProcess: false,
    keyTtl: true,
    keyTtlGranularityMs: 1,
  } as const);
}

/** What a loaded machine's timers are late by. */
const REAL_TIMER_GRANULARITY_MS = 15;
