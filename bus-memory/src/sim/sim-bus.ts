import type { Bus, BusStatus, Capabilities, CloseOptions, CloseReport } from "@busbar/core";
import { resolveDrain, StatusHub } from "@busbar/core/adapter";
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
  readonly #status = new StatusHub();
  #closing: Promise<CloseReport> | undefined;

  constructor(link: Link, inner: MemoryBus, faults: ResolvedFaults) {
    this.#link = link;
    this.#inner = inner;
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
  }

  /** It is up again. */
  connected(): void {
    const { server } = this.#inner.capabilities;
    this.#link.gate.pass(() => this.#status.emit({ type: "connected", server }));
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
    const report = await this.#link.gate.through(this.#inner.close(options));
    this.#link.close("closed");
    this.#status.emit({ type: "closed", reason: "close was called" });
    return report;
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
