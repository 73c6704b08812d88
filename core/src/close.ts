/** How an owner of resources is closed. */
export interface CloseOptions {
  /**
   * How long to wait for work that is under way, in milliseconds. What is not finished by then is
   * abandoned and reported. 0 does not wait.
   * @defaultValue 0 for a part, 5_000 for a bus
   */
  readonly drainMs?: number;
}

/** What a close left behind. */
export interface CloseReport {
  /**
   * Deliveries, jobs, requests and writes that were under way and not finished in time.
   * What was delivered and not settled comes back to others when its ack wait or lease is over.
   */
  readonly abandoned: number;
}
