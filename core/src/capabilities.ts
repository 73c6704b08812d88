/**
 * What survives what, and what a backend can do. Frozen when the bus is open: read from the server's
 * version and configuration, not assumed. The conformance suite checks it both ways.
 */
export interface Capabilities {
  /** The backend's name: `memory`, `nats`, or that of a third party. */
  readonly backend: string;
  /** The server and its version, such as `nats-server 2.10.27`; for a library its own. */
  readonly server: string;
  /**
   * What has happened when a publish or enqueue is acknowledged: it is in this process's `memory`;
   * the server has handed it to the operating system (`flushed`: survives a kill of the server);
   * it is `synced` to the disk (survives power loss); a `quorum` of servers has it.
   */
  readonly ackMeaning: "memory" | "flushed" | "synced" | "quorum";
  /** Whether messages, jobs and values survive a kill of the server. */
  readonly persistent: boolean;
  /**
   * Whether settles survive a kill of the server, by contract: `kept`, or `window` (those of the
   * last moments before it may be forgotten: handlers see the message once more), or `none` (there
   * is nothing left to settle).
   */
  readonly settleDurability: {
    readonly pubsub: "kept" | "window" | "none";
    readonly jobs: "kept" | "window" | "none";
  };
  /**
   * Whether dedup ids survive a kill of the server within their window: `kept`, `unconsumed` (only
   * while the message or job is there), or `none`.
   */
  readonly dedupDurability: {
    readonly pubsub: "kept" | "unconsumed" | "none";
    readonly jobs: "kept" | "unconsumed" | "none";
  };
  /**
   * How exactly deliveries are counted and brought back while subscriptions come and go: `exact`;
   * `nearly` (a delivery that crosses with the end of a subscription counts although nobody saw it,
   * and comes again after its ack wait); `loose` (besides, a message that was given back may come
   * again only after its ack wait, and another one twice as a first delivery).
   */
  readonly deliveryCounts: "exact" | "nearly" | "loose";
  /** How long message ids and dedup keys are remembered, in milliseconds. */
  readonly dedupWindowMs: number;
  /** Largest payload with its headers left out, in bytes. */
  readonly maxPayloadBytes: number;
  /** How late a redelivery, an expiry or a delay may come at low load, in milliseconds. */
  readonly timerGranularityMs: number;
  /** Whether other processes can share this bus. */
  readonly crossProcess: boolean;
  /** Whether `KvStore.put` takes `ttlMs`. */
  readonly keyTtl: boolean;
  /** To what a key's TTL is rounded up, in milliseconds; 0 without `keyTtl`. */
  readonly keyTtlGranularityMs: number;
}
