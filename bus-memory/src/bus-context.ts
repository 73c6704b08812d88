import type { Clock, Payload, ResolvedMemoryConfig } from "@busbar/core";
import { closedError, type Lifecycle, payloadBytes, type StatusHub } from "@busbar/core/adapter";
import { Deadlines } from "./engine/deadlines.ts";
import type { Namespace } from "./engine/namespace.ts";
import type { ServerEngine } from "./engine/server-engine.ts";

/** What the four contracts of one bus share. */
export class BusContext {
  readonly config: ResolvedMemoryConfig;
  readonly engine: ServerEngine;
  readonly namespace: Namespace;
  /** The program's clock; leases and waits in its hands are judged by it. */
  readonly clock: Clock;
  /** Deadlines by {@link BusContext.clock}. */
  readonly deadlines: Deadlines;
  readonly lifecycle: Lifecycle;
  readonly status: StatusHub;
  #isOver = false;
  #isDead = false;

  constructor(
    config: ResolvedMemoryConfig,
    parts: Pick<BusContext, "engine" | "namespace" | "clock" | "lifecycle" | "status">,
  ) {
    this.config = config;
    this.engine = parts.engine;
    this.namespace = parts.namespace;
    this.clock = parts.clock;
    this.lifecycle = parts.lifecycle;
    this.status = parts.status;
    const { clock, deadlines } = parts.engine;
    this.deadlines = parts.clock === clock ? deadlines : new Deadlines(parts.clock);
  }

  /** The deadlines of this bus alone, if it has a clock of its own. */
  get ownDeadlines(): Deadlines | undefined {
    return this.deadlines === this.engine.deadlines ? undefined : this.deadlines;
  }

  /** Whether closing has come to its end: nothing can be settled any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The program's monotonic time. */
  get nowMs(): number {
    // Whatever happens on the server's clock was begun with a reading of it. A clock of our own may
    // have been read long ago: others, or the server's timer, hand over to us as well.
    return this.deadlines === this.engine.deadlines ? this.deadlines.nowMs : this.clock.monotonic();
  }

  /** Reads the clocks and lets happen what is due. @returns the program's monotonic time. */
  tick(): number {
    const { deadlines } = this.engine;
    const nowMs = deadlines.tick();
    return this.deadlines === deadlines ? nowMs : this.deadlines.tick();
  }

  /** Begins an operation. @throws BusError `CLOSED` */
  enter(): void {
    if (!this.lifecycle.isOpen) throw closedError("the bus");
    this.tick();
  }

  /** Begins a settle, which is possible until closing has ended. @throws BusError `CLOSED` */
  enterSettle(): number {
    if (this.#isOver) throw closedError("the bus");
    return this.tick();
  }

  /** Whether its process was killed: what it held stays held until its time is over. */
  get isDead(): boolean {
    return this.#isDead;
  }

  /** Its process was killed. */
  die(): void {
    this.#isDead = true;
  }

  /** Nothing can be settled any more. */
  end(): void {
    this.#isOver = true;
  }

  /** Checks a payload; the bytes are still the caller's. @throws BusError */
  bytes(payload: Payload, what: string): Uint8Array {
    return payloadBytes(payload, this.config.maxPayloadBytes, what);
  }
}
