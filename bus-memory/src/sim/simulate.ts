import { systemRandom, VirtualClock } from "@busbar/core";
import { checkDuration, checkInteger } from "@busbar/core/adapter";
import type { Checker } from "./checker.ts";
import { type Draw, Draws } from "./draws.ts";
import { type FaultOptions, resolveFaults } from "./faults.ts";
import { Recorder, type RunCounts } from "./recorder.ts";
import { SimulationError } from "./simulation-error.ts";
import { formatEvent, type TraceEvent } from "./trace.ts";
import { World } from "./world.ts";

/** What {@link simulate} may be told. */
export interface SimulateOptions {
  /** Makes the run repeatable: an integer from 0 to 4_294_967_295. Default: random; failures name it. */
  readonly seed?: number;
  /** What goes wrong until the scenario returns. Default: nothing. */
  readonly faults?: FaultOptions;
  /** What must hold. Called once for each run. */
  readonly checkers?: () => readonly Checker[];
  /** Most virtual time of the scenario, in milliseconds. @defaultValue 86_400_000 */
  readonly maxMs?: number;
  /**
   * Liveness: when the scenario has returned, all faults are healed, and this must come true within
   * `drainWithinMs`. Default: with `faults`, that every queue is empty and every durable that has a
   * subscription has nothing left; without, nothing. `false` turns it off.
   */
  readonly drain?: false | ((world: World) => boolean | Promise<boolean>);
  /** In milliseconds of virtual time, 1 to 86_400_000. @defaultValue 600_000 */
  readonly drainWithinMs?: number;
  /** Keeps everything that happened in the report. @defaultValue false */
  readonly trace?: boolean;
  /** Runs it twice and compares: a difference means that something is not from the seed. @defaultValue false */
  readonly twice?: boolean;
  /** Faults and delays of an earlier run instead of random ones. */
  readonly plan?: readonly Draw[];
  /**
   * How far back `world.killServer` may lose changes, in milliseconds.
   * @defaultValue 0; what the fault `serverCrash` needs is added by itself
   */
  readonly unsyncedMs?: number;
  /**
   * Most events (calls, results, deliveries) without any time passing: more of them mean that
   * somebody goes round in circles, and time would stand still for ever. From 1_000 to 1_000_000_000.
   * @defaultValue 1_000_000
   */
  readonly maxEventsAtOnce?: number;
  /** Real time to wait for real I/O where nothing else can run, in milliseconds. @defaultValue 250 */
  readonly graceMs?: number;
}

/** What a run was. */
export interface SimulationReport<T> extends RunCounts {
  readonly seed: number;
  /** What the scenario returned. */
  readonly value: T;
  /** Over every draw and event: the same for the same seed. */
  readonly hash: number;
  /** How much virtual time passed. */
  readonly virtualMs: number;
  /** The faults and delays that happened: as `plan` they happen again. */
  readonly plan: readonly Draw[];
  /** What happened; empty unless `trace` was asked for. */
  readonly trace: readonly TraceEvent[];
}

const DAY_MS = 86_400_000;

/** The code of a simulation: starts processes, lets time pass, looks. */
export type Scenario<T> = (world: World) => Promise<T>;

/**
 * Runs a scenario on a simulated server with simulated processes, in virtual time: while it waits,
 * time jumps to the next thing that is due, so that an hour takes milliseconds.
 *
 * First the faults happen and the checkers look on (safety). When the scenario has returned,
 * everything is healed and must come to rest (liveness). Then the checkers look at the end.
 *
 * @throws TypeError, RangeError if an option is wrong: before anything runs
 * @throws SimulationError which names the seed: a checker that found something, a process or the
 * scenario that threw, a deadlock (with who waits for what), circles without time passing, or no
 * rest in time
 */
export async function simulate<T>(
  options: SimulateOptions,
  scenario: Scenario<T>,
): Promise<SimulationReport<T>> {
  const { seed = Math.floor(systemRandom.next() * 0x1_0000_0000), twice = false } = options;
  checkInteger("seed", seed, 0, 0xffff_ffff);
  const run = new Run(seed, options);
  const report = await run.play(scenario);
  if (!twice) return report;
  const second = new Run(seed, options);
  await second.play(scenario);
  const differences = [
    firstDifference("draw", run.draws.log, second.draws.log),
    firstDifference("event", run.events, second.events),
  ].filter((one) => one !== undefined);
  if (differences.length === 0) return report;
  throw run.error("determinism", differences.join("; "));
}

/** One run of a scenario. */
class Run {
  readonly draws: Draws;
  /** Everything that happened, as lines; only kept to compare two runs. */
  readonly events: string[] = [];
  readonly #options: SimulateOptions;
  readonly #limits: Limits;
  readonly #seed: number;
  readonly #clock = new VirtualClock();
  readonly #world: World;
  readonly #recorder: Recorder;
  readonly #checkers: readonly Checker[];
  readonly #trace: TraceEvent[] = [];
  readonly #failure: Promise<never>;
  #fail: (error: SimulationError) => void = () => undefined;

  constructor(seed: number, options: SimulateOptions) {
    const { faults, checkers, trace = false, twice = false, plan } = options;
    this.#seed = seed;
    this.#options = options;
    this.#limits = resolveLimits(options);
    const { maxEventsAtOnce, unsyncedMs } = this.#limits;
    this.draws = new Draws(seed, { plan, keepLog: twice });
    this.#checkers = checkers?.() ?? [];
    this.#failure = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    // Whoever waits for it comes later.
    this.#failure.catch(() => undefined);
    this.#recorder = new Recorder({
      clock: this.#clock,
      draws: this.draws,
      watchers: [
        ...(twice ? [(event: TraceEvent) => void this.events.push(formatEvent(event))] : []),
        ...(trace ? [(event: TraceEvent) => void this.#trace.push(event)] : []),
        ...this.#checkers.map((checker) => (event: TraceEvent) => this.#check(checker, event)),
      ],
      maxEventsAtOnce,
      circles: (lastEvent) => this.#stopCircles(lastEvent, maxEventsAtOnce),
    });
    this.#world = new World({
      seed,
      clock: this.#clock,
      draws: this.draws,
      faults: resolveFaults(faults),
      recorder: this.#recorder,
      unsyncedMs,
      fail: (error) => this.#fail(this.error("process", error.message, error)),
    });
  }

  /** Plays it to its end. @throws SimulationError */
  async play<T>(scenario: Scenario<T>): Promise<SimulationReport<T>> {
    const { maxMs } = this.#limits;
    const world = this.#world;
    try {
      const value = await this.#drive("scenario", maxMs, async () => scenario(world));
      const drained = await this.#drain();
      for (const checker of this.#checkers) {
        const wrong = await this.#drive(checker.name, maxMs, async () => {
          return checker.finish?.({ bus: world.bus, drained }) ?? [];
        });
        if (wrong.length > 0) throw this.error(checker.name, wrong.join("; "));
      }
      return {
        seed: this.#seed,
        value,
        hash: this.draws.hash,
        virtualMs: this.#recorder.nowMs,
        plan: this.draws.plan,
        trace: this.#trace,
        ...this.#recorder.counts,
      };
    } finally {
      await world.close();
    }
  }

  /** What went wrong, with all that is known of the run. */
  error(by: string, what: string, cause?: unknown): SimulationError {
    const { plan } = this.draws;
    const run = { seed: this.#seed, by, plan: [...plan], trace: [...this.#trace] };
    return new SimulationError(run, what, cause);
  }

  async #drain(): Promise<boolean> {
    const { faults, drain } = this.#options;
    const { drainWithinMs } = this.#limits;
    const condition = drain ?? (faults === undefined ? false : (world: World) => world.isAtRest());
    this.#world.heal();
    if (condition === false) return false;
    const world = this.#world;
    const endMs = this.#clock.monotonic() + drainWithinMs;
    await this.#drive("liveness", drainWithinMs + 1_000, async () => {
      while (!(await condition(world))) {
        if (this.#clock.monotonic() >= endMs) {
          throw this.error(
            "liveness",
            `not at rest ${drainWithinMs} ms after everything was healed${world.describe()}`,
          );
        }
        await this.#clock.sleep(100);
      }
    });
    return true;
  }

  async #drive<T>(by: string, maxMs: number, work: () => Promise<T>): Promise<T> {
    const { graceMs } = this.#limits;
    const world = this.#world;
    try {
      return await this.#clock.autoAdvance(Promise.race([work(), this.#failure]), {
        maxMs,
        graceMs,
        background: () => world.backgroundTimers,
        explain: () => world.describe(),
      });
    } catch (error) {
      if (error instanceof SimulationError) throw error;
      const what = error instanceof Error ? error.message : String(error);
      const stuck = /^deadlock: (.*)/s.exec(what)?.[1];
      throw this.error(stuck === undefined ? by : "deadlock", stuck ?? what, error);
    }
  }

  #stopCircles(lastEvent: string, events: number): void {
    const what = `more than ${events} events without any time passing; the last one is ${lastEvent}`;
    this.#fail(this.error("circles", what));
    // Nothing reaches anybody any more: that ends the circle.
    for (const process of this.#world.processes) process.kill();
  }

  #check(checker: Checker, event: TraceEvent): void {
    const wrong = checker.event(event);
    if (wrong !== undefined) this.#fail(this.error(checker.name, wrong));
  }
}

type Limits = Required<
  Pick<SimulateOptions, "maxMs" | "drainWithinMs" | "unsyncedMs" | "maxEventsAtOnce" | "graceMs">
>;

function resolveLimits(options: SimulateOptions): Limits {
  const { maxMs = DAY_MS, drainWithinMs = 600_000, unsyncedMs = 0, graceMs = 250 } = options;
  const { maxEventsAtOnce = 1_000_000 } = options;
  return {
    maxMs: checkDuration("maxMs", maxMs, 1, 3_650 * DAY_MS),
    drainWithinMs: checkDuration("drainWithinMs", drainWithinMs, 1, DAY_MS),
    unsyncedMs: checkDuration("unsyncedMs", unsyncedMs, 0, DAY_MS),
    graceMs: checkDuration("graceMs", graceMs, 0, DAY_MS),
    maxEventsAtOnce: checkInteger("maxEventsAtOnce", maxEventsAtOnce, 1_000, 1_000_000_000),
  };
}

function firstDifference(
  what: string,
  one: readonly string[],
  other: readonly string[],
): string | undefined {
  const most = Math.max(one.length, other.length);
  for (let at = 0; at < most; at += 1) {
    if (one[at] === other[at]) continue;
    const [first, second] = [one[at], other[at]].map((line = "nothing") => {
      return line.trim().replaceAll(/ +/g, " ");
    });
    return `${what} ${at} differs: ${first} in the first run, ${second} in the second`;
  }
  return undefined;
}
