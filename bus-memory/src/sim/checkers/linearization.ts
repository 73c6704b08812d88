import { apply, isBlind, isSame, isWrite, type KvOperation, type KvState } from "./kv-model.ts";

/** What the search for an order found. */
export type Linearization =
  | { readonly answer: "found" | "gaveUp" }
  /** There is none. `operation` is the first that fits nowhere in the best attempt, `state` what was there. */
  | { readonly answer: "none"; readonly operation: KvOperation; readonly state: KvState };

interface Frame {
  readonly state: KvState;
  /** Whether the last step was an operation of unknown outcome: somebody must have seen it. */
  readonly isAfterUnknown: boolean;
  /** Bits of the operations of unknown outcome that were used. */
  readonly used: bigint;
  /** How many writes with a revision have their place. */
  readonly written: number;
  readonly candidates: readonly number[];
  next: number;
  isWithUnknown: boolean;
  /** The operation that led on from here; -1 for none. */
  chosen: number;
}

/**
 * Searches an order of the operations on one key in which each has the result it had, and each is
 * between its call and its result: the algorithm of Wing and Gong, remembering what failed, as in
 * Lowe's and Porcupine.
 *
 * Writes whose revision is known can only be in the order of their revisions, which leaves little to
 * choose. Operations of unknown outcome are tried only where nothing else goes on, and only where the
 * next operation sees what they did: otherwise they may as well not have happened.
 */
export function linearize(
  operations: readonly KvOperation[],
  start: KvState,
  maxSteps: number,
): Linearization {
  return new Search(operations, maxSteps).run(start);
}

class Search {
  /** In the order of their calls; what was asked for and never answered comes apart. */
  readonly #certain: readonly KvOperation[];
  readonly #unknown: readonly KvOperation[];
  /** For each write of `certain` with a revision, its place among these; -1 for others. */
  readonly #rank: Int32Array;
  readonly #maxSteps: number;
  readonly #isDone: Uint8Array;
  readonly #failed = new Map<string, bigint[]>();
  readonly #frames: Frame[] = [];
  /** Everything before it has its place. */
  #first = 0;
  #done = 0;
  #steps = 0;
  #best = -1;
  #stuck: { readonly operation: KvOperation; readonly state: KvState } | undefined;

  constructor(operations: readonly KvOperation[], maxSteps: number) {
    const sorted = [...operations].sort((one, other) => one.called - other.called);
    this.#certain = sorted.filter(({ outcome }) => outcome !== "unknown");
    this.#unknown = sorted.filter(({ outcome, kind }) => outcome === "unknown" && kind !== "get");
    this.#maxSteps = maxSteps;
    this.#isDone = new Uint8Array(this.#certain.length);
    this.#rank = new Int32Array(this.#certain.length).fill(-1);
    const writes = this.#certain
      .map(({ kind, outcome, revision }, index) => ({
        index,
        revision: outcome === "done" && kind !== "get" ? (revision ?? 0) : 0,
      }))
      .filter(({ revision }) => revision > 0)
      .sort((one, other) => one.revision - other.revision);
    for (const [rank, { index }] of writes.entries()) this.#rank[index] = rank;
  }

  run(start: KvState): Linearization {
    this.#enter({ state: start, isAfterUnknown: false, used: 0n, written: 0 });
    for (let frame = this.#frames.at(-1); frame; frame = this.#frames.at(-1)) {
      if (this.#first === this.#certain.length) return { answer: "found" };
      if (this.#steps > this.#maxSteps) return { answer: "gaveUp" };
      if (frame.next < frame.candidates.length) this.#tryCertain(frame);
      else if (frame.isWithUnknown) this.#tryUnknown(frame);
      else this.#leave(frame);
    }
    const { operation, state } = this.#stuck ?? { operation: this.#certain[0], state: start };
    return { answer: "none", operation: operation as KvOperation, state };
  }

  #tryCertain(frame: Frame): void {
    const index = frame.candidates[frame.next] as number;
    frame.next += 1;
    const operation = this.#certain[index] as KvOperation;
    const rank = this.#rank[index] as number;
    if (rank >= 0 && rank !== frame.written) return;
    if (frame.isAfterUnknown && isBlind(operation)) return;
    this.#steps += 1;
    const state = apply(frame.state, operation);
    if (state === undefined) return;
    if (!isWrite(operation) && isSame(state, frame.state)) {
      // What it saw is there: nothing is won by letting it wait.
      frame.next = frame.candidates.length;
      frame.isWithUnknown = false;
    }
    frame.chosen = index;
    this.#isDone[index] = 1;
    this.#done += 1;
    while (this.#isDone[this.#first] === 1) this.#first += 1;
    const written = rank >= 0 ? frame.written + 1 : frame.written;
    this.#enter({ state, isAfterUnknown: false, used: frame.used, written });
  }

  #tryUnknown(frame: Frame): void {
    const at = frame.next - frame.candidates.length;
    const operation = this.#unknown[at];
    if (operation === undefined || operation.called > this.#earliestReturn()) {
      frame.isWithUnknown = false;
      return;
    }
    frame.next += 1;
    const bit = 1n << BigInt(at);
    if ((frame.used & bit) !== 0n) return;
    if (frame.isAfterUnknown && isBlind(operation)) return;
    this.#steps += 1;
    const state = apply(frame.state, operation);
    if (state === undefined) return;
    const { written, used } = frame;
    frame.chosen = -1;
    this.#enter({ state, isAfterUnknown: true, used: used | bit, written });
  }

  #enter(at: Pick<Frame, "state" | "isAfterUnknown" | "used" | "written">): void {
    if (this.#hasFailed(at)) {
      this.#undo();
      return;
    }
    const candidates: number[] = [];
    let earliest = Number.POSITIVE_INFINITY;
    for (let index = this.#first; index < this.#certain.length; index += 1) {
      if (this.#isDone[index] === 1) continue;
      const { called, returned } = this.#certain[index] as KvOperation;
      if (called > earliest) break;
      candidates.push(index);
      earliest = Math.min(earliest, returned);
    }
    if (this.#done > this.#best && this.#first < this.#certain.length) {
      this.#best = this.#done;
      this.#stuck = { operation: this.#certain[this.#first] as KvOperation, state: at.state };
    }
    const isWithUnknown = this.#unknown.length > 0;
    this.#frames.push({ ...at, candidates, next: 0, isWithUnknown, chosen: -1 });
  }

  #leave(frame: Frame): void {
    const key = this.#keyOf(frame);
    const failed = this.#failed.get(key) ?? [];
    failed.push(frame.used);
    this.#failed.set(key, failed);
    this.#frames.pop();
    this.#undo();
  }

  /** Takes back the step that the last frame has chosen. */
  #undo(): void {
    const frame = this.#frames.at(-1);
    if (frame === undefined || frame.chosen < 0) return;
    this.#isDone[frame.chosen] = 0;
    this.#done -= 1;
    this.#first = Math.min(this.#first, frame.chosen);
    frame.chosen = -1;
  }

  /** Where the same was tried with no more operations of unknown outcome used up, it is in vain. */
  #hasFailed(at: Pick<Frame, "state" | "isAfterUnknown" | "used">): boolean {
    if (this.#failed.size === 0) return false;
    const failed = this.#failed.get(this.#keyOf(at));
    return failed?.some((used) => (used & ~at.used) === 0n) ?? false;
  }

  #keyOf({ state, isAfterUnknown }: Pick<Frame, "state" | "isAfterUnknown">): string {
    const beyond: number[] = [];
    let left = this.#done - this.#first;
    for (let index = this.#first; left > 0; index += 1) {
      if (this.#isDone[index] !== 1) continue;
      beyond.push(index);
      left -= 1;
    }
    const { value, revision, floor, isAny } = state;
    return `${this.#first}|${beyond.join()}|${isAfterUnknown}|${revision}|${floor}|${isAny}|${value === undefined ? "" : `=${value}`}`;
  }

  #earliestReturn(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (let index = this.#first; index < this.#certain.length; index += 1) {
      if (this.#isDone[index] === 1) continue;
      const { called, returned } = this.#certain[index] as KvOperation;
      if (called > earliest) break;
      earliest = Math.min(earliest, returned);
    }
    return earliest;
  }
}
