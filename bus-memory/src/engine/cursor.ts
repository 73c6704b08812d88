import type { StartFrom } from "@busbar/core";
import { compilePattern, hasWildcard } from "@busbar/core/adapter";
import type { StoredMessage } from "./stored-message.ts";
import type { Stream } from "./stream.ts";

/**
 * A position in a stream that stops at the messages under one pattern.
 *
 * *looking* -> nothing is left for us -> *caught up*; *caught up* -> {@link Cursor.arrived} with a
 * message that nobody takes at once -> *looking*.
 */
export class Cursor {
  readonly #stream: Stream;
  readonly #pattern: string;
  readonly #matches: ((subject: string) => boolean) | undefined;
  /** It never goes back before this: where it was told to start. */
  readonly #floor: number;
  /** The first sequence that was not looked at. */
  #position: number;
  /** Whether nothing in the stream from the position on is for us: then the position may lag. */
  #caughtUp = false;
  #lineHint = 0;

  constructor(stream: Stream, pattern: string, from: StartFrom) {
    this.#stream = stream;
    this.#pattern = pattern;
    // A literal pattern walks its subject's own line and matches nothing.
    this.#matches = hasWildcard(pattern) ? cached(compilePattern(pattern)) : undefined;
    this.#position = startOf(from, stream);
    this.#floor = typeof from === "object" && "sequence" in from ? from.sequence : 1;
  }

  /** Whether nothing is left for us, as far as it was looked. */
  get isCaughtUp(): boolean {
    return this.#caughtUp;
  }

  /** Goes to the next message, and behind it. */
  next(): StoredMessage | undefined {
    if (this.#caughtUp) return undefined;
    const message = this.#matches === undefined ? this.#nextOnSubject() : this.#nextMatch();
    if (message !== undefined) {
      this.#position = message.sequence + 1;
      return message;
    }
    this.#caughtUp = true;
    this.#position = Math.max(this.#position, this.#stream.nextSequence);
    return undefined;
  }

  /**
   * A message for us was just stored. True if it is the next one and is wanted now: then the cursor
   * is behind it.
   */
  arrived(sequence: number, isWanted: boolean): boolean {
    if (!this.#caughtUp || sequence < this.#position) return false;
    this.#caughtUp = isWanted;
    this.#position = isWanted ? sequence + 1 : sequence;
    return isWanted;
  }

  /** The newest messages were lost: the stream will give their sequences again. */
  rewind(): void {
    const end = Math.max(this.#stream.nextSequence, this.#floor);
    this.#position = Math.min(this.#position, end);
  }

  #nextOnSubject(): StoredMessage | undefined {
    const line = this.#stream.line(this.#pattern);
    if (line === undefined) return undefined;
    const index = line.indexFrom(this.#position, this.#lineHint);
    const sequence = line.at(index);
    if (sequence === undefined) return undefined;
    this.#lineHint = index + 1;
    return this.#stream.get(sequence);
  }

  #nextMatch(): StoredMessage | undefined {
    const stream = this.#stream;
    const { nextSequence } = stream;
    let sequence = Math.max(this.#position, stream.firstSequence);
    for (; sequence < nextSequence; sequence++) {
      if (this.#matches?.(stream.subjectOf(sequence))) return stream.get(sequence);
    }
    return undefined;
  }
}

function startOf(from: StartFrom, stream: Stream): number {
  if (from === "all") return 1;
  if (from === "new") return stream.nextSequence;
  return "sequence" in from ? from.sequence : stream.firstAt(from.timeMs);
}

const MAX_CACHED = 4_096;

function cached(matches: (subject: string) => boolean): (subject: string) => boolean {
  const known = new Map<string, boolean>();
  return (subject) => {
    let result = known.get(subject);
    if (result === undefined) {
      result = matches(subject);
      if (known.size >= MAX_CACHED) known.clear();
      known.set(subject, result);
    }
    return result;
  };
}
