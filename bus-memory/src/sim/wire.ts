import type { Clock } from "@busbar/core";
import type { Draws } from "./draws.ts";
import type { ResolvedFaults } from "./faults.ts";
import type { Recorder } from "./recorder.ts";

/** What a {@link Wire} needs. */
export interface WireParts {
  /** Name of the process. */
  readonly name: string;
  /** Network time. */
  readonly world: Clock;
  readonly draws: Draws;
  readonly faults: ResolvedFaults;
  readonly recorder: Recorder;
}

/** One way of something. */
export interface Leg {
  readonly arrive: () => void;
  readonly lost: () => void;
}

/** Faults by which something is lost. */
export type DropFault = "dropRequest" | "dropReply" | "dropSettle" | "dropDelivery";

/** Of its streams of randomness: made once, as every way draws. */
type Labels = Readonly<Record<"out" | "back" | "reorder" | "duplicate" | DropFault, string>>;

/** What arrives at one moment. */
interface Packet {
  readonly atMs: number;
  readonly epoch: number;
  readonly legs: Leg[];
}

/**
 * The connection of one process to the server, which all its buses share. Each direction keeps its
 * order, as a TCP connection does, unless something overtakes by a fault.
 *
 * States: *up* -> `cut(reason)` -> *down*: what is under way is lost, what is begun waits ->
 * `mend(reason)` of every reason -> *up*: what waited goes out.
 */
export class Wire {
  readonly #parts: WireParts;
  readonly #labels: Labels;
  readonly #reasons = new Set<string>();
  readonly #watchers = new Set<(isUp: boolean) => void>();
  readonly #packets: Record<"out" | "back", Packet | undefined> = {
    out: undefined,
    back: undefined,
  };
  #waiting: (() => void)[] = [];
  #epoch = 0;
  #broken: AbortController | undefined;
  #lastOutMs = 0;
  #lastBackMs = 0;

  constructor(parts: WireParts) {
    this.#parts = parts;
    this.#labels = labelsOf(parts.name);
  }

  /** Whether it is down. */
  get isDown(): boolean {
    return this.#reasons.size > 0;
  }

  /** Tells what was sent before a break from what was sent after it. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Aborts when the connection that stands now breaks. */
  get broken(): AbortSignal {
    this.#broken ??= new AbortController();
    if (this.isDown) this.#broken.abort();
    return this.#broken.signal;
  }

  /** Calls `change` whenever it goes down or comes up. @returns what ends that */
  watch(change: (isUp: boolean) => void): () => void {
    this.#watchers.add(change);
    return () => this.#watchers.delete(change);
  }

  /** Takes it down. @returns whether it was up */
  cut(reason: string): boolean {
    const wasUp = this.#reasons.size === 0;
    this.#reasons.add(reason);
    if (!wasUp) return false;
    this.#epoch += 1;
    this.#broken?.abort();
    for (const change of this.#watchers) change(false);
    return true;
  }

  /** Takes one reason away. @returns whether it is up because of that */
  mend(reason: string): boolean {
    if (!this.#reasons.delete(reason) || this.isDown) return false;
    this.#broken = undefined;
    for (const change of this.#watchers) change(true);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
    return true;
  }

  /** Calls `go` when it is up: at once, or later. */
  whenUp(go: () => void): void {
    if (this.isDown) this.#waiting.push(go);
    else go();
  }

  /** Whether a fault happens now; it is written down. */
  chance(fault: "duplicate" | DropFault): boolean {
    const { draws, faults, name, recorder } = this.#parts;
    if (!draws.chance(this.#labels[fault], faults[fault])) return false;
    recorder.fault(name, fault, {});
    return true;
  }

  /** One way: arrives after its time, or is lost. */
  travel(direction: "out" | "back", leg: Leg, drop: DropFault | undefined): void {
    const { draws, faults, world } = this.#parts;
    if (this.isDown || (drop !== undefined && this.chance(drop))) {
      leg.lost();
      return;
    }
    const [minMs, maxMs] = faults.delayMs;
    if (maxMs === 0) {
      leg.arrive();
      return;
    }
    const nowMs = world.monotonic();
    let atMs = nowMs + draws.between(this.#labels[direction], minMs, maxMs);
    const lastMs = direction === "out" ? this.#lastOutMs : this.#lastBackMs;
    if (atMs < lastMs && !draws.chance(this.#labels.reorder, faults.reorder)) atMs = lastMs;
    if (direction === "out") this.#lastOutMs = Math.max(atMs, lastMs);
    else this.#lastBackMs = Math.max(atMs, lastMs);
    this.#pack(direction, leg, atMs);
  }

  /** What arrives at the same moment arrives together, as from one read of a socket. */
  #pack(direction: "out" | "back", leg: Leg, atMs: number): void {
    const open = this.#packets[direction];
    const epoch = this.#epoch;
    if (open?.atMs === atMs && open.epoch === epoch) {
      open.legs.push(leg);
      return;
    }
    const packet: Packet = { atMs, epoch, legs: [leg] };
    this.#packets[direction] = packet;
    const { world } = this.#parts;
    world.setTimer(() => {
      if (this.#packets[direction] === packet) this.#packets[direction] = undefined;
      for (const { arrive, lost } of packet.legs) {
        if (this.#epoch === epoch) arrive();
        else lost();
      }
    }, atMs - world.monotonic());
  }
}

function labelsOf(name: string): Labels {
  return {
    out: `${name}/out`,
    back: `${name}/back`,
    reorder: `${name}/reorder`,
    duplicate: `${name}/duplicate`,
    dropRequest: `${name}/dropRequest`,
    dropReply: `${name}/dropReply`,
    dropSettle: `${name}/dropSettle`,
    dropDelivery: `${name}/dropDelivery`,
  };
}
