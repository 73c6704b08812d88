import { Fifo } from "./fifo.ts";

/** What can be lost: what settled a message or a job, or what stored something. */
export type ChangeKind = "settle" | "write";

/** How far back a crash reaches, by kind, in milliseconds; 0 loses nothing. */
export type LostWindows = Readonly<Record<ChangeKind, number>>;

/** A change that is not on disk yet. */
interface Change {
  readonly atMs: number;
  readonly kind: ChangeKind;
  readonly undo: () => void;
}

/**
 * What a server has changed lately, and how each change is undone.
 *
 * Each kind is undone as far back as it is lost, so the lost writes are the last ones, and so are
 * the lost settles; but either can be lost without the other. Writes build on each other and are
 * undone newest first; settles do not, and what they held comes back in their order. An undo that
 * does not find any more what its change had made (a queue was purged, a durable deleted) does
 * nothing.
 */
export class Journal {
  readonly #windowMs: number;
  readonly #changes = new Fifo<Change>();

  /** It remembers the last `windowMs` milliseconds; older changes go when a new one comes. */
  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** How many changes it remembers. */
  get size(): number {
    return this.#changes.size;
  }

  /** Remembers a change of now. Times must not fall. */
  add(kind: ChangeKind, atMs: number, undo: () => void): void {
    for (let first = this.#changes.peek(); first; first = this.#changes.peek()) {
      if (atMs - first.atMs < this.#windowMs) break;
      this.#changes.shift();
    }
    this.#changes.push({ atMs, kind, undo });
  }

  /** Undoes what is younger than `lost`. What is left is on disk, and forgotten here. */
  undo(nowMs: number, lost: LostWindows): void {
    const changes = this.#changes.drain().filter(({ atMs, kind }) => nowMs - atMs < lost[kind]);
    for (const { kind, undo } of changes.toReversed()) if (kind === "write") undo();
    for (const { kind, undo } of changes) if (kind === "settle") undo();
  }
}
