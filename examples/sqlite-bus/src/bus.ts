import type {
  Bus,
  BusBackend,
  BusStatus,
  Capabilities,
  CloseOptions,
  CloseReport,
} from "@busbar/core";
import { Lifecycle, resolveDrain, StatusHub } from "@busbar/core/adapter";
import { parseConfig, type SqliteConfig } from "./config.ts";
import { BusContext } from "./context.ts";
import { SqliteFile } from "./file.ts";
import { SqliteJobQueue } from "./job-queue.ts";
import { SqliteKvStore } from "./kv-store.ts";
import { PostOffice } from "./post-office.ts";
import { SqlitePubsub } from "./pubsub.ts";
import { SqliteRpc } from "./rpc.ts";

const DEFAULT_DRAIN_MS = 5_000;
/** What a loaded machine's timers are late by. */
const TIMER_GRANULARITY_MS = 15;

/** The backend, as `openBus` finds it. */
export const busBackend: BusBackend<SqliteConfig> = {
  name: "sqlite",
  parseConfig,
  open: async (config) => new SqliteBus(config, SqliteFile.use(config)),
};

/** The four contracts on one file. */
class SqliteBus implements Bus {
  readonly pubsub: SqlitePubsub;
  readonly rpc: SqliteRpc;
  readonly kv: SqliteKvStore;
  readonly jobs: SqliteJobQueue;
  readonly capabilities: Capabilities;
  readonly #context: BusContext;

  constructor(config: SqliteConfig, file: SqliteFile) {
    const lifecycle = new Lifecycle("the bus", config.clock);
    const status = new StatusHub();
    const context = new BusContext(config, { file, lifecycle, status });
    const post = new PostOffice(context);
    this.#context = context;
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

  async close(options?: CloseOptions): Promise<CloseReport> {
    const drainMs = resolveDrain(options?.drainMs, DEFAULT_DRAIN_MS);
    return this.#context.lifecycle.close(drainMs, async () => {
      this.#context.end();
      this.jobs.end();
      this.#context.file.release();
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
