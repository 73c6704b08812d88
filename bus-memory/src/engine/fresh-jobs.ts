import type { Headers } from "@busbar/core";
import { NO_HEADERS } from "@busbar/core/adapter";
import type { StoredBytes } from "./arena.ts";
import { type JobContent, StoredJob } from "./stored-job.ts";

const SMALLEST_CHUNK = 16;
const LARGEST_CHUNK = 512;
/** Numbers of a job in its chunk: its own, attempts, the time, and where its bytes are. */
const STRIDE = 5;

/** What only some jobs have. */
interface Extras {
  readonly headers: Headers;
  readonly dedupKey: string | undefined;
}

/** Jobs in columns. */
interface Chunk {
  readonly capacity: number;
  readonly numbers: Float64Array;
  /** `undefined` where a job was removed. */
  readonly slabs: (Uint8Array | undefined)[];
  extras: Map<number, Extras> | undefined;
  next: Chunk | undefined;
}

interface Place {
  readonly chunk: Chunk;
  readonly place: number;
}

/**
 * A queue of jobs that nobody had yet, in the order of their numbers, all of one priority.
 *
 * Millions may wait for long. As objects they would be moved and marked by every collection of
 * garbage, so that each operation would cost the more, the more is queued. So they are in columns,
 * and become objects when they are taken.
 */
export class FreshJobs {
  readonly #priority: number;
  #head: Chunk = newChunk(SMALLEST_CHUNK);
  #tail: Chunk = this.#head;
  /** The place of the first job in the head: one that was not removed, if any waits. */
  #first = 0;
  /** The place behind the last job in the tail. */
  #end = 0;
  #size = 0;

  constructor(priority: number) {
    this.#priority = priority;
  }

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** The number of the first one; there must be one. */
  get firstNumber(): number {
    return this.#head.numbers[this.#first * STRIDE] as number;
  }

  /** How many bytes of payloads wait. */
  get bytes(): number {
    let bytes = 0;
    for (const { chunk, place } of this.#places()) {
      bytes += chunk.numbers[place * STRIDE + 4] as number;
    }
    return bytes;
  }

  /** Adds a job with a number greater than all before. */
  push(number: number, content: JobContent, bytes: StoredBytes): void {
    if (this.#end === this.#tail.capacity) this.#grow();
    const { numbers, slabs } = this.#tail;
    const place = this.#end++;
    const at = place * STRIDE;
    numbers[at] = number;
    numbers[at + 1] = content.maxAttempts;
    numbers[at + 2] = content.enqueuedAtMs;
    numbers[at + 3] = bytes.at;
    numbers[at + 4] = bytes.length;
    slabs[place] = bytes.slab;
    const { headers, dedupKey } = content;
    if (headers !== NO_HEADERS || dedupKey !== undefined) {
      this.#tail.extras ??= new Map();
      this.#tail.extras.set(place, { headers, dedupKey });
    }
    this.#size += 1;
  }

  /** Takes the first one out; there must be one. */
  shift(): StoredJob {
    const head = this.#head;
    const place = this.#first++;
    const job = this.#toJob(head, place);
    this.#size -= 1;
    this.#toFirst();
    return job;
  }

  /** One of them, by its number. */
  find(number: number): StoredJob | undefined {
    const at = this.#locate(number);
    return at && this.#toJob(at.chunk, at.place);
  }

  /** Takes one of them out. @returns false if it is not there. */
  remove(number: number): boolean {
    const at = this.#locate(number);
    if (at === undefined) return false;
    at.chunk.slabs[at.place] = undefined;
    at.chunk.extras?.delete(at.place);
    this.#size -= 1;
    this.#toFirst();
    return true;
  }

  /** Drops those with this number or a greater one. */
  dropFrom(number: number): void {
    let tail = this.#head;
    let end = this.#first;
    let kept = 0;
    for (const { chunk, place } of this.#places()) {
      if ((chunk.numbers[place * STRIDE] as number) >= number) break;
      // A chunk that would be empty is dropped as well: the tail is empty only if nothing waits.
      tail = chunk;
      end = place + 1;
      kept += 1;
    }
    this.#size = kept;
    this.#tail = tail;
    this.#end = end;
    tail.next = undefined;
    tail.slabs.length = end;
    for (let lost = end; lost < tail.capacity; lost++) tail.extras?.delete(lost);
    this.#toFirst();
  }

  /** Where a job is that was not removed. */
  #locate(number: number): Place | undefined {
    let chunk = this.#head;
    // Numbers only grow.
    while (chunk.next && (chunk.next.numbers[0] as number) <= number) chunk = chunk.next;
    for (let place = this.#startOf(chunk); place < this.#endOf(chunk); place++) {
      const isIt = chunk.numbers[place * STRIDE] === number && chunk.slabs[place] !== undefined;
      if (isIt) return { chunk, place };
    }
    return undefined;
  }

  /** Of all jobs that wait, in order. */
  *#places(): Iterable<Place> {
    for (let chunk: Chunk | undefined = this.#head; chunk; chunk = chunk.next) {
      const end = this.#endOf(chunk);
      for (let place = this.#startOf(chunk); place < end; place++) {
        if (chunk.slabs[place] !== undefined) yield { chunk, place };
      }
    }
  }

  #startOf(chunk: Chunk): number {
    return chunk === this.#head ? this.#first : 0;
  }

  #endOf(chunk: Chunk): number {
    return chunk === this.#tail ? this.#end : chunk.capacity;
  }

  /** Passes over places whose jobs were taken or removed. */
  #toFirst(): void {
    if (this.#size === 0) {
      // Nothing waits: the last chunk is used again from its beginning.
      this.#head = this.#tail;
      this.#first = 0;
      this.#end = 0;
      this.#head.slabs.length = 0;
      this.#head.extras = undefined;
      return;
    }
    for (;;) {
      if (this.#first === this.#head.capacity) {
        this.#head = this.#head.next as Chunk;
        this.#first = 0;
      } else if (this.#head.slabs[this.#first] === undefined) this.#first += 1;
      else return;
    }
  }

  #toJob({ numbers, slabs, extras }: Chunk, place: number): StoredJob {
    const at = place * STRIDE;
    const { headers, dedupKey } = extras?.get(place) ?? NO_EXTRAS;
    return new StoredJob(
      numbers[at] as number,
      {
        headers,
        dedupKey,
        priority: this.#priority,
        maxAttempts: numbers[at + 1] as number,
        enqueuedAtMs: numbers[at + 2] as number,
      },
      {
        slab: slabs[place] as Uint8Array,
        at: numbers[at + 3] as number,
        length: numbers[at + 4] as number,
      },
    );
  }

  #grow(): void {
    // Many queues have few jobs: they must not pay for the few that have many.
    const chunk = newChunk(Math.min(this.#tail.capacity * 2, LARGEST_CHUNK));
    this.#tail.next = chunk;
    this.#tail = chunk;
    this.#end = 0;
  }
}

const NO_EXTRAS: Extras = { headers: NO_HEADERS, dedupKey: undefined };

function newChunk(capacity: number): Chunk {
  const numbers = new Float64Array(capacity * STRIDE);
  return { capacity, numbers, slabs: [], extras: undefined, next: undefined };
}
