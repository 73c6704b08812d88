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
  readonly slabs: Uint8Array[];
  extras: Map<number, Extras> | undefined;
  next: Chunk | undefined;
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
  /** The place of the first job in the head. */
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
    let place = this.#first;
    for (let chunk: Chunk | undefined = this.#head; chunk; chunk = chunk.next) {
      const end = chunk === this.#tail ? this.#end : chunk.capacity;
      for (; place < end; place++) bytes += chunk.numbers[place * STRIDE + 4] as number;
      place = 0;
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
    if (this.#size === 0) {
      // Nothing waits, so head is tail: it is used again from its beginning.
      this.#first = 0;
      this.#end = 0;
      head.slabs.length = 0;
      head.extras = undefined;
    } else if (this.#first === head.capacity) {
      this.#head = head.next as Chunk;
      this.#first = 0;
    }
    return job;
  }

  /** Drops those with this number or a greater one. */
  dropFrom(number: number): void {
    let chunk = this.#head;
    let end = this.#first;
    for (let kept = 0; kept < this.#size; kept++) {
      const isFull = end === chunk.capacity;
      const holder = isFull ? (chunk.next as Chunk) : chunk;
      const place = isFull ? 0 : end;
      if ((holder.numbers[place * STRIDE] as number) < number) {
        chunk = holder;
        end = place + 1;
        continue;
      }
      // A chunk that would be empty is dropped as well: the tail is empty only if nothing waits.
      this.#size = kept;
      this.#tail = chunk;
      this.#end = end;
      chunk.next = undefined;
      chunk.slabs.length = end;
      for (let lost = end; lost < chunk.capacity; lost++) chunk.extras?.delete(lost);
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
