/// <reference lib="esnext.disposable" preserve="true" />
import type { Capabilities } from "./capabilities.ts";
import type { CloseOptions, CloseReport } from "./close.ts";
import type { JobQueue } from "./job-queue.ts";
import type { KvStore } from "./kv-store.ts";
import type { Pubsub } from "./pubsub.ts";
import type { RequestReply } from "./request-reply.ts";
import type { BusStatus } from "./status.ts";
import type { StorageOptions, StorageStats } from "./storage.ts";

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
   * A bus on a namespace below this one, a view: over the same connection, with the same
   * configuration otherwise. Its namespace is `<this one's>--<namespace>`, so that whoever is given a
   * view reaches what is below it and nothing else. Two views of one name share everything. A view
   * has views in turn.
   *
   * Closing a view closes only it and its own views. Closing this bus closes its views, with the same
   * `drainMs`; what they abandon is in the report.
   * @param namespace letters, digits and `-`, the first no `-`; together with this one's at most 64
   * @throws BusError `INVALID_ARGUMENT`, `CONFLICT`, `DISCONNECTED`, `CLOSED`
   */
  forNamespace(namespace: string): Promise<Bus>;
  /**
   * What is stored in this namespace and those below it; with options only in some of its own queues
   * and buckets, which costs less on a server that has many. What does not exist has nothing.
   * @throws BusError `INVALID_ARGUMENT`, `TIMEOUT`, `DISCONNECTED`, `CLOSED`
   */
  storage(options?: StorageOptions): Promise<StorageStats>;
  /**
   * Removes all that is stored in this namespace and those below it: messages and durables, queues,
   * dead letters, buckets, leases. May be called again, also after an interruption, and by several at
   * once. What is used later begins anew: sequences, revisions and fences are those of a namespace
   * that nobody used before, so whoever still works with old ones must not go on.
   *
   * Subscriptions and watches end with `NOT_FOUND`, leases are lost, what workers do with their jobs
   * has no effect. Other buses hear of it one way over the network. Listeners and servers of requests
   * go on: nothing of them is stored.
   * @throws BusError `TIMEOUT`, `DISCONNECTED`, `CLOSED`
   */
  removeNamespace(): Promise<void>;
  /**
   * Stops everything: subscriptions, listeners, watches, servers give back what they hold, running
   * handlers get `drainMs` (default 5_000), then the connection ends. Never takes longer than
   * `drainMs` and one second. Operations after it reject with `CLOSED`. Idempotent.
   */
  close(options?: CloseOptions): Promise<CloseReport>;
}
