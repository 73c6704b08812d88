import type { Clock, Headers } from "@busbar/core";
import { Alarm, type Deadlines } from "./deadlines.ts";
import { SequenceLog } from "./sequence-log.ts";
import { SubjectLine } from "./subject-line.ts";

/** A message as the stream keeps it. Its payload is never handed out, only copies of it. */
export interface StoredMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: Headers;
  readonly publishedAtMs: number;
}

/** How much a stream keeps; the oldest go first. */
export interface StreamLimits {
  /** Most messages, 1 or more. Default: no limit. */
  readonly maxMessages?: number;
  /** Most bytes of payloads. Default: no limit. */
  readonly maxBytes?: number;
  /** How long a message is kept, in milliseconds. Default: for ever. */
  readonly maxAgeMs?: number;
}

/** The messages of one namespace in the order in which they were stored. */
export class Stream {
  readonly #log = new SequenceLog<StoredMessage>();
  readonly #lines = new Map<string, SubjectLine>();
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  readonly #maxAgeMs: number;
  readonly #ageing: Alarm;
  #bytes = 0;

  constructor(limits: StreamLimits, clock: Clock, deadlines: Deadlines) {
    this.#clock = clock;
    this.#deadlines = deadlines;
    this.#maxMessages = limits.maxMessages ?? Number.POSITIVE_INFINITY;
    this.#maxBytes = limits.maxBytes ?? Number.POSITIVE_INFINITY;
    this.#maxAgeMs = limits.maxAgeMs ?? Number.POSITIVE_INFINITY;
    this.#ageing = new Alarm(() => this.#dropAged());
  }

  /** How many messages there are. */
  get size(): number {
    return this.#log.size;
  }

  /** The sequence of the oldest message. */
  get firstSequence(): number {
    return this.#log.first;
  }

  /** The sequence the next message will get. */
  get nextSequence(): number {
    return this.#log.next;
  }

  /** The messages on one subject, if there are any. */
  line(subject: string): SubjectLine | undefined {
    return this.#lines.get(subject);
  }

  /** The message with this sequence, if it is there. */
  get(sequence: number): StoredMessage | undefined {
    return this.#log.get(sequence);
  }

  /** Stores a message, whose sequence is {@link Stream.nextSequence}. */
  append(message: StoredMessage): void {
    const { subject, sequence } = message;
    this.#log.push(message);
    this.#bytes += message.payload.length;
    let line = this.#lines.get(subject);
    if (line === undefined) {
      line = new SubjectLine();
      this.#lines.set(subject, line);
    }
    line.push(sequence);
    while (this.#log.size > this.#maxMessages || this.#bytes > this.#maxBytes) {
      if (!this.#dropFirst()) break;
    }
    if (this.#maxAgeMs !== Number.POSITIVE_INFINITY && this.#ageing.slot < 0) this.#dropAged();
  }

  /** The sequence of the first message that was published at `timeMs` or later. */
  firstAt(timeMs: number): number {
    let low = this.#log.first;
    let high = this.#log.next;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#log.get(middle) as StoredMessage).publishedAtMs < timeMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #dropFirst(): boolean {
    const message = this.#log.dropFirst();
    if (message === undefined) return false;
    this.#bytes -= message.payload.length;
    const line = this.#lines.get(message.subject);
    line?.dropFirst();
    if (line?.isEmpty) this.#lines.delete(message.subject);
    return true;
  }

  #dropAged(): void {
    for (;;) {
      const oldest = this.#log.get(this.#log.first);
      if (oldest === undefined) return;
      const leftMs = oldest.publishedAtMs + this.#maxAgeMs - this.#clock.now();
      if (leftMs > 0) {
        this.#deadlines.set(this.#ageing, this.#deadlines.nowMs + leftMs);
        return;
      }
      this.#dropFirst();
    }
  }
}
