import type { Headers } from "./payload.ts";

/** A message or job that was given up: a stored record, kept until it is replayed or discarded. */
export interface DeadLetter {
  /** Unique within its owner. For a job it is the job's id. */
  readonly id: string;
  /** The queue or the durable that gave it up. */
  readonly owner: string;
  /** The subject of a message; the queue of a job. */
  readonly subject: string;
  /** Why: `max deliveries`, `max attempts`, or what the program said. */
  readonly reason: string;
  /** How many deliveries or attempts there were. */
  readonly attempts: number;
  /** The original bytes. */
  readonly payload: Uint8Array;
  /** The original headers. */
  readonly headers: Headers;
  /** When the original was published or enqueued, in milliseconds since the Unix epoch. */
  readonly publishedAtMs: number;
  /** When it was given up, in milliseconds since the Unix epoch. */
  readonly deadAtMs: number;
}

/** Options of {@link DeadLetters.list}. */
export interface ListDeadLettersOptions {
  /** The `next` of the page before. */
  readonly after?: string;
  /**
   * Most entries of this page, 1 to 1_000.
   * @defaultValue 100
   */
  readonly limit?: number;
}

/** A page of dead letters, oldest first. */
export interface DeadLetterPage {
  /** The entries. */
  readonly entries: readonly DeadLetter[];
  /** Where the next page begins; `undefined` if this was the last one. */
  readonly next: string | undefined;
}

/**
 * Stored dead letters by owner (a queue or a durable). Nobody has to be listening when one is made.
 * Moving there is idempotent: a crash in the middle neither loses nor doubles it.
 */
export interface DeadLetters {
  /** One page, oldest first. */
  list(owner: string, options?: ListDeadLettersOptions): Promise<DeadLetterPage>;
  /** One entry, or `undefined`. */
  get(owner: string, id: string): Promise<DeadLetter | undefined>;
  /** How many there are. */
  count(owner: string): Promise<number>;
  /**
   * Puts it back to where it came from, with all attempts to go, and removes it here. Idempotent
   * over a crash within the dedup window.
   * @returns false if it is not there.
   */
  replay(owner: string, id: string): Promise<boolean>;
  /**
   * Removes it for good.
   * @returns false if it is not there.
   * @throws BusError `DISCONNECTED`, `TIMEOUT`: whether it was removed is not known if the answer is lost
   */
  discard(owner: string, id: string): Promise<boolean>;
  /** Removes all of an owner's. @returns how many. */
  purge(owner: string): Promise<number>;
}
