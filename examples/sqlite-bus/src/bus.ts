import type {
  Bus,
  BusBackend,
  BusStatus,
  Capabilities,
  CloseOptions,
  CloseReport,
  StorageOptions,
  StorageStats,
} from "@busbar/core";
import {
  Lifecycle,
  namespaceBelow,
  type Owned,
  resolveDrain,
  resolveStorageOptions,
  StatusHub,
} from "@busbar/core/adapter";
import { parseConfig, type SqliteConfig } from "./config.ts";
import { BusContext } from "./context.ts";
import { SqliteFile } from "./file.ts";
import { SqliteJobQueue } from "./job-queue.ts";
import { SqliteKvStore } from "./kv-store.ts";
import { PostOffice } from "./post-office.ts";
import { SqlitePubsub } from "./pubsub.ts";
import { SqliteRpc } from "./rpc.ts";
import { removeStored, storedIn } from "./storage.ts";

const DEFAULT_DRAIN_MS = 5_000;
/** What a loaded machine's timers are late by. */
const TIMER_GRANULARITY_MS = 15;

/** The backend, as `openBus` finds it. */
export const busBackend: BusBackend<SqliteConfig> = {
  name: "sqlite",
  parseConfig,
  async open(config) {
    const file = SqliteFile.use(config);
    return new SqliteBus(config, file, () => file.release());
  },
};

/** The four contracts on one file. */
class SqliteBus implements Bus, Owned {
  readonly pubsub: SqlitePubsub;
  readonly rpc: SqliteRpc;
  readonly kv: SqliteKvStore;
  readonly jobs: SqliteJobQueue;
  readonly capabilities: Capabilities;
  readonly #context: BusContext;
  readonly #release: () => void;

  /** `release` is called when it is closed. */
  constructor(config: SqliteConfig, file: SqliteFile, release: () => void) {
    const lifecycle = new Lifecycle("the bus", config.clock);
    const status = new StatusHub();
    const context = new BusContext(config, { file, lifecycle, status });
    const post = new PostOffice(context);
    this.#context = context;
    this.#release = release;
    this.pubsub = new SqlitePubsub(context, post);
    this.rpc = new SqliteRpc(context, post);
    this.kv = new SqliteKvStore(context);
    this.jobs = new SqliteJobQueue(context);
    this.capabilities = capabilitiesOf(config, file.sqliteVersion);
    status.emit({ type: "connected", server: this.capabilities.server });
  }

  status(): AsyncIterable<BusStatus> {
    return this.#context.status.subscribe();
  }

  async forNamespace(namespace: string): Promise<Bus> {
    const { config, file, lifecycle } = this.#context;
    this.#context.enter();
    const below = { ...config, namespace: namespaceBelow(config.namespace, namespace) };
    const view = new SqliteBus(below, file, () => lifecycle.remove(view));
    lifecycle.add(view);
    return view;
  }

  async storage(options?: StorageOptions): Promise<StorageStats> {
    this.#context.enter();
    return storedIn(this.#context, resolveStorageOptions(options));
  }

  async removeNamespace(): Promise<void> {
    this.#context.enter();
    removeStored(this.#context);
  }

  /** The bus of which this is a view is closed. */
  stop(drainMs: number): Promise<CloseReport> {
    return this.close({ drainMs });
  }

  async close(options?: CloseOptions): Promise<CloseReport> {
    const drainMs = resolveDrain(options?.drainMs, DEFAULT_DRAIN_MS);
    return this.#context.lifecycle.close(drainMs, async () => {
      this.#context.end();
      this.jobs.end();
      this.#release();
      this.#context.status.emit({ type: "closed", reason: "close was called" });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function capabilitiesOf(config: SqliteConfig, version: string): Capabilities {
  return Object.freeze<Capabilities>({
    backend: "sqlite",
    server: `SQLite ${version}`,
    ackMeaning: config.sync === "synced" ? "synced" : "flushed",
    persistent: true,
    // A settle is a row like everything else.
    settleDurability: Object.freeze({ pubsub: "kept", jobs: "kept" }),
    dedupDurability: Object.freeze({ pubsub: "kept", jobs: "kept" }),
    deliveryCounts: "exact",
    dedupWindowMs: config.dedupWindowMs,
    maxPayloadBytes: config.maxPayloadBytes,
    timerGranularityMs: config.pollMs + TIMER_GRANULARITY_MS,
    crossProcess: config.pollMs > 0,
    keyTtl: true,
    keyTtlGranularityMs: 1,
  });
}
