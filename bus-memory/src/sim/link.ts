import type { Clock } from "@busbar/core";
import { closedError } from "@busbar/core/adapter";
import type { Gate } from "./gate.ts";
import { PendingCall } from "./pending-call.ts";
import { type DropFault, type Leg, Wire, type WireParts } from "./wire.ts";

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
export interface LinkParts extends WireParts {
  /** The process's own clock. */
  readonly clock: Clock;
  readonly gate: Gate;
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

/** One bus of a process, at its end of the {@link Wire}. */
export class Link {
  readonly #parts: LinkParts;
  readonly #wire: Wire;
  readonly #parked = new Map<number, ParkedCall>();
  readonly #streams = new Set<{ readonly waiting: Waiting | undefined }>();
  readonly #shared = new Set<Link>();
  #phase: "open" | "closing" | "closed" = "open";

  constructor(parts: LinkParts, wire: Wire = new Wire(parts)) {
    this.#parts = parts;
    this.#wire = wire;
  }

  /** Another bus of the process, over the same connection. */
  share(): Link {
    const link = new Link(this.#parts, this.#wire);
    this.#shared.add(link);
    return link;
  }

  /** That bus is closed. */
  unshare(link: Link): void {
    this.#shared.delete(link);
  }

  /** Name of the process. */
  get name(): string {
    return this.#parts.name;
  }

  /** Whether everything takes no time, so that nothing can be under way. */
  get isInstant(): boolean {
    return this.#parts.faults.delayMs[1] === 0;
  }

  /** See {@link Wire}. */
  get isDown(): boolean {
    return this.#wire.isDown;
  }

  get epoch(): number {
    return this.#wire.epoch;
  }

  get broken(): AbortSignal {
    return this.#wire.broken;
  }

  watch(change: (isUp: boolean) => void): () => void {
    return this.#wire.watch(change);
  }

  cut(reason: string): boolean {
    return this.#wire.cut(reason);
  }

  mend(reason: string): boolean {
    return this.#wire.mend(reason);
  }

  whenUp(go: () => void): void {
    this.#wire.whenUp(go);
  }

  travel(direction: "out" | "back", leg: Leg, drop: DropFault | undefined): void {
    this.#wire.travel(direction, leg, drop);
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
    const shared = [...this.#shared].flatMap(({ parked }) => [...parked]);
    return [...this.#parked.values(), ...streams.filter((one) => one !== undefined), ...shared];
  }

  get gate(): Gate {
    return this.#parts.gate;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  get recorder(): LinkParts["recorder"] {
    return this.#parts.recorder;
  }

  /** Asks the server. `facts` turns the result into facts for the trace. */
  request<T>(
    call: Call,
    run: () => Promise<T>,
    facts?: (value: T) => Readonly<Record<string, unknown>>,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.checkOpen(call.settles ?? false);
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
      if (this.#wire.chance("dropSettle")) {
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
    if (this.#wire.chance("duplicate")) this.#sendOnce(run, drop);
  }

  #sendOnce(run: () => Promise<unknown>, drop: DropFault): void {
    const arrive = (): void => {
      run().catch(() => undefined);
    };
    this.travel("out", { arrive, lost: () => undefined }, drop);
  }
}
