import type { TraceEvent } from "../trace.ts";
import {
  contentOf,
  isRefused,
  type MessageFacts,
  type PublishedFacts,
  type PublishFacts,
} from "./facts.ts";
import type { Losses } from "./losses.ts";
import { Origins } from "./origins.ts";

/** What is known of a message. */
export interface MessageRecord {
  readonly sequence: number;
  readonly subject: string;
  messageId: string | undefined;
  /** Between which times it was published. */
  fromMs: number;
  toMs: number;
  /** `undefined` as long as only its sequence is known. */
  content: string | undefined;
  /** Whether a publish was answered with its sequence. */
  isTold: boolean;
  /** Whether it may stand for two that are alike: one that a crash has lost, and one after it. */
  mayBeTwo: boolean;
}

interface OpenPublish {
  readonly subject: string;
  readonly messageId: string | undefined;
  readonly atMs: number;
}

/** The messages of a run, as publishes and deliveries make them known. */
export class Messages {
  readonly #losses: Losses;
  readonly #origins = new Origins();
  readonly #open = new Map<number, OpenPublish>();
  readonly #records = new Map<number, MessageRecord>();
  /** Contents of lost messages whose sequence was given again: some may still be under way. */
  readonly #lost = new Map<number, Set<string>>();
  readonly #counts = { messages: 0, unknown: 0, lostWrites: 0 };

  constructor(losses: Losses) {
    this.#losses = losses;
  }

  /** Messages that are known, publishes of unknown outcome, messages that a crash may have lost. */
  get counts(): Readonly<Record<string, number>> {
    return this.#counts;
  }

  /** All of them. */
  get all(): Iterable<MessageRecord> {
    return this.#records.values();
  }

  /** A crash has cost a message. */
  missing(): void {
    this.#counts.lostWrites += 1;
  }

  get(sequence: number): MessageRecord | undefined {
    return this.#records.get(sequence);
  }

  /** The server has crashed, and may have lost writes. */
  crashed(): void {
    this.#origins.crashed();
  }

  /** A publish begins. */
  called({ about: subject, call, atMs, data }: TraceEvent): void {
    const facts = data as unknown as PublishFacts;
    this.#origins.sent(call, [contentOf(subject, facts)]);
    this.#open.set(call, { subject, messageId: facts.messageId, atMs });
  }

  /** It has its result, or failed. @returns what is wrong */
  ended(event: TraceEvent): string | undefined {
    const open = this.#open.get(event.call);
    if (open === undefined) return undefined;
    this.#open.delete(event.call);
    if (event.type === "result") return this.#published(open, event);
    if (isRefused(event)) return phantom(this.#origins.refused(event.call));
    this.#counts.unknown += 1;
    this.#origins.unknown(event.call);
    return undefined;
  }

  /** A message arrives. @returns its record, what is wrong, or nothing if it was lost meanwhile */
  delivered(
    subject: string,
    facts: MessageFacts,
    atMs: number,
  ): MessageRecord | string | undefined {
    const { sequence } = facts;
    const content = contentOf(subject, facts);
    const known = this.#records.get(sequence);
    if (known?.content === content) return known;
    if (this.#lost.get(sequence)?.has(content)) return undefined;
    const isOther = known !== undefined && this.mayBeLost(known);
    if (known?.content !== undefined && !isOther) return changed(sequence, subject);
    // A server that loses a message may give its sequence to the next one.
    const isSame = known !== undefined && !isOther;
    const open = { subject, messageId: undefined, atMs: Number.NEGATIVE_INFINITY };
    const record = isSame ? known : this.#add(sequence, open, atMs);
    record.content = content;
    if (this.#origins.arrived(String(sequence), content)) return record;
    return `message ${sequence} on ${subject} was delivered, but no process published it (what world.bus does is not seen)`;
  }

  /** Whether a crash may have lost it. */
  mayBeLost({ fromMs, toMs }: MessageRecord): boolean {
    return this.#losses.write(fromMs, toMs);
  }

  #published(open: OpenPublish, { call, atMs, data }: TraceEvent): string | undefined {
    const { sequence, duplicate } = data as unknown as PublishedFacts;
    const { subject, messageId } = open;
    const [content] = this.#origins.contents(call);
    const known = this.#records.get(sequence);
    const isOther = known !== undefined && this.mayBeLost(known);
    if (duplicate) {
      if (known?.isTold && known.messageId !== messageId && !isOther) {
        return `a publish with message id ${messageId} on ${subject} was answered with the sequence of another message: ${sequence}`;
      }
      const record = known ?? this.#add(sequence, open, atMs);
      // A message that was delivered first was known without its id.
      record.messageId ??= messageId;
      record.isTold = true;
      return phantom(this.#origins.made(call, [undefined]));
    }
    if (known && !isOther) {
      if (known.isTold && known.messageId === undefined) {
        return `two publishes were answered with the sequence ${sequence}`;
      }
      if (known.content !== undefined && known.content !== content) {
        return changed(sequence, subject);
      }
    }
    // It may have been delivered before its publish was answered.
    const isSame = known?.content === content;
    const record = isSame && known ? known : this.#add(sequence, open, atMs);
    record.content = content;
    record.messageId = messageId;
    record.fromMs = open.atMs;
    record.toMs = isOther ? atMs : Math.min(record.toMs, atMs);
    record.mayBeTwo ||= isOther && isSame;
    this.#lost.get(sequence)?.delete(content as string);
    record.isTold = true;
    return phantom(this.#origins.made(call, [String(sequence)]));
  }

  #add(sequence: number, { subject, messageId, atMs }: OpenPublish, toMs: number): MessageRecord {
    const before = this.#records.get(sequence);
    this.#counts.messages += 1;
    if (before?.isTold) this.#counts.lostWrites += 1;
    if (before?.content !== undefined) {
      this.#lost.set(sequence, (this.#lost.get(sequence) ?? new Set()).add(before.content));
    }
    const record: MessageRecord = {
      sequence,
      subject,
      messageId,
      fromMs: atMs,
      toMs,
      content: undefined,
      isTold: false,
      mayBeTwo: false,
    };
    this.#records.set(sequence, record);
    return record;
  }
}

function changed(sequence: number, subject: string): string {
  return `message ${sequence} on ${subject} was delivered with another subject, payload or other headers than it was published with`;
}

function phantom(content: string | undefined): string | undefined {
  if (content === undefined) return undefined;
  const [subject, payload] = content.split("\n");
  return `more messages on ${subject} were delivered than published with the payload ${payload}`;
}
