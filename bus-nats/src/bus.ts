import type {
  Bus,
  BusBackend,
  BusStatus,
  Capabilities,
  CloseOptions,
  CloseReport,
  JobQueue,
  KvStore,
  Pubsub,
  RequestReply,
  ResolvedNatsConfig,
  StorageOptions,
  StorageStats,
} from "@busbar/core";
import { type Owned, resolveDrain, resolveStorageOptions } from "@busbar/core/adapter";
import { type NatsContext, openContext, viewContext } from "./context.ts";
import { NatsJobQueue } from "./job-queue.ts";
import { NatsKvStore } from "./kv/store.ts";
import { Live } from "./live.ts";
import { NatsPubsub } from "./pubsub.ts";
import { NatsRequestReply } from "./rpc.ts";
import { Storage } from "./storage.ts";

/** How long work under way may take at the end of a bus. */
const DEFAULT_DRAIN_MS = 5_000;

/** The four contracts on one connection to NATS. */
export class NatsBus implements Bus, Owned {
  readonly pubsub: Pubsub;
  readonly rpc: RequestReply;
  readonly kv: KvStore;
  readonly jobs: JobQueue;
  readonly capabilities: Capabilities;
  readonly #context: NatsContext;
  readonly #storage: Storage;
  readonly #release: (() => void) | undefined;
  #closing: Promise<CloseReport> | undefined;

  /** `release` is called when it is closed. */
  constructor(context: NatsContext, release?: () => void) {
    this.#context = context;
    this.#release = release;
    this.#storage = new Storage(context);
    this.capabilities = context.capabilities;
    this.pubsub = new NatsPubsub(context, new Live(context));
    this.rpc = new NatsRequestReply(context);
    this.kv = new NatsKvStore(context);
    this.jobs = new NatsJobQueue(context);
  }

  status(): AsyncIterable<BusStatus> {
    return this.#context.link.status.subscribe();
  }

  async forNamespace(namespace: string): Promise<NatsBus> {
    const { lifecycle } = this.#context;
    lifecycle.checkOpen();
    const view = new NatsBus(viewContext(this.#context, namespace), () => lifecycle.remove(view));
    lifecycle.add(view);
    return view;
  }

  async storage(options?: StorageOptions): Promise<StorageStats> {
    this.#context.lifecycle.checkOpen();
    const only = resolveStorageOptions(options);
    return only ? this.#storage.some(only) : this.#storage.all();
  }

  async removeNamespace(): Promise<void> {
    this.#context.lifecycle.checkOpen();
    await this.#storage.remove();
  }

  async close(options: CloseOptions = {}): Promise<CloseReport> {
    const drainMs = resolveDrain(options.drainMs, DEFAULT_DRAIN_MS);
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  /** The bus of which this is a view is closed. */
  stop(drainMs: number): Promise<CloseReport> {
    return this.close({ drainMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(drainMs: number): Promise<CloseReport> {
    const { lifecycle, link, removal } = this.#context;
    let cutOff = 0;
    const { abandoned } = await lifecycle.close(drainMs, async () => {
      removal.close();
      cutOff = link.endRequests();
      await link.close();
    });
    this.#release?.();
    return { abandoned: abandoned + cutOff };
  }
}

/** What `openBus` loads for `backend: "nats"`. */
export const busBackend: BusBackend<ResolvedNatsConfig> = {
  name: "nats",
  open: async (config) => new NatsBus(await openContext(config)),
};
