import { revisionConflict } from "@busbar/core/adapter";
import type { Deadlines } from "./deadlines.ts";

/** A record of a lease. */
export interface BookedLease {
  readonly revision: number;
  readonly value: Uint8Array;
  /** When it was written, by the server's monotonic time. */
  readonly writtenMs: number;
}

/** The records of leases, beside the buckets: no name reaches them. Revisions are the fences. */
export class LeaseBook {
  readonly #deadlines: Deadlines;
  readonly #records = new Map<string, BookedLease>();
  readonly #readers = new Map<string, Set<() => void>>();
  // One number for all keys: a fence grows also when its record was removed. Only with the whole
  // namespace it is taken back.
  #revision = 0;

  constructor(deadlines: Deadlines) {
    this.#deadlines = deadlines;
  }

  /** How many records there are. */
  get size(): number {
    return this.#records.size;
  }

  /** Whether there never was one, as far as anybody knows. */
  get isBlank(): boolean {
    return this.#revision === 0;
  }

  /** The record of a key. */
  read(key: string): BookedLease | undefined {
    return this.#records.get(key);
  }

  /** Writes if the revision is `expected`, 0 for none. @throws BusError `CONFLICT` */
  write(key: string, value: Uint8Array, expected: number): number {
    const current = this.#records.get(key)?.revision ?? 0;
    if (current !== expected) throw revisionConflict("leases", key, expected, current);
    const revision = ++this.#revision;
    this.#records.set(key, { revision, value, writtenMs: this.#deadlines.nowMs });
    this.#tell(key);
    return revision;
  }

  /** Removes the record if its revision is still this one. */
  remove(key: string, revision: number): void {
    if (this.#records.get(key)?.revision !== revision) return;
    this.#records.delete(key);
    this.#tell(key);
  }

  /** Removes all; fences begin anew. */
  clear(): void {
    const keys = [...this.#records.keys()];
    this.#records.clear();
    this.#revision = 0;
    for (const key of keys) this.#tell(key);
  }

  /** Calls `onChange` after every later change of a key. @returns what ends it. */
  subscribe(key: string, onChange: () => void): () => void {
    const readers = this.#readers.get(key) ?? new Set();
    this.#readers.set(key, readers);
    readers.add(onChange);
    return () => {
      readers.delete(onChange);
      if (readers.size === 0) this.#readers.delete(key);
    };
  }

  #tell(key: string): void {
    for (const onChange of this.#readers.get(key) ?? []) onChange();
  }
}
