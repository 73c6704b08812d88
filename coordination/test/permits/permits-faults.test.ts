import { ALL_FAULTS, type ProcessContext, simulate, type World } from "@busbar/bus-memory";
import { errorCode } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { Permits } from "../../src/index.ts";
import { faultSeeds, limitOf } from "../support/faults.ts";

const LIMITS: Readonly<Record<string, number>> = { one: 1, three: 3, ten: 10 };
const TTL_MS = 2_000;

/** What all processes hold, judged at every moment by the clock of each of them. */
class Watchdog {
  readonly violations: string[] = [];
  /** Takes of each key, to see that the test does something. */
  readonly taken: Record<string, number> = {};
  readonly #open = new Set<Permits>();

  add(permits: Permits): void {
    this.#open.add(permits);
  }

  async run(world: World, endMs: number): Promise<void> {
    while (world.clock.monotonic() < endMs) {
      this.#look(world.clock.monotonic());
      await world.sleep(7);
    }
  }

  #look(nowMs: number): void {
    for (const [key, limit] of Object.entries(LIMITS)) {
      const held = [...this.#open].map((permits) => permits.held(key));
      const total = held.reduce((sum, count) => sum + count, 0);
      if (total > limit) this.violations.push(`+${nowMs}: ${held.join(" + ")} of ${limit} ${key}`);
    }
  }
}

/** Takes and gives back at random, for ever; opens again what was lost. */
function greedy(dog: Watchdog) {
  return async ({ bus, clock, random, signal }: ProcessContext): Promise<void> => {
    const anyOf = <T>(items: readonly T[]): T =>
      items[Math.floor(random.next() * items.length)] as T;
    let permits: Permits | undefined;
    while (!signal.aborted) {
      try {
        if (permits === undefined || permits.lost.aborted) {
          await permits?.close().catch(() => undefined);
          permits = await Permits.open(bus, { clock, random, ttlMs: TTL_MS });
          dog.add(permits);
        }
        const key = anyOf(Object.keys(LIMITS));
        const held = permits.held(key);
        if (held > 0 && random.next() < 0.5) {
          await permits.release(key, 1 + Math.floor(random.next() * held));
        } else {
          const wanted = 1 + Math.floor(random.next() * 4);
          const got = await permits.acquire(key, wanted, LIMITS[key] as number);
          if (got > 0) dog.taken[key] = (dog.taken[key] ?? 0) + 1;
        }
        await clock.sleep(random.next() * 200);
      } catch (error) {
        if (errorCode(error) === undefined && !(error instanceof RangeError)) throw error;
        await clock.sleep(random.next() * 500);
      }
    }
  };
}

async function play(seed: number): Promise<Watchdog> {
  const dog = new Watchdog();
  await simulate({ seed, faults: ALL_FAULTS, drain: false }, async (world) => {
    for (const name of ["a", "b", "c", "d"]) world.process(name, greedy(dog));
    await dog.run(world, 60_000);
    world.heal();
    const before = { ...dog.taken };
    await dog.run(world, 90_000);
    // Alive again: nothing stays taken by the dead.
    for (const key of Object.keys(LIMITS)) {
      if (dog.taken[key] === before[key])
        dog.violations.push(`nobody got any ${key} after healing`);
    }
  });
  return dog;
}

describe("permits under faults", () => {
  const seeds = faultSeeds(15);
  it("are never more than the limit, and are to be had again after healing", {
    timeout: limitOf(seeds),
  }, async () => {
    let taken = 0;
    for (const seed of seeds) {
      const dog = await play(seed);
      expect(dog.violations, `seed ${seed}`).toEqual([]);
      taken += Object.values(dog.taken).reduce((sum, count) => sum + count, 0);
    }
    expect(taken).toBeGreaterThan(100 * seeds.length);
  });
});
