import { checkInteger, Heap } from "@busbar/core/adapter";

/** Greatest weight. */
export const MAX_WEIGHT = 1_000;

interface Lane<Id> {
  readonly id: Id;
  weight: number;
  /** When its next turn is, in turns of weight 1. */
  pass: number;
  /** Tells lanes with equal times apart: who waits longer is first. */
  order: number;
  isReady: boolean;
  /** It wants turns, and cannot take them at this moment. */
  isHeld: boolean;
  /** Which of its entries in the heap counts: the others are left over. */
  entry: Entry<Id> | undefined;
}

interface Entry<Id> {
  readonly lane: Lane<Id>;
  readonly pass: number;
  readonly order: number;
}

/**
 * Whose turn it is, among lanes (tenants) that want one: fair by weight, whatever the number of their
 * tasks. Stride scheduling (Waldspurger and Weihl, 1995): every turn moves a lane back by
 * `1 / weight`, and the one that is farthest ahead is next.
 *
 * *Fair*: of two lanes that both want turns all the time, what each had, divided by its weight, differs
 * by no more than one turn of each of them. *Work-conserving*: a lane that wants
 * nothing costs the others nothing. *No credit*: who wanted nothing for long begins where the others
 * are, and does not get turns for the past. A newcomer waits for one turn of each of the others at most.
 */
export class FairOrder<Id> {
  readonly #lanes = new Map<Id, Lane<Id>>();
  readonly #heap = new Heap<Entry<Id>>(
    (a, b) => a.pass < b.pass || (a.pass === b.pass && a.order < b.order),
  );
  /** Where the lane was that had the last turn: nobody begins before it. */
  #now = 0;
  #order = 0;
  #ready = 0;

  /** How many lanes want a turn. */
  get ready(): number {
    return this.#ready;
  }

  /** Adds a lane, which wants nothing yet, or changes its weight from its next turn on. @throws RangeError */
  set(id: Id, weight: number): void {
    checkInteger("weight", weight, 1, MAX_WEIGHT);
    const lane = this.#lanes.get(id);
    if (lane) lane.weight = weight;
    else
      this.#lanes.set(id, {
        id,
        weight,
        pass: 0,
        order: 0,
        isReady: false,
        isHeld: false,
        entry: undefined,
      });
  }

  /** Removes a lane. Does nothing if there is none. */
  delete(id: Id): void {
    this.rest(id);
    this.#lanes.delete(id);
  }

  /** The lane wants turns from now on. @throws RangeError if there is no such lane */
  want(id: Id): void {
    const lane = this.#find(id);
    if (lane.isReady) return;
    lane.isReady = true;
    this.#ready += 1;
    if (!lane.isHeld) lane.pass = Math.max(lane.pass, this.#now);
    lane.isHeld = false;
    this.#enter(lane);
  }

  /** The lane takes no turns until it says again that it wants them. It keeps its claim to them. */
  hold(id: Id): void {
    const lane = this.#lanes.get(id);
    if (!lane?.isReady) return;
    this.rest(id);
    lane.isHeld = true;
  }

  /** The lane wants no more turns for now. */
  rest(id: Id): void {
    const lane = this.#lanes.get(id);
    if (lane) lane.isHeld = false;
    if (!lane?.isReady) return;
    lane.isReady = false;
    lane.entry = undefined;
    this.#ready -= 1;
    this.#sweep();
  }

  /** Whose turn it is, which uses the turn up; `undefined` if nobody wants one. */
  next(): Id | undefined {
    for (;;) {
      const entry = this.#heap.pop();
      if (entry === undefined) return undefined;
      const { lane } = entry;
      if (lane.entry !== entry) continue;
      this.#now = Math.max(this.#now, lane.pass);
      lane.pass += 1 / lane.weight;
      this.#enter(lane);
      return lane.id;
    }
  }

  /** The lane that had the last turn takes so many more with it. */
  take(id: Id, turns: number): void {
    this.giveBack(id, -turns);
  }

  /** Turns that a lane had and could not use are as if it had not had them. */
  giveBack(id: Id, turns: number): void {
    const lane = this.#lanes.get(id);
    if (!lane) return;
    lane.pass -= turns / lane.weight;
    if (lane.isReady) this.#enter(lane);
  }

  #enter(lane: Lane<Id>): void {
    this.#order += 1;
    lane.order = this.#order;
    lane.entry = { lane, pass: lane.pass, order: lane.order };
    this.#heap.push(lane.entry);
    this.#sweep();
  }

  /** What is left over must not pile up. */
  #sweep(): void {
    if (this.#heap.size <= 64 || this.#heap.size <= 2 * this.#ready) return;
    this.#heap.retain((entry) => entry.lane.entry === entry);
  }

  #find(id: Id): Lane<Id> {
    const lane = this.#lanes.get(id);
    if (lane) return lane;
    throw new RangeError(`there is no lane ${String(id)}`);
  }
}
