/// <reference lib="esnext.disposable" preserve="true" />
import type { Capabilities } from "./capabilities.ts";
import type { CloseOptions, CloseReport } from "./close.ts";
import type { JobQueue } from "./job-queue.ts";
import type { KvStore } from "./kv-store.ts";
import type { Pubsub } from "./pubsub.ts";
import type { RequestReply } from "./request-reply.ts";
import type { BusStatus } from "./status.ts";

/** The four contracts on one backend. */
export interface Bus extends AsyncDisposable {
  /** Publish and subscribe. */
  readonly pubsub: Pubsub;
  /** Request and reply. */
  readonly rpc: RequestReply;
  /** Keys and values, watches, leases. */
  readonly kv: KvStore;
  /** Queues of jobs. */
  readonly jobs: JobQueue;
  /** What this backend, server and configuration can do. */
  readonly capabilities: Capabilities;
  /**
   * What happens from now on; starts with the current connection state. Bounded: a reader that is
   * too slow misses the oldest. Ends when the bus is closed.
   */
  status(): AsyncIterable<BusStatus>;
  /**
   * Stops everything: subscriptions, listeners, watches, servers give back what they hold, running
   * handlers get `drainMs` (default 5_000), then the connection ends. Never takes longer than
   * `drainMs` and one second. Operations after it reject with `CLOSED`. Idempotent.
   */
  close(options?: CloseOptions): Promise<CloseReport>;
}
