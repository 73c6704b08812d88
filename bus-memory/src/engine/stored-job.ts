import type { Headers } from "@busbar/core";

/** What a job is made of. */
export interface JobContent {
  readonly payload: Uint8Array;
  readonly headers: Headers;
  readonly dedupKey: string | undefined;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly enqueuedAtMs: number;
}

/**
 * A job as its queue keeps it. A million of them may wait: it has nothing that only a job in
 * somebody's hands needs.
 */
export class StoredJob implements JobContent {
  readonly payload: Uint8Array;
  readonly headers: Headers;
  readonly dedupKey: string | undefined;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly enqueuedAtMs: number;
  /** Its number from when it was enqueued, which is its id. */
  readonly number: number;
  /** Its place among those of its priority. */
  rank: number;
  attempt = 0;
  /** Whether its last lease ran out and nobody has claimed it since. */
  wasLeft = false;

  constructor(number: number, content: JobContent) {
    this.payload = content.payload;
    this.headers = content.headers;
    this.dedupKey = content.dedupKey;
    this.priority = content.priority;
    this.maxAttempts = content.maxAttempts;
    this.enqueuedAtMs = content.enqueuedAtMs;
    this.number = number;
    this.rank = number;
  }

  get id(): string {
    return String(this.number);
  }
}
