import type { Bus, ClaimedJob, Lease, Listener, Message } from "@busbar/core";
import { bodyOf } from "./actions/views.ts";
import { Facts } from "./facts.ts";
import { isSame, type Outcome } from "./outcome.ts";
import type { Reader } from "./actions/reader.ts";
import type { Script } from "./script.ts";
import type { Traits, World } from "./world.ts";

/**
 * The part of a tick, from its start, in which steps run. Waits end in the rest of it: every length
 * of time in a script is a whole number and 0.45 to 0.56 units more.
 */
export const WINDOW = 0.38;
/** Until which part of a tick something is waited for. */
const PATIENCE = 0.3;
/** How long it is waited for in any case, in units. */
const LAST_PATIENCE = 0.12;
/** How long the reference waits, in units, for what is under way: nothing takes time there. */
const QUIET = 0.0005;
/** How long a value whose TTL is over may still be there, in ticks. */
const LATE_END = 6;
/** How long a moment is, in units. */
const MOMENT = 0.12;
/** First pause between two looks at something that is not as expected yet, in milliseconds. */
const FIRST_LOOK_MS = 2;
const MAX_LOOK_MS = 16;

/** The outcome of a step that was left out. */
export const LEFT_OUT = "left out";

/** A step was run so late that its outcome says nothing. */
export class TooLate extends Error {}

/** A step in the background. */
export interface Pending {
  outcome: Outcome | undefined;
  readonly bus: number;
  /** Whether its bus was closed before it was done. */
  isCutOff: boolean;
}

/** How a script is run. */
export interface RunOptions {
  readonly world: World;
  readonly script: Script;
  readonly unitMs: number;
  readonly traits: Traits;
}

/** One program: what it has open, what it has in hand, and what it knows of what it did. */
export class Run {
  readonly world: World;
  readonly script: Script;
  readonly unitMs: number;
  readonly traits: Traits;
  readonly buses: Map<number, Bus> = new Map();
  /** Deliveries by durable or subscription, in the order in which they are told. */
  readonly messages: Map<string, Message[]> = new Map();
  readonly jobs: Map<string, ClaimedJob[]> = new Map();
  readonly leases: Map<string, Lease> = new Map();
  /** What `take`, `hear`, `watched` read, by name. */
  readonly readers: Map<string, Reader<unknown>> = new Map();
  readonly servers: Map<string, { close(): Promise<{ abandoned: number }> }> = new Map();
  readonly slowListeners: Map<string, Listener> = new Map();
  readonly watchedBuckets: Map<string, string> = new Map();
  readonly closedBuses: Set<number> = new Set();
  readonly pausedQueues: Set<string> = new Set();
  readonly deletedDurables: Set<string> = new Set();
  /** Names of claims that wait, by queue. */
  readonly waitingClaims: Map<string, string> = new Map();
  /** Keys for whose lease somebody waits: who of several is first is not promised. */
  readonly waitingLeases: Set<string> = new Set();
  /** Steps in the background. */
  readonly pending: Map<string, Pending> = new Map();
  readonly facts: Facts = new Facts();
  /** What the other run told at this step; the reference has none. */
  expected: Outcome | undefined;
  /** Whether another outcome of this step is as good. */
  isExplained: (outcome: Outcome) => boolean = () => false;
  tick = 0;
  /** The index of the step that is run. */
  step = 0;
  readonly #openMessages = new Map<string, Set<string>>();
  readonly #openJobs = new Map<string, Set<string>>();
  readonly #jobNames = new Map<string, Map<string, string>>();
  #startMs = 0;
  #startAtMs = 0;

  constructor({ world, script, unitMs, traits }: RunOptions) {
    this.world = world;
    this.script = script;
    this.unitMs = unitMs;
    this.traits = traits;
  }

  /** Opens the first buses; time begins when they are there. */
  async start(): Promise<void> {
    for (const bus of [0, 1]) this.buses.set(bus, await this.world.openBus());
    this.#startMs = this.world.clock.monotonic();
    this.#startAtMs = this.world.clock.now();
  }

  /** The bus of this number, which may be closed. */
  bus(number: number): Bus {
    return this.buses.get(number) as Bus;
  }

  /** Units as milliseconds. */
  ms(units: number): number {
    return Math.round(units * this.unitMs);
  }

  /** A time of the wall clock in ticks since the start. */
  atTick(timeMs: number): number {
    return Math.floor((timeMs - this.#startAtMs) / this.unitMs);
  }

  /**
   * Whether values with a TTL of their own may or may not have ended: one key's, or any of the bucket.
   */
  isEnding(bucket: string, key?: string): boolean {
    const keys = this.facts.mortalKeys.get(bucket);
    return this.#isLate(key === undefined ? [...(keys?.values() ?? [])].flat() : keys?.get(key));
  }

  /** Whether a value of a bucket with a TTL is over, but may still be there for a write on condition. */
  isOverdue(bucket: string, key: string): boolean {
    return this.#isLate(this.facts.agingKeys.get(bucket)?.get(key));
  }

  #isLate(lastTicks: readonly number[] = []): boolean {
    return lastTicks.some((tick) => this.tick > tick && this.tick <= tick + LATE_END);
  }

  /** The start of the run by the wall clock. */
  get startAtMs(): number {
    return this.#startAtMs;
  }

  /** Waits until a tick begins. */
  async moveTo(tick: number): Promise<void> {
    if (tick === this.tick) return;
    this.tick = tick;
    const { clock } = this.world;
    await clock.sleep(Math.max(0, this.#tickMs - clock.monotonic()));
  }

  /** @throws TooLate if the window of this tick is over. */
  checkTime(): void {
    const lateMs = this.world.clock.monotonic() - this.#tickMs - WINDOW * this.unitMs;
    if (lateMs > 0.02 * this.unitMs)
      throw new TooLate(`step ${this.step}: ${Math.round(lateMs)} ms after the window`);
  }

  /** An outcome, or the field of it with this name, that takes a moment to come about. */
  async eventually(look: () => Outcome | Promise<Outcome>, field?: string): Promise<Outcome> {
    const { clock } = this.world;
    const expected = field === undefined ? this.expected : fieldOf(this.expected, field);
    if (this.expected === undefined) {
      await clock.sleep(QUIET * this.unitMs);
      return look();
    }
    // A step before, whose outcome did not come, may have waited until the end.
    const deadline = Math.max(
      this.#tickMs + PATIENCE * this.unitMs,
      clock.monotonic() + LAST_PATIENCE * this.unitMs,
    );
    for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(pauseMs * 1.5, MAX_LOOK_MS)) {
      const outcome = await look();
      const leftMs = deadline - clock.monotonic();
      if (leftMs <= 0 || (expected !== undefined && isSame(outcome, expected))) return outcome;
      if (field === undefined && this.isExplained(outcome)) return outcome;
      await clock.sleep(Math.min(pauseMs, leftMs + 1));
    }
  }

  /** Whether the reference has this as its outcome, or as the field of it with this name. */
  isExpected(outcome: Outcome, field: string): boolean {
    const expected = fieldOf(this.expected, field);
    return expected !== undefined && isSame(outcome, expected);
  }

  /** Gives a server the time to come with what nobody is to be shown, such as an exhausted message. */
  async moment(): Promise<void> {
    if (this.expected !== undefined) await this.world.clock.sleep(MOMENT * this.unitMs);
  }

  /** Whether a step whose outcome would be a matter of luck is left out: the reference decides. */
  leavesOut(isLuck: boolean): boolean {
    return this.expected === undefined ? isLuck : this.expected === LEFT_OUT;
  }

  /** Goes on with something in the background: tells whether it is done by now, `join` the outcome. */
  begin(name: string, bus: number, work: Promise<Outcome>): Promise<Outcome> {
    const entry: Pending = { outcome: undefined, bus, isCutOff: false };
    this.pending.set(name, entry);
    work.then(
      (outcome) => {
        entry.outcome = outcome;
      },
      (error: unknown) => {
        entry.outcome = { error: "other", message: String(error) };
      },
    );
    return this.eventually(() => (entry.outcome === undefined ? "waits" : "done"));
  }

  /** Bodies that a durable or subscription delivered and that may come again. */
  openMessages(owner: string): Set<string> {
    return inMap(this.#openMessages, owner, () => new Set());
  }

  /** Bodies of jobs that may come back: somebody had them, or they were delayed. */
  openJobs(queue: string): Set<string> {
    return inMap(this.#openJobs, queue, () => new Set());
  }

  /** Bodies of a queue's jobs by id. */
  jobNames(queue: string): Map<string, string> {
    return inMap(this.#jobNames, queue, () => new Map());
  }

  /** Deliveries are in hand. */
  hold(owner: string, messages: readonly Message[]): void {
    this.messages.set(owner, [...(this.messages.get(owner) ?? []), ...messages]);
    for (const { payload } of messages) this.openMessages(owner).add(bodyOf(payload));
  }

  /** A delivery was settled for good. */
  finish(message: Message): void {
    for (const [owner, messages] of this.messages) {
      if (messages.includes(message)) this.openMessages(owner).delete(bodyOf(message.payload));
    }
  }

  /** A dead letter was replayed. */
  returned(kind: "durable" | "queue", owner: string, body: string): void {
    (kind === "durable" ? this.openMessages(owner) : this.openJobs(owner)).add(body);
  }

  /** The delivery that was told `pick` before the last one. */
  pickMessage(owner: string, pick: number): Message | undefined {
    return fromEnd(this.messages.get(owner) ?? [], pick);
  }

  /** The claim that was told `pick` before the last one. */
  pickJob(queue: string, pick: number): ClaimedJob | undefined {
    return fromEnd(this.jobs.get(queue) ?? [], pick);
  }

  get #tickMs(): number {
    return this.#startMs + this.tick * this.unitMs;
  }
}

function fieldOf(outcome: Outcome | undefined, field: string): Outcome | undefined {
  if (typeof outcome !== "object" || outcome === null || Array.isArray(outcome)) return undefined;
  return (outcome as { readonly [name: string]: Outcome | undefined })[field];
}

function inMap<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key) ?? make();
  map.set(key, known);
  return known;
}

function fromEnd<T>(items: readonly T[], pick: number): T | undefined {
  return items.length === 0 ? undefined : items.at(-1 - (pick % items.length));
}
