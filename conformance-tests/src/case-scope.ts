import {
  type Bus,
  type BusConfig,
  type Clock,
  newId,
  type Random,
  seededRandom,
  systemRandom,
} from "@busbar/core";
import { ConformanceFailure } from "./assert.ts";
import type { CaseContext, ConformanceCase, Harness, OpenOptions, ServerFaults } from "./case.ts";
import { clockOf, poll, withLimits } from "./time.ts";

const DEFAULT_UNTIL_MS = 5_000;
// A bus promises to be closed within its drain time and one second; the rest is for slow machines.
const CLOSE_LIMIT_MS = 5_000;
const DEFER_LIMIT_MS = 10_000;

/** What one case uses, from its first bus to the last thing that is closed behind it. */
export class CaseScope {
  readonly namespaces: Set<string> = new Set<string>();
  readonly #harness: Harness;
  readonly #clock: Clock;
  readonly #scale: number;
  readonly #seed: number;
  readonly #random: Random;
  readonly #namespace: string;
  readonly #buses: Bus[] = [];
  readonly #cleanups: (() => unknown)[] = [];
  readonly #faults: TrackedFaults | undefined;
  #ended = false;

  constructor(harness: Harness, item: ConformanceCase, seed: number) {
    this.#harness = harness;
    this.#clock = clockOf(harness);
    this.#scale = harness.timeScale ?? 1;
    this.#seed = seed;
    this.#random = seededRandom(seed ^ hash(item.id));
    // A server of one case repeats a run down to its names; one that many share must not.
    const names = harness.time ? seededRandom(hash(item.id) ^ ~seed) : systemRandom;
    this.#namespace = `cf-${newId(names, 16)}`;
    this.#faults = harness.faults && new TrackedFaults(harness.faults);
  }

  /** Opens the case's bus and gives the context. */
  async context(): Promise<CaseContext> {
    const bus = await this.#open({});
    const faults = this.#faults;
    const harness = this.#harness;
    const namespace = this.#namespace;
    return {
      bus,
      open: (options = {}) => this.#open(options),
      namespace,
      clock: this.#clock,
      virtual: this.#harness.time !== undefined,
      toleranceMs: (this.#harness.toleranceMs ?? 250) * this.#scale,
      until: (what, condition, withinMs = DEFAULT_UNTIL_MS) =>
        this.#until(what, condition, withinMs * this.#scale),
      within: (what, promise, withinMs = DEFAULT_UNTIL_MS) => {
        const limitMs = withinMs * this.#scale;
        const limit = { clock: this.#clock, limitMs, what: `not within ${limitMs} ms: ${what}` };
        return withLimits(promise, [limit]);
      },
      defer: (cleanup) => {
        this.#cleanups.push(cleanup);
      },
      random: this.#random,
      seed: this.#seed,
      get faults(): ServerFaults {
        if (!faults) throw new ConformanceFailure("the case does not require needsServerFaults");
        return faults;
      },
      get elsewhere(): BusConfig | string {
        const config = harness.elsewhere?.(namespace);
        if (!config) throw new ConformanceFailure("the case does not require needsOtherProcess");
        return config;
      },
    };
  }

  /** Undoes everything, as far as it goes; says what went wrong. */
  async close(): Promise<readonly string[]> {
    this.#ended = true;
    const problems: string[] = [];
    await this.#attempt(problems, "server", () => this.#faults?.repair(), DEFER_LIMIT_MS * 3);
    for (const cleanup of this.#cleanups.reverse()) {
      await this.#attempt(problems, "cleanup", cleanup, DEFER_LIMIT_MS);
    }
    const closing = this.#buses.map((bus) =>
      this.#attempt(problems, "bus.close()", () => bus.close({ drainMs: 0 }), CLOSE_LIMIT_MS),
    );
    await Promise.all(closing);
    return problems;
  }

  async #open(options: OpenOptions): Promise<Bus> {
    const namespace = options.namespace ?? this.#namespace;
    this.namespaces.add(namespace);
    const { dedupWindowMs } = options;
    const bus = await this.#harness.open({
      namespace,
      ...(dedupWindowMs === undefined ? {} : { dedupWindowMs }),
    });
    if (this.#ended) {
      await bus.close({ drainMs: 0 });
      throw new ConformanceFailure("the case ended while it opened a bus");
    }
    this.#buses.push(bus);
    return bus;
  }

  async #until(
    what: string,
    condition: () => boolean | Promise<boolean>,
    withinMs: number,
  ): Promise<void> {
    if (await poll(this.#clock, withinMs, condition)) return;
    throw new ConformanceFailure(`not within ${withinMs} ms: ${what}`);
  }

  async #attempt(
    problems: string[],
    what: string,
    work: () => unknown,
    limitMs: number,
  ): Promise<void> {
    const limit = {
      clock: this.#clock,
      limitMs: limitMs * this.#scale,
      what: `did not end within ${limitMs * this.#scale} ms`,
    };
    try {
      await withLimits(Promise.resolve(work()), [limit]);
    } catch (error) {
      problems.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** Faults that know how they left the server. */
class TrackedFaults implements ServerFaults {
  readonly #faults: ServerFaults;
  #isKilled = false;
  #isPaused = false;
  readonly pause?: () => Promise<void>;
  readonly resume?: () => Promise<void>;

  constructor(faults: ServerFaults) {
    this.#faults = faults;
    // Cases ask whether the server can be paused by looking for the method.
    if (!("pause" in faults && "resume" in faults)) return;
    this.pause = async () => {
      this.#isPaused = true;
      await faults.pause?.();
    };
    this.resume = async () => {
      await faults.resume?.();
      this.#isPaused = false;
    };
  }

  async kill(): Promise<void> {
    this.#isKilled = true;
    await this.#faults.kill();
  }

  async start(): Promise<void> {
    await this.#faults.start();
    this.#isKilled = false;
  }

  /** Brings the server back for the next case. */
  async repair(): Promise<void> {
    if (this.#isPaused) await this.resume?.();
    if (this.#isKilled) await this.start();
  }
}

/** A 32-bit hash of a text (FNV-1a). */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const character of text) {
    value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 0x01000193);
  }
  return value >>> 0;
}
