import type { Bus, Clock, Random, ResolvedMemoryConfig, VirtualClock } from "@busbar/core";
import { checkInteger, checkNamespace } from "@busbar/core/adapter";
import { MemoryBus } from "../memory-bus.ts";
import { type CrashOptions, engineOf, MemoryServer } from "../memory-server.ts";
import type { Draws } from "./draws.ts";
import type { ResolvedFaults, Spell } from "./faults.ts";
import { Gate } from "./gate.ts";
import { Link } from "./link.ts";
import { type Life, type ProcessMain, SimProcess } from "./process.ts";
import { ProcessClock } from "./process-clock.ts";
import type { Recorder } from "./recorder.ts";
import { SimBus } from "./sim-bus.ts";
import { type SpellAction, Spells } from "./spells.ts";

/** What a {@link World} is made of. */
export interface WorldParts {
  readonly seed: number;
  readonly clock: VirtualClock;
  readonly draws: Draws;
  readonly faults: ResolvedFaults;
  readonly recorder: Recorder;
  /** How far back `killServer` may lose changes, in milliseconds. */
  readonly unsyncedMs: number;
  /** Called once if the code of a process throws. */
  readonly fail: (error: Error) => void;
}

/** Options of {@link World.process}. */
export interface ProcessOptions {
  /** The namespace of its bus. @defaultValue "sim", as for the world's own bus */
  readonly namespace?: string;
  /** As in the configuration of a bus. @defaultValue 120_000 */
  readonly dedupWindowMs?: number;
}

const NAMESPACE = "sim";

/**
 * A simulated server, and simulated processes with their connections to it, on one virtual clock.
 * Made by `simulate`.
 */
export class World {
  /** The seed of everything random. */
  readonly seed: number;
  /** The world's clock, which is also the server's. */
  readonly clock: VirtualClock;
  /** Randomness for the scenario, from the seed. */
  readonly random: Random;
  /** A bus without faults, for looking and for setting up. It is not in the trace. */
  readonly bus: Bus;
  readonly #parts: WorldParts;
  readonly #server: MemoryServer;
  readonly #spells: Spells;
  readonly #processes = new Map<string, SimProcess>();
  #serverIsDown = false;
  #isHealed = false;

  constructor(parts: WorldParts) {
    const { seed, clock, draws, faults } = parts;
    const { serverCrash } = faults;
    this.#parts = parts;
    this.seed = seed;
    this.clock = clock;
    this.random = draws.random("scenario");
    const { lostSettlesMs = 0, lostWritesMs = 0 } = serverCrash ?? {};
    const unsyncedMs = Math.max(parts.unsyncedMs, lostSettlesMs, lostWritesMs);
    this.#server = new MemoryServer({ clock, seed, unsyncedMs });
    this.bus = this.#open(clock);
    this.#spells = new Spells(clock, draws);
    if (serverCrash) {
      this.#spells.add("server/crash", serverCrash, {
        begin: () => this.#crashServer(serverCrash),
        end: () => this.startServer(),
      });
    }
  }

  /** How many timers only wait for the next fault. */
  get backgroundTimers(): number {
    return this.#spells.waiting;
  }

  /** The processes, in the order in which they were made. */
  get processes(): Iterable<SimProcess> {
    return this.#processes.values();
  }

  /**
   * Starts a process. Without code it is a process whose bus and clock the scenario uses itself; no
   * fault kills it.
   * @throws RangeError if the name is taken
   */
  process(name: string, main?: ProcessMain, options: ProcessOptions = {}): SimProcess {
    if (this.#processes.has(name)) throw new RangeError(`there is a process ${name} already`);
    const process = new SimProcess(
      name,
      {
        begin: (_name, incarnation) => this.#begin(name, incarnation, options),
        failed: (_name, error) => {
          const cause = error instanceof Error ? error : new Error(String(error));
          this.#parts.fail(new Error(`process ${name} failed: ${cause.message}`, { cause }));
        },
        note: (_name, text, data) => this.#parts.recorder.note(name, text, data),
      },
      main,
    );
    this.#processes.set(name, process);
    if (!this.#isHealed) this.#addSpells(process);
    return process;
  }

  /** Resolves after so many milliseconds of the world's time. */
  sleep(delayMs: number): Promise<void> {
    return this.clock.sleep(delayMs);
  }

  /** The same as {@link World.sleep}: everything that is due on the way happens. */
  advance(byMs: number): Promise<void> {
    return this.clock.sleep(byMs);
  }

  /** Waits until `condition` holds, looking every `everyMs` (default 10). @throws Error after `withinMs` (default 60_000) */
  async until(
    what: string,
    condition: () => boolean | Promise<boolean>,
    options: { readonly withinMs?: number; readonly everyMs?: number } = {},
  ): Promise<void> {
    const { withinMs = 60_000, everyMs = 10 } = options;
    const endMs = this.clock.monotonic() + withinMs;
    while (!(await condition())) {
      if (this.clock.monotonic() >= endMs) throw new Error(`not within ${withinMs} ms: ${what}`);
      await this.clock.sleep(everyMs);
    }
  }

  /** Cuts processes off from the server until {@link World.mend}. */
  partition(...names: readonly string[]): void {
    for (const name of names) {
      this.#parts.recorder.fault(name, "partition", {});
      this.#find(name).cut("partition");
    }
  }

  /** Ends partitions; without names all of them. */
  mend(...names: readonly string[]): void {
    const chosen = names.length > 0 ? names.map((name) => this.#find(name)) : this.processes;
    for (const process of chosen) {
      this.#parts.recorder.note(process.name, "mended");
      process.mend("partition");
    }
  }

  /**
   * The server ends at once: connections break, and it forgets what `loss` says, as far back as the
   * option `unsyncedMs` of `simulate` or the fault `serverCrash` allows.
   */
  killServer(loss: CrashOptions = {}): void {
    this.#crashServer(loss);
  }

  /** Whether the server runs. */
  get isServerUp(): boolean {
    return !this.#serverIsDown;
  }

  /** Starts it again. */
  startServer(): void {
    if (!this.#serverIsDown) return;
    this.#serverIsDown = false;
    this.#parts.recorder.note("server", "started");
    engineOf(this.#server).deadlines.start();
    for (const process of this.processes) process.mend("server");
  }

  /** Writes a line into the trace. */
  note(text: string, data?: Readonly<Record<string, unknown>>): void {
    this.#parts.recorder.note("world", text, data);
  }

  /**
   * Ends all faults for good: connections are mended, the server runs, paused processes go on, those
   * that a fault killed are started again. Those that the scenario killed stay dead.
   */
  heal(): void {
    this.#isHealed = true;
    this.#parts.draws.silence();
    this.#spells.stop();
    this.startServer();
    this.mend();
    for (const process of this.processes) process.resume();
    this.note("healed");
  }

  /** Whether every queue is empty and every durable with a subscription has nothing left. */
  isAtRest(): boolean {
    return this.#left().length === 0;
  }

  /** What is not at rest and who waits for what, for failures. */
  describe(): string {
    const lines = this.#left();
    for (const { name, state, parked } of this.processes) {
      const calls = [...parked].map(
        ({ op, about, sinceMs }) => `${op} ${about} since +${sinceMs.toFixed(1)} ms`,
      );
      lines.push(`${name} (${state}) waits for ${calls.join(", ") || "nothing of the bus"}`);
    }
    return lines.map((line) => `\n  ${line}`).join("");
  }

  /** Ends every process and closes the bus. */
  async close(): Promise<void> {
    for (const process of this.processes) process.kill();
    await this.bus.close({ drainMs: 0 });
  }

  #left(): string[] {
    const left: string[] = [];
    const namespace = engineOf(this.#server).namespaces.get(NAMESPACE);
    for (const { name, stats } of namespace?.queues() ?? []) {
      const { ready, delayed, leased } = stats;
      if (ready + delayed + leased === 0) continue;
      left.push(`queue ${name}: ${ready} ready, ${delayed} delayed, ${leased} leased`);
    }
    for (const consumer of namespace?.hub.consumers() ?? []) {
      const { durable, pattern } = consumer.options;
      if (durable === undefined || consumer.memberCount === 0 || consumer.isAtRest) continue;
      left.push(`durable ${durable} on ${pattern}: ${consumer.unsettledCount} not settled`);
    }
    return left;
  }

  #find(name: string): SimProcess {
    const process = this.#processes.get(name);
    if (process) return process;
    const known = [...this.#processes.keys()].join(", ");
    throw new RangeError(`there is no process ${name}; there are: ${known}`);
  }

  #open(clock: Clock, options: ProcessOptions = {}): MemoryBus {
    const { namespace = NAMESPACE, dedupWindowMs = 120_000 } = options;
    checkNamespace(namespace);
    checkInteger("dedupWindowMs", dedupWindowMs, 100, 86_400_000);
    const config: ResolvedMemoryConfig = {
      backend: "memory",
      namespace,
      dedupWindowMs,
      maxPayloadBytes: 1_048_576,
      clock,
      server: this.#server,
      name: undefined,
    };
    return new MemoryBus(config, this.#server, () => undefined);
  }

  #begin(name: string, incarnation: number, options: ProcessOptions): Life {
    const { draws, faults, recorder, clock: world } = this.#parts;
    const { skewMs, clockDrift } = faults;
    const gate = new Gate();
    const skew = {
      offsetMs: around(draws, `${name}/skew`, skewMs),
      rate: 1 + around(draws, `${name}/drift`, clockDrift),
    };
    const clock = new ProcessClock(world, gate, skew);
    const link = new Link({ name, world, clock, gate, draws, faults, recorder });
    const inner = this.#open(clock, options);
    const bus = new SimBus(link, inner, faults);
    const stopping = new AbortController();
    if (this.#serverIsDown) link.cut("server");
    const context = {
      name,
      incarnation,
      bus,
      clock,
      random: draws.random(`${name}/${incarnation}`),
      signal: stopping.signal,
      note: (text: string, data?: Readonly<Record<string, unknown>>) =>
        recorder.note(name, text, data),
    };
    return { bus, inner, clock, gate, link, stopping, context };
  }

  #addSpells(process: SimProcess): void {
    const { partition, pause, crash } = this.#parts.faults;
    const { name } = process;
    const add = (kind: string, spell: Spell | undefined, action: SpellAction): void => {
      if (spell) this.#spells.add(`${name}/${kind}`, spell, action);
    };
    add("partition", partition, {
      begin: () => {
        if (process.state === "killed" || process.state === "ended") return false;
        this.partition(name);
        return true;
      },
      end: () => this.mend(name),
    });
    add("pause", pause, {
      begin: () => {
        if (process.state !== "running") return false;
        this.#parts.recorder.fault(name, "pause", {});
        process.pause();
        return true;
      },
      end: () => process.resume(),
    });
    // The scenario holds the bus of a process without code: killed, it would wait for ever.
    if (!process.hasCode) return;
    add("crash", crash, {
      begin: () => {
        if (process.state === "killed" || process.state === "ended") return false;
        this.#parts.recorder.fault(name, "crash", {});
        process.kill();
        return true;
      },
      end: () => {
        if (process.state === "killed") process.restart();
      },
    });
  }

  #crashServer(loss: CrashOptions & Partial<Spell>): boolean {
    if (this.#serverIsDown) return false;
    this.#serverIsDown = true;
    const { lostSettlesMs = 0, lostWritesMs = 0 } = loss;
    this.#parts.recorder.fault("server", "serverCrash", { lostSettlesMs, lostWritesMs });
    for (const process of this.processes) process.cut("server");
    this.#server.crash({ lostSettlesMs, lostWritesMs });
    // Nothing falls due on a server that is down.
    engineOf(this.#server).deadlines.stop();
    return true;
  }
}

/** From `-most` to `most`; 0 is the quiet choice. */
function around(draws: Draws, label: string, most: number): number {
  const size = draws.between(label, 0, most);
  return size > 0 && draws.chance(`${label}/sign`, 0.5) ? -size : size;
}
