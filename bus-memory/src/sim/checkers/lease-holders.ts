import type { TraceEvent } from "../trace.ts";
import { TOLERANCE_MS } from "./executions.ts";
import type { Processes } from "./processes.ts";

interface LeaseFacts {
  readonly fence: number;
  /** What is left of the lease, by the clock of the holder. */
  readonly leftMs: number;
}

interface Holding {
  readonly process: string;
  readonly fence: number;
  /** When it ends by the holder's own clock, in the world's time. */
  endsAtMs: number;
  /** Whether the holder heard that it is over, or gave it up. */
  isOver: boolean;
}

interface KeyState {
  readonly granted: Set<number>;
  highest: number;
  holdings: Holding[];
}

/**
 * Follows leases on keys by what their holders see. `processes` must have seen each event first.
 *
 * States of a holding: *held* -> `release` is called, `lost` fires, its process ends -> *over*;
 * *held* -> its time is over while its process is paused -> counts as *over*.
 */
export class LeaseHolders {
  readonly #processes: Processes;
  readonly #keys = new Map<string, KeyState>();
  /** The greatest fence of the key when an acquire began. */
  readonly #before = new Map<number, number>();
  #grants = 0;

  constructor(processes: Processes) {
    this.#processes = processes;
  }

  /** How many leases were granted. */
  get grants(): number {
    return this.#grants;
  }

  /** Looks at events of leases, and at notes. @returns what is wrong */
  event(event: TraceEvent): string | undefined {
    const { type, op, about, call } = event;
    if (type === "note") {
      this.#noted(event);
    } else if (type === "call") {
      if (op === "lease.acquire") this.#before.set(call, this.#key(about).highest);
      else if (op === "lease.release") this.#over(event, event.data["fence"] as number);
    } else if (type === "deliver") {
      if (op === "lease.lost") this.#over(event, event.data["fence"] as number);
    } else if (type === "result") {
      if (op === "lease.acquire") return this.#granted(event);
      if (op === "lease.heartbeat") return this.#renewed(event);
    } else {
      this.#before.delete(call);
    }
    return undefined;
  }

  #granted(event: TraceEvent): string | undefined {
    const { process, about, call, atMs, data } = event;
    const { fence, leftMs } = data as unknown as LeaseFacts;
    const key = this.#key(about);
    const before = this.#before.get(call) ?? 0;
    this.#before.delete(call);
    this.#grants += 1;
    if (key.granted.has(fence)) return `lease ${about}: fence ${fence} was granted twice`;
    if (fence < before) {
      return `lease ${about}: fence ${fence} was granted to ${process} after fence ${before}`;
    }
    key.granted.add(fence);
    key.highest = Math.max(key.highest, fence);
    // What took too long on its way is over when it arrives.
    if (leftMs <= 0) return undefined;
    const endsAtMs = atMs + leftMs / this.#processes.of(process).rate;
    const holding: Holding = { process, fence, endsAtMs, isOver: false };
    key.holdings.push(holding);
    return this.#check(key, holding, event);
  }

  #renewed(event: TraceEvent): string | undefined {
    const { process, about, atMs, data } = event;
    const { fence, leftMs } = data as unknown as LeaseFacts;
    const key = this.#key(about);
    const holding = key.holdings.find((one) => one.fence === fence && one.process === process);
    if (holding === undefined || leftMs <= 0) return undefined;
    holding.endsAtMs = atMs + leftMs / this.#processes.of(process).rate;
    return this.#isHeld(holding, atMs) ? this.#check(key, holding, event) : undefined;
  }

  #check(key: KeyState, holding: Holding, { about, atMs }: TraceEvent): string | undefined {
    const other = key.holdings.find((one) => one !== holding && this.#isHeld(one, atMs));
    if (other === undefined) return undefined;
    return `lease ${about} has two holders: ${named(other)} and ${named(holding)}`;
  }

  #isHeld({ process, isOver, endsAtMs }: Holding, atMs: number): boolean {
    if (isOver) return false;
    if (endsAtMs > atMs + TOLERANCE_MS) return true;
    // Its time is over. Only who stands still need not have heard of it.
    return !this.#processes.of(process).isPaused;
  }

  #over({ process, about }: TraceEvent, fence: number): void {
    const key = this.#key(about);
    for (const holding of key.holdings) {
      if (holding.fence === fence && holding.process === process) holding.isOver = true;
    }
    key.holdings = key.holdings.filter(({ isOver }) => !isOver);
  }

  #noted({ op, process }: TraceEvent): void {
    if (op !== "killed" && op !== "stopped" && op !== "bus.close" && !op.startsWith("started ")) {
      return;
    }
    for (const key of this.#keys.values()) {
      key.holdings = key.holdings.filter((holding) => holding.process !== process);
    }
  }

  #key(name: string): KeyState {
    let key = this.#keys.get(name);
    if (key === undefined) {
      key = { granted: new Set(), highest: 0, holdings: [] };
      this.#keys.set(name, key);
    }
    return key;
  }
}

function named({ process, fence, endsAtMs }: Holding): string {
  return `${process} (fence ${fence}, until +${endsAtMs.toFixed(1)} by its own clock)`;
}
