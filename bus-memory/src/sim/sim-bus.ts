import type {
  Bus,
  BusStatus,
  Capabilities,
  CloseOptions,
  CloseReport,
  StorageOptions,
  StorageStats,
} from "@busbar/core";
import { DEFAULT_TIMEOUT_MS, resolveDrain, StatusHub } from "@busbar/core/adapter";
import type { MemoryBus } from "../memory-bus.ts";
import type { ResolvedFaults } from "./faults.ts";
import type { Link } from "./link.ts";
import { SimJobQueue } from "./sim-jobs.ts";
import { SimKvStore } from "./sim-kv.ts";
import { SimPubsub } from "./sim-pubsub.ts";
import { SimRpc } from "./sim-rpc.ts";

/** The four contracts as a simulated process has them: a {@link MemoryBus} behind a {@link Link}. */
export class SimBus implements Bus {
  readonly pubsub: SimPubsub;
  readonly rpc: SimRpc;
  readonly kv: SimKvStore;
  readonly jobs: SimJobQueue;
  readonly capabilities: Capabilities;
  readonly #link: Link;
  readonly #inner: MemoryBus;
  readonly #faults: ResolvedFaults;
  readonly #release: (() => void) | undefined;
  readonly #views = new Set<SimBus>();
  readonly #status = new StatusHub();
  #closing: Promise<CloseReport> | undefined;

  /** `release` is called when it is closed. */
  constructor(link: Link, inner: MemoryBus, faults: ResolvedFaults, release?: () => void) {
    this.#link = link;
    this.#release = release;
    this.#inner = inner;
    this.#faults = faults;
    this.pubsub = new SimPubsub(link, inner.pubsub, inner.capabilities.maxPayloadBytes);
    this.rpc = new SimRpc(link, inner.rpc);
    this.kv = new SimKvStore(link, inner.kv);
    this.jobs = new SimJobQueue(link, inner.jobs);
    this.capabilities = capabilitiesOf(inner.capabilities, faults);
    this.#status.emit({ type: "connected", server: inner.capabilities.server });
  }

  status(): AsyncIterable<BusStatus> {
    return this.#status.subscribe();
  }

  /** The link went down. */
  disconnected(reason: string): void {
    this.#link.gate.pass(() => this.#status.emit({ type: "disconnected", reason }));
    for (const view of this.#views) view.disconnected(reason);
  }

  /** It is up again. */
  connected(): void {
    const { server } = this.#inner.capabilities;
    this.#link.gate.pass(() => this.#status.emit({ type: "connected", server }));
    for (const view of this.#views) view.connected();
  }

  /** Asks the server nothing: a view is a name. */
  async forNamespace(namespace: string): Promise<Bus> {
    this.#link.checkOpen(false);
    const inner = await this.#inner.forNamespace(namespace);
    const link = this.#link.share();
    const view = new SimBus(link, inner, this.#faults, () => {
      this.#link.unshare(link);
      this.#views.delete(view);
    });
    this.#views.add(view);
    if (this.#link.isDown) view.disconnected("the link is down");
    return view;
  }

  storage(options?: StorageOptions): Promise<StorageStats> {
    return this.#ask("storage", () => this.#inner.storage(options));
  }

  removeNamespace(): Promise<void> {
    return this.#ask("removeNamespace", () => this.#inner.removeNamespace());
  }

  async close(options?: CloseOptions): Promise<CloseReport> {
    resolveDrain(options?.drainMs, 0);
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close(options?: CloseOptions): Promise<CloseReport> {
    this.#link.close("closing");
    this.#link.recorder.note(this.#link.name, "bus.close");
    // What was sent before goes first.
    await this.#link.flush();
    for (const view of this.#views) void view.close(options);
    const report = await this.#link.gate.through(this.#inner.close(options));
    this.#end();
    return report;
  }

  /** Nothing is possible any more, on its views neither, whatever they still wait for. */
  #end(): void {
    for (const view of this.#views) view.#end();
    this.#link.close("closed");
    this.#status.emit({ type: "closed", reason: "close was called" });
    this.#release?.();
  }

  #ask<T>(method: string, run: () => Promise<T>): Promise<T> {
    const op = `bus.${method}`;
    const call = { op, about: "", timeoutMs: DEFAULT_TIMEOUT_MS, again: "afterBreak" } as const;
    return this.#link.request(call, run);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function capabilitiesOf(inner: Capabilities, faults: ResolvedFaults): Capabilities {
  const { serverCrash } = faults;
  const keeps = (serverCrash?.lostSettlesMs ?? 0) === 0;
  const settles = keeps ? "kept" : "window";
  const loses = faults.dropDelivery > 0 || faults.partition !== undefined;
  return Object.freeze({
    ...inner,
    ackMeaning: (serverCrash?.lostWritesMs ?? 0) > 0 ? "flushed" : "synced",
    persistent: true,
    settleDurability: Object.freeze({ pubsub: settles, jobs: settles }),
    dedupDurability: Object.freeze({ pubsub: "kept", jobs: "kept" }),
    // What a fault loses on its way has been counted by the server.
    deliveryCounts: loses ? "nearly" : inner.deliveryCounts,
    timerGranularityMs: 1 + Math.ceil(faults.delayMs[1]),
  } as const);
}
