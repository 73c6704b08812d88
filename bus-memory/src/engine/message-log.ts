import type { Headers } from "@busbar/core";
import { NO_HEADERS } from "@busbar/core/adapter";
import type { StoredBytes } from "./arena.ts";
import { StoredMessage } from "./stored-message.ts";

const CHUNK_SIZE = 256;
/** Numbers of a message in its chunk: the time, and where its bytes are. */
const STRIDE = 3;

/** Messages in columns. */
interface Chunk {
  readonly numbers: Float64Array;
  readonly subjects: string[];
  readonly slabs: Uint8Array[];
  /** Only where a message has some. */
  headers: Map<number, Headers> | undefined;
}

/**
 * Messages by consecutive sequences from 1 on; the oldest can be dropped, and the newest, whose
 * sequence is then given again.
 *
 * Millions may be kept for long. As objects they would be moved and marked by every collection of
 * garbage, so that each operation would cost the more, the more is stored. So they are in columns,
 * and become objects when they are asked for.
 */
export class MessageLog {
  readonly #chunks: Chunk[] = [];
  /** How many chunks were dropped before the first one. */
  #droppedChunks = 0;
  #first = 1;
  #next = 1;

  /** The sequence of the oldest message; equal to `next` if there is none. */
  get first(): number {
    return this.#first;
  }

  /** The sequence the next message will get. */
  get next(): number {
    return this.#next;
  }

  /** How many there are. */
  get size(): number {
    return this.#next - this.#first;
  }

  /** Adds a message, whose sequence is {@link MessageLog.next}. */
  push(subject: string, publishedAtMs: number, headers: Headers, bytes: StoredBytes): void {
    const index = this.#next++ - 1;
    const place = index % CHUNK_SIZE;
    const chunk = this.#chunk(index) ?? this.#newChunk();
    const at = place * STRIDE;
    chunk.numbers[at] = publishedAtMs;
    chunk.numbers[at + 1] = bytes.at;
    chunk.numbers[at + 2] = bytes.length;
    chunk.subjects[place] = subject;
    chunk.slabs[place] = bytes.slab;
    if (headers !== NO_HEADERS) {
      chunk.headers ??= new Map();
      chunk.headers.set(place, headers);
    }
  }

  /** The message with this sequence, if it is there. */
  get(sequence: number): StoredMessage | undefined {
    if (sequence < this.#first || sequence >= this.#next) return undefined;
    const index = sequence - 1;
    const place = index % CHUNK_SIZE;
    const { numbers, subjects, slabs, headers } = this.#chunk(index) as Chunk;
    const at = place * STRIDE;
    return new StoredMessage(
      {
        sequence,
        subject: subjects[place] as string,
        headers: headers?.get(place) ?? NO_HEADERS,
        publishedAtMs: numbers[at] as number,
      },
      {
        slab: slabs[place] as Uint8Array,
        at: numbers[at + 1] as number,
        length: numbers[at + 2] as number,
      },
    );
  }

  /** The subject of a message that is there. */
  subjectOf(sequence: number): string {
    const index = sequence - 1;
    return this.#chunk(index)?.subjects[index % CHUNK_SIZE] as string;
  }

  /** When a message that is there was published. */
  publishedAtMs(sequence: number): number {
    const index = sequence - 1;
    return this.#chunk(index)?.numbers[(index % CHUNK_SIZE) * STRIDE] as number;
  }

  /** How many bytes a message has that is there. */
  lengthOf(sequence: number): number {
    const index = sequence - 1;
    return this.#chunk(index)?.numbers[(index % CHUNK_SIZE) * STRIDE + 2] as number;
  }

  /** Drops the oldest message, if there is one. */
  dropFirst(): void {
    if (this.size === 0) return;
    const place = (this.#first++ - 1) % CHUNK_SIZE;
    if (place < CHUNK_SIZE - 1) return;
    this.#chunks.shift();
    this.#droppedChunks += 1;
  }

  /** Drops the newest message; if limits have dropped it before, its sequence alone comes back. */
  dropLast(): void {
    const index = --this.#next - 1;
    if (this.#first <= this.#next) {
      this.#chunk(index)?.headers?.delete(index % CHUNK_SIZE);
      return;
    }
    this.#first = this.#next;
    this.#chunks.length = 0;
    this.#droppedChunks = Math.floor(index / CHUNK_SIZE);
  }

  #chunk(index: number): Chunk | undefined {
    return this.#chunks[Math.floor(index / CHUNK_SIZE) - this.#droppedChunks];
  }

  #newChunk(): Chunk {
    const numbers = new Float64Array(CHUNK_SIZE * STRIDE);
    const chunk: Chunk = { numbers, subjects: [], slabs: [], headers: undefined };
    this.#chunks.push(chunk);
    return chunk;
  }
}
