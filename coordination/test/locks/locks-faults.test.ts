import { ALL_FAULTS, type ProcessContext, simulate, type World } from "@busbar/bus-memory";
import { errorCode, toText } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { FencedBucket, type Lock, Locks } from "../../src/index.ts";
import { faultSeeds, limitOf } from "../support/faults.ts";

const TTL_MS = 2_000;
const NAMES = ["a", "b", "c", "d"];

/** What all processes think, judged by the clock of each of them, also of those that were killed. */
class Watchdog {
  readonly violations: string[] = [];
  /** How often each of them got the lock. */
  readonly taken: Record<string, number> = {};
  /** Writes that were refused because the lock has passed on. */
  refused = 0;
  readonly #held = new Set<Lock>();

  /** Two of them overlap from when the second one begins. */
  async hold(lock: Lock, work: () => Promise<void>): Promise<void> {
    for (const { owner, fence, lost } of this.#held) {
      // It may have stood still since it got it.
      if (lost.aborted || lock.lost.aborted) continue;
      this.violations.push(`${lock.owner} with ${lock.fence}, ${owner} with ${fence}`);
    }
    this.taken[lock.owner] = (this.taken[lock.owner] ?? 0) + 1;
    this.#held.add(lock);
    await work().catch((error: unknown) => {
      if (errorCode(error) === undefined) throw error;
      if (errorCode(error) === "CONFLICT") this.refused += 1;
    });
    this.#held.delete(lock);
    await lock.release().catch(() => false);
  }

  /** Looks until then whether the resource was written in the order of fences. */
  async run(world: World, endMs: number): Promise<void> {
    const ledger = new FencedBucket({ bus: world.bus, bucket: "ledger", clock: world.clock });
    while (world.clock.monotonic() < endMs) {
      const entry = await ledger.get("k");
      const fences = entry === undefined ? [] : toText(entry.value).split(",").map(Number);
      if (fences.some((fence, index) => fence < (fences[index - 1] ?? 0))) {
        this.violations.push(`written out of order: ${fences.join(",")}`);
      }
      await world.sleep(100);
    }
  }
}

/** Takes the lock again and again, in each way that there is; gives up now and then. */
function contender(dog: Watchdog) {
  return async ({ bus, clock, name, random, signal }: ProcessContext): Promise<void> => {
    const parts = { bus, clock, random };
    const locks = new Locks({ ...parts, owner: name, ttlMs: TTL_MS });
    const ledger = new FencedBucket({ ...parts, bucket: "ledger" });
    const write = async (lock: Lock): Promise<void> => {
      const mine = ledger.guard(lock.fence);
      for (let round = 0; round < 3 && !lock.lost.aborted; round++) {
        const before = await mine.get("k");
        const fences = before === undefined ? [] : toText(before.value).split(",").slice(-20);
        // It does not look again before it writes: the guard has to hold alone.
        await clock.sleep(random.next() * (random.next() < 0.05 ? 4_000 : 100));
        await mine.put("k", [...fences, lock.fence].join(","));
      }
    };
    while (!signal.aborted) {
      try {
        const giveUp = new AbortController();
        const timer = clock.setTimer(() => giveUp.abort(), random.next() * 20_000);
        const isPatient = random.next() < 0.8;
        const lock = isPatient
          ? await locks.acquire("k", { signal: giveUp.signal, waitMs: random.next() * 60_000 })
          : await locks.tryAcquire("k");
        timer.cancel();
        if (lock) await dog.hold(lock, () => write(lock));
      } catch (error) {
        const isAbort = error instanceof Error && error.name === "AbortError";
        if (errorCode(error) === undefined && !isAbort) throw error;
      }
      await clock.sleep(random.next() * 500);
    }
  };
}

async function play(seed: number): Promise<Watchdog> {
  const dog = new Watchdog();
  await simulate({ seed, faults: ALL_FAULTS, drain: false }, async (world) => {
    for (const name of NAMES) world.process(name, contender(dog));
    await dog.run(world, 40_000);
    world.heal();
    const before = { ...dog.taken };
    await dog.run(world, 70_000);
    // Alive again: every one of them gets it, so that no place in the line is taken by the dead.
    for (const name of NAMES) {
      if (dog.taken[name] === before[name])
        dog.violations.push(`${name} got nothing after healing`);
    }
  });
  return dog;
}

describe("a lock under faults", () => {
  const seeds = faultSeeds(60);
  it("has never two holders, no stale write is accepted, and all get it after healing", {
    timeout: limitOf(seeds),
  }, async () => {
    let taken = 0;
    let refused = 0;
    for (const seed of seeds) {
      const dog = await play(seed);
      expect(dog.violations, `seed ${seed}`).toEqual([]);
      taken += Object.values(dog.taken).reduce((sum, count) => sum + count, 0);
      refused += dog.refused;
    }
    console.log(`${taken} times locked, ${refused} stale writes refused`);
    expect(taken).toBeGreaterThan(seeds.length * 20);
    expect(refused).toBeGreaterThan(0);
  });
});
