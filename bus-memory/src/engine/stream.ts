import type { Headers } from "@busbar/core";
import { Alarm } from "./deadlines.ts";
import type { EngineContext } from "./engine-context.ts";
import { MessageLog } from "./message-log.ts";
import type { StoredMessage } from "./stored-message.ts";
import { SubjectLine } from "./subject-line.ts";

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
  readonly #log = new MessageLog();
  readonly #lines = new Map<string, SubjectLine>();
  readonly #context: EngineContext;
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  readonly #maxAgeMs: number;
  readonly #ageing: Alarm;
  #bytes = 0;

  constructor(context: EngineContext) {
    const { streamLimits } = context;
    this.#context = context;
    this.#maxMessages = streamLimits.maxMessages ?? Number.POSITIVE_INFINITY;
    this.#maxBytes = streamLimits.maxBytes ?? Number.POSITIVE_INFINITY;
    this.#maxAgeMs = streamLimits.maxAgeMs ?? Number.POSITIVE_INFINITY;
    this.#ageing = new Alarm(() => this.#dropAged());
  }

  /** How many messages there are. */
  get size(): number {
    return this.#log.size;
  }

  /** How many bytes of payloads there are. */
  get bytes(): number {
    return this.#bytes;
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

  /** The subject of a message that is there. */
  subjectOf(sequence: number): string {
    return this.#log.subjectOf(sequence);
  }

  /** Stores a message. @returns its sequence. */
  append(subject: string, payload: Uint8Array, headers: Headers): number {
    const { arena, clock } = this.#context;
    const sequence = this.#log.next;
    let line = this.#lines.get(subject);
    if (line === undefined) {
      line = new SubjectLine(subject);
      this.#lines.set(subject, line);
    }
    line.push(sequence);
    arena.write(payload);
    // The line's text stands for all equal ones, which the publisher may have made one by one.
    this.#log.push(line.subject, clock.now(), headers, arena);
    this.#bytes += payload.length;
    while (this.#log.size > this.#maxMessages || this.#bytes > this.#maxBytes) this.#dropFirst();
    if (this.#maxAgeMs !== Number.POSITIVE_INFINITY && this.#ageing.slot < 0) this.#dropAged();
    return sequence;
  }

  /**
   * Loses the newest message: its sequence is given again. What the limits have dropped for it does
   * not come back.
   */
  loseLast(): void {
    const last = this.#log.next - 1;
    if (this.#log.size > 0) {
      const subject = this.#log.subjectOf(last);
      this.#bytes -= this.#log.lengthOf(last);
      const line = this.#lines.get(subject);
      line?.dropLast();
      if (line?.isEmpty) this.#lines.delete(subject);
    }
    this.#log.dropLast();
  }

  /** It is not used any more. */
  end(): void {
    this.#context.deadlines.clear(this.#ageing);
  }

  /** The sequence of the first message that was published at `timeMs` or later. */
  firstAt(timeMs: number): number {
    let low = this.#log.first;
    let high = this.#log.next;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#log.publishedAtMs(middle) < timeMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #dropFirst(): void {
    const { first } = this.#log;
    const subject = this.#log.subjectOf(first);
    this.#bytes -= this.#log.lengthOf(first);
    this.#log.dropFirst();
    const line = this.#lines.get(subject);
    line?.dropFirst();
    if (line?.isEmpty) this.#lines.delete(subject);
  }

  #dropAged(): void {
    const { clock, deadlines } = this.#context;
    while (this.#log.size > 0) {
      const leftMs = this.#log.publishedAtMs(this.#log.first) + this.#maxAgeMs - clock.now();
      if (leftMs > 0) {
        deadlines.set(this.#ageing, deadlines.nowMs + leftMs);
        return;
      }
      this.#dropFirst();
    }
  }
}
