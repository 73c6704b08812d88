import type { Headers } from "@busbar/core";
import { copyOf, type StoredBytes } from "./arena.ts";

/** What a job is made of, beside its payload. */
export interface JobContent {
  readonly headers: Headers;
  readonly dedupKey: string | undefined;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly enqueuedAtMs: number;
}

/** A job that is or was more than ready: delayed, leased, back, or dead. */
export class StoredJob implements JobContent, StoredBytes {
  readonly headers: Headers;
  readonly dedupKey: string | undefined;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly enqueuedAtMs: number;
  readonly slab: Uint8Array;
  readonly at: number;
  readonly length: number;
  /** Its number from when it was enqueued, which is its id. */
  readonly number: number;
  /** Its place among those of its priority. */
  rank: number;
  attempt = 0;
  /** Whether somebody has had it: `attempt` does not tell after it was given back. */
  wasClaimed = false;
  /** Whether its last lease ran out and nobody has claimed it since. */
  wasLeft = false;

  constructor(number: number, content: JobContent, bytes: StoredBytes) {
    this.headers = content.headers;
    this.dedupKey = content.dedupKey;
    this.priority = content.priority;
    this.maxAttempts = content.maxAttempts;
    this.enqueuedAtMs = content.enqueuedAtMs;
    this.slab = bytes.slab;
    this.at = bytes.at;
    this.length = bytes.length;
    this.number = number;
    this.rank = number;
  }

  get id(): string {
    return String(this.number);
  }

  /** The same job with bytes of its own: kept for long, it must not keep a whole slab. */
  detached(): StoredJob {
    const bytes = { slab: copyOf(this), at: 0, length: this.length };
    return new StoredJob(this.number, this, bytes);
  }
}
