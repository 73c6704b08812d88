import type { Clock } from "@busbar/core";
import { closedError } from "@busbar/core/adapter";
import type { Draws } from "./draws.ts";
import type { ResolvedFaults } from "./faults.ts";
import type { Gate } from "./gate.ts";
import { PendingCall } from "./pending-call.ts";
import type { Recorder } from "./recorder.ts";

/** An operation on its way to the server and back. */
export interface Call {
  /** As in `TraceEvent.op`. */
  readonly op: string;
  readonly about: string;
  /** Facts for the trace. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** How long the process waits for the answer, by its own clock. */
  readonly timeoutMs: number;
  /**
   * Whether a client sends it again: after a broken connection, because that does no harm, or also
   * when in doubt, because the server knows the double. Default: never.
   */
  readonly again?: "afterBreak" | "inDoubt" | undefined;
  /** Whether it settles or extends something: that is possible while the bus closes. */
  readonly settles?: boolean;
}

/** What a {@link Link} joins. */
export interface LinkParts {
  /** Name of the process. */
  readonly name: string;
  /** Network time. */
  readonly world: Clock;
  /** The process's own clock. */
  readonly clock: Clock;
  readonly gate: Gate;
  readonly draws: Draws;
  readonly faults: ResolvedFaults;
  readonly recorder: Recorder;
}

/** What a process waits for: the end of a call, or the next item of a stream. */
export interface Waiting {
  /** As in `TraceEvent.op`, of the call or of the delivery. */
  readonly op: string;
  readonly about: string;
  /** The world's time when it began. */
  readonly sinceMs: number;
}

/** A call whose end the process waits for. */
export interface ParkedCall extends Waiting {
  /** Ends it: nothing comes back any more. */
  abandon(error: unknown): void;
}

/** Options of something that waits at the server. */
export interface Waits {
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

/** One way of something. */
export interface Leg {
  readonly arrive: () => void;
  readonly lost: () => void;
}

/** What arrives at one moment. */
interface Packet {
  readonly atMs: number;
  readonly epoch: number;
  readonly legs: Leg[];
}

/**
 * The connection of one process to the server. Each direction keeps its order, as a TCP connection
 * does, unless something overtakes by a fault.
 *
 * States: *up* -> `cut(reason)` -> *down*: what is under way is lost, what is begun waits ->
 * `mend(reason)` of every reason -> *up*: what waited goes out.
 */
export class Link {
  readonly #parts: LinkParts;
  readonly #reasons = new Set<string>();
  readonly #parked = new Map<number, ParkedCall>();
  readonly #streams = new Set<{ readonly waiting: Waiting | undefined }>();
  #waiting: (() => void)[] = [];
  #phase: "open" | "closing" | "closed" = "open";
  #epoch = 0;
  #broken: AbortController | undefined;
  readonly #watchers = new Set<(isUp: boolean) => void>();
  readonly #packets: Record<"out" | "back", Packet | undefined> = {
    out: undefined,
    back: undefined,
  };
  #lastOutMs = 0;
  #lastBackMs = 0;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  /** Name of the process. */
  get name(): string {
    return this.#parts.name;
  }

  /** Whether everything takes no time, so that nothing can be under way. */
  get isInstant(): boolean {
    return this.#parts.faults.delayMs[1] === 0;
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

  /** The process waits for the end of a call. */
  park(number: number, call: ParkedCall): void {
    this.#parked.set(number, call);
  }

  /** It has ended. */
  unpark(number: number): void {
    this.#parked.delete(number);
  }

  /** The bus of the process is closing, or closed. */
  close(phase: "closing" | "closed"): void {
    this.#phase = phase;
    if (phase === "closing") return;
    for (const call of this.#parked.values()) call.abandon(closedError("the bus"));
  }

  /** Whether the bus of the process is neither closing nor closed. */
  get isOpen(): boolean {
    return this.#phase === "open";
  }

  /** @throws BusError `CLOSED` */
  checkOpen(settles: boolean): void {
    if (this.#phase === "closed" || (this.#phase === "closing" && !settles)) {
      throw closedError("the bus");
    }
  }

  /** The process may wait for a stream. @returns what ends that */
  join(stream: { readonly waiting: Waiting | undefined }): () => void {
    this.#streams.add(stream);
    return () => this.#streams.delete(stream);
  }

  /** What the process waits for. */
  get parked(): Iterable<Waiting> {
    const streams = [...this.#streams].map(({ waiting }) => waiting);
    return [...this.#parked.values(), ...streams.filter((one) => one !== undefined)];
  }

  get gate(): Gate {
    return this.#parts.gate;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  get recorder(): Recorder {
    return this.#parts.recorder;
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

  /** Asks the server. `facts` turns the result into facts for the trace. */
  async request<T>(
    call: Call,
    run: () => Promise<T>,
    facts?: (value: T) => Readonly<Record<string, unknown>>,
  ): Promise<T> {
    this.checkOpen(call.settles ?? false);
    return new Promise<T>((resolve, reject) => {
      const work = { run, ends: { resolve, reject, facts } };
      new PendingCall(this, this.#parts, call, work).start();
    });
  }

  /**
   * Something that waits at the server, for {@link Link.request}: a broken connection ends the wait
   * there, and if it is sent again only what is left of `waitMs` is waited for.
   */
  waiting<Options extends Waits, T>(
    options: Options,
    run: (options: Options) => Promise<T>,
  ): () => Promise<T> {
    const { waitMs = 0, signal } = options ?? {};
    if (!(typeof waitMs === "number" && waitMs > 0)) return () => run(options);
    const { clock } = this.#parts;
    const endMs = clock.monotonic() + waitMs;
    return () => {
      const left = Math.max(0, Math.min(waitMs, endMs - clock.monotonic()));
      const signals = signal === undefined ? [this.broken] : [this.broken, signal];
      return run({ ...options, waitMs: left, signal: AbortSignal.any(signals) });
    };
  }

  /** Sends something whose end the process does not wait for. */
  async send(call: Call, run: () => Promise<void>): Promise<void> {
    this.checkOpen(call.settles ?? false);
    const { recorder, gate, name } = this.#parts;
    const number = recorder.call(name, call);
    // Nothing can be under way: the caller may as well hear what the server says.
    if (this.isInstant && !this.isDown) {
      if (this.#chance("dropSettle")) {
        recorder.done(name, call, { number, value: undefined, facts: undefined });
        return undefined;
      }
      const sent = run();
      this.maybeTwice(run, "dropSettle");
      return gate.through(
        sent.then(
          () => recorder.done(name, call, { number, value: undefined, facts: undefined }),
          (error: unknown) => {
            recorder.failed(name, call, { number, error });
            throw error;
          },
        ),
      );
    }
    recorder.done(name, call, { number, value: undefined, facts: undefined });
    this.whenUp(() => {
      this.#sendOnce(run, "dropSettle");
      this.maybeTwice(run, "dropSettle");
    });
  }

  /** Resolves when what was sent has arrived or is lost; at once while the link is down. */
  flush(): Promise<void> {
    return this.#parts.gate.through(
      new Promise((resolve) => this.travel("out", { arrive: resolve, lost: resolve }, undefined)),
    );
  }

  /** Something comes from the server by itself; `drop` says by which fault it may be lost. */
  deliver(leg: Leg, drop?: "dropDelivery"): void {
    this.travel("back", leg, drop);
  }

  /** The process answers a request. */
  reply(leg: Leg): void {
    this.travel("out", leg, "dropReply");
  }

  /** Lets a delivery lie for a while, if that is its fate. */
  dally(go: () => void): void {
    const { faults, draws, name, clock, recorder } = this.#parts;
    const { slow } = faults;
    if (slow === undefined || !draws.chance(`${name}/slow`, slow.chance)) {
      go();
      return;
    }
    const forMs = draws.between(`${name}/slowFor`, slow.forMs[0], slow.forMs[1]);
    recorder.fault(name, "slow", { forMs });
    clock.setTimer(go, forMs);
  }

  /** Sends a second copy, if that is its fate. */
  maybeTwice(run: () => Promise<unknown>, drop: DropFault): void {
    if (this.#chance("duplicate")) this.#sendOnce(run, drop);
  }

  #sendOnce(run: () => Promise<unknown>, drop: DropFault): void {
    const arrive = (): void => {
      run().catch(() => undefined);
    };
    this.travel("out", { arrive, lost: () => undefined }, drop);
  }

  #chance(fault: "duplicate" | DropFault): boolean {
    const { draws, faults, name, recorder } = this.#parts;
    if (!draws.chance(`${name}/${fault}`, faults[fault])) return false;
    recorder.fault(name, fault, {});
    return true;
  }

  /** One way: arrives after its time, or is lost. */
  travel(direction: "out" | "back", leg: Leg, drop: DropFault | undefined): void {
    const { draws, faults, name, world } = this.#parts;
    if (this.isDown || (drop !== undefined && this.#chance(drop))) {
      leg.lost();
      return;
    }
    const [minMs, maxMs] = faults.delayMs;
    if (maxMs === 0) {
      leg.arrive();
      return;
    }
    const nowMs = world.monotonic();
    let atMs = nowMs + draws.between(`${name}/${direction}`, minMs, maxMs);
    const lastMs = direction === "out" ? this.#lastOutMs : this.#lastBackMs;
    if (atMs < lastMs && !draws.chance(`${name}/reorder`, faults.reorder)) atMs = lastMs;
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

/** Faults by which something is lost. */
export type DropFault = "dropRequest" | "dropReply" | "dropSettle" | "dropDelivery";
