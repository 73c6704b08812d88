/// <reference lib="esnext.disposable" preserve="true" />

/** Options of {@link KvStore.lease}. */
export interface LeaseOptions {
  /** How long the lease lives without a heartbeat, in milliseconds, 50 or more. */
  readonly ttlMs: number;
  /**
   * How long to wait for it while somebody else holds it, in milliseconds. 0 fails at once.
   * @defaultValue 0
   */
  readonly waitMs?: number;
  /** Who takes it: a plain name, shown to others. Default: a random id. */
  readonly owner?: string;
  /** Stops waiting. It does not release a lease that was granted. */
  readonly signal?: AbortSignal;
}

/**
 * An exclusive right to a key, for a limited time.
 *
 * States: *held* -> `release()` -> *released*; *held* -> no confirmed heartbeat in time -> *lost*.
 * Both ends are final. `lost` fires while the lease still stands on the server, so a holder that
 * stops at once never overlaps with the next one.
 */
export interface Lease extends AsyncDisposable {
  /** The key. */
  readonly key: string;
  /** Grows with every grant of this key, for ever. Let the guarded resource refuse smaller ones. */
  readonly fence: number;
  /** Who holds it. */
  readonly owner: string;
  /** Until when it stands, by this process's wall clock, in milliseconds since the Unix epoch. */
  readonly expiresAtMs: number;
  /**
   * Aborts when the lease is lost (with `LEASE_LOST` as reason), and when its bus closes, which gives
   * it back (with `CLOSED`); not on `release()`.
   */
  readonly lost: AbortSignal;
  /**
   * Renews for another TTL.
   * @throws BusError `LEASE_LOST` if it is over, `CLOSED` after `release()`
   */
  heartbeat(): Promise<void>;
  /** Gives it up at once. Does nothing if it is over already. Idempotent. */
  release(): Promise<void>;
}
