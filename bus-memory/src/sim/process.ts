import type { Bus, Clock, Random } from "@busbar/core";
import type { MemoryBus } from "../memory-bus.ts";
import type { Gate } from "./gate.ts";
import type { Link, Waiting } from "./link.ts";
import type { ProcessClock } from "./process-clock.ts";
import type { SimBus } from "./sim-bus.ts";

/** What the code of a simulated process works with. */
export interface ProcessContext {
  /** Its name. */
  readonly name: string;
  /** How often it was started, from 1 on. */
  readonly incarnation: number;
  /** Its bus: a connection of its own. */
  readonly bus: Bus;
  /** Its clock, which may be wrong. Everything it waits for must be on it. */
  readonly clock: Clock;
  /** Randomness of its own, from the seed. */
  readonly random: Random;
  /** Aborts when it is asked to stop. */
  readonly signal: AbortSignal;
  /** Writes a line into the trace. */
  note(this: void, text: string, data?: Readonly<Record<string, unknown>>): void;
}

/** The code of a simulated process. What it throws ends the simulation. */
export type ProcessMain = (context: ProcessContext) => Promise<void> | void;

/** One life of a process: everything that goes with it when it is killed. */
export interface Life {
  readonly bus: SimBus;
  readonly inner: MemoryBus;
  readonly clock: ProcessClock;
  readonly gate: Gate;
  readonly link: Link;
  readonly stopping: AbortController;
  readonly context: ProcessContext;
}

/** How a {@link SimProcess} gets its lives. */
export interface ProcessHost {
  /** Makes the next life. */
  begin(name: string, incarnation: number): Life;
  /** Its code threw. */
  failed(name: string, error: unknown): void;
  note(name: string, text: string, data?: Readonly<Record<string, unknown>>): void;
}

/** Where a process is. See {@link SimProcess}. */
export type ProcessState = "running" | "paused" | "killed" | "ended";

/**
 * A simulated process: code with a bus, a clock and a connection of its own.
 *
 * States: *running* -> `pause()` -> *paused* -> `resume()` -> *running*;
 * *running*, *paused* -> `kill()` -> *killed* -> `restart()` -> *running*, with a new bus;
 * *running*, *paused* -> `stop()` -> *ended*. Code that returns leaves it running: what it serves goes on.
 *
 * Killed code stops where it waits: no `finally` runs, nothing is given back.
 */
export class SimProcess {
  readonly name: string;
  readonly #host: ProcessHost;
  readonly #main: ProcessMain | undefined;
  #life: Life;
  #incarnation = 1;
  #state: ProcessState = "running";
  #done: Promise<void> = Promise.resolve();

  constructor(name: string, host: ProcessHost, main: ProcessMain | undefined) {
    this.name = name;
    this.#host = host;
    this.#main = main;
    this.#life = host.begin(name, this.#incarnation);
    this.#run();
  }

  /** Whether it has code of its own. */
  get hasCode(): boolean {
    return this.#main !== undefined;
  }

  /** 1 for its first life; each restart is another one. */
  get incarnation(): number {
    return this.#incarnation;
  }

  /** Where it is. */
  get state(): ProcessState {
    return this.#state;
  }

  /** Its bus; another one after a restart. */
  get bus(): Bus {
    return this.#life.bus;
  }

  /** Its clock; another one after a restart. */
  get clock(): Clock {
    return this.#life.clock;
  }

  /** Resolves when its code has returned. Never, if it was killed. */
  get done(): Promise<void> {
    return this.#done;
  }

  /** What it waits for. */
  get parked(): Iterable<Waiting> {
    return this.#state === "killed" ? [] : this.#life.link.parked;
  }

  /** Its connection. For the world. */
  get link(): Link {
    return this.#life.link;
  }

  /** Cuts its connection. */
  cut(reason: string): void {
    if (this.#life.link.cut(reason)) this.#life.bus.disconnected(reason);
  }

  /** Takes that back. */
  mend(reason: string): void {
    if (this.#life.link.mend(reason)) this.#life.bus.connected();
  }

  /** It stands still, as with SIGSTOP: nothing reaches it, its timers are late, time goes on. */
  pause(): void {
    if (this.#state !== "running") return;
    this.#state = "paused";
    this.#life.gate.pause();
    this.#host.note(this.name, "paused");
  }

  /** It goes on, as with SIGCONT. */
  resume(): void {
    if (this.#state !== "paused") return;
    this.#state = "running";
    this.#host.note(this.name, "resumed");
    this.#life.gate.open();
  }

  /** It ends at once, as with kill -9. */
  kill(): void {
    if (this.#state === "killed") return;
    this.#host.note(this.name, "killed");
    this.#state = "killed";
    this.#endLife();
  }

  /** Starts it again, with a new bus; kills it first if need be. */
  restart(): void {
    this.kill();
    this.#incarnation += 1;
    this.#life = this.#host.begin(this.name, this.#incarnation);
    this.#state = "running";
    this.#run();
  }

  /** Asks its code to end, waits for that, and closes its bus. */
  async stop(): Promise<void> {
    if (this.#state === "killed") return;
    const life = this.#life;
    life.stopping.abort();
    this.resume();
    await this.#done;
    this.#host.note(this.name, "stopped");
    await life.inner.close({ drainMs: 0 });
    this.#state = "ended";
  }

  #run(): void {
    const life = this.#life;
    this.#host.note(this.name, `started ${this.#incarnation}`, { ...life.clock.skew });
    if (this.#main === undefined) return;
    const main = this.#main;
    const running = async (): Promise<void> => main(life.context);
    this.#done = running().then(
      () => {
        if (this.#life === life && this.#state === "running")
          this.#host.note(this.name, "returned");
      },
      (error: unknown) => {
        if (!life.gate.isDead) this.#host.failed(this.name, error);
      },
    );
  }

  #endLife(): void {
    const { gate, inner, clock } = this.#life;
    gate.kill();
    // All of it happens without the code of the process, which waits for ever.
    void inner.crash();
    clock.stop();
  }
}
