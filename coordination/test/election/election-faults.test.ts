import { ALL_FAULTS, type ProcessContext, simulate } from "@busbar/bus-memory";
import { errorCode, toText } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { FencedBucket, LeaderElection, type Leadership } from "../../src/index.ts";
import { faultSeeds, limitOf } from "../support/faults.ts";

const TTL_MS = 3_000;

/** What all processes think, judged by the clock of each of them, also of those that were killed. */
class Watchdog {
  readonly violations: string[] = [];
  /** Terms that began, in the order in which they did. */
  readonly terms: number[] = [];
  readonly #leaders = new Set<Leadership>();
  /** Writes that were refused because the leader is none any more. */
  refused = 0;
  written = 0;

  /** Two of them overlap from when the second one begins. */
  began(leadership: Leadership, atMs: number): void {
    const { term, leader, lost } = leadership;
    // It stood still since it was elected.
    if (lost.aborted) return;
    const last = this.terms.at(-1) ?? 0;
    if (term <= last) this.violations.push(`+${atMs}: term ${term} after ${last}`);
    for (const other of this.#leaders) {
      if (other.lost.aborted) this.#leaders.delete(other);
      else this.violations.push(`+${atMs}: ${leader} in ${term}, ${other.leader} in ${other.term}`);
    }
    this.terms.push(term);
    this.#leaders.add(leadership);
  }
}

/** Adds a line to a guarded value as long as it leads. */
async function write(
  { bus, clock, random }: ProcessContext,
  leadership: Leadership,
  dog: Watchdog,
): Promise<void> {
  const ledger = new FencedBucket({ bus, clock, random, bucket: "ledger" });
  const mine = ledger.guard(leadership.term);
  while (!leadership.lost.aborted) {
    const before = await mine.get("terms");
    const terms = before === undefined ? [] : toText(before.value).split(",").slice(-50);
    // It does not look again before it writes: the guard has to hold alone.
    await clock.sleep(random.next() * (random.next() < 0.1 ? 6_000 : 300));
    await mine.put("terms", [...terms, leadership.term].join(","));
    dog.written += 1;
    if (random.next() < 0.05) return leadership.resign();
    if (random.next() < 0.05) return leadership.transfer(random.next() < 0.5 ? "a" : "nobody");
  }
}

function candidate(dog: Watchdog) {
  return async (context: ProcessContext): Promise<void> => {
    const { bus, name, clock, random, signal } = context;
    const election = new LeaderElection({
      bus,
      clock,
      random,
      name: "e",
      candidateId: name,
      ttlMs: TTL_MS,
      handOverMs: 200,
    });
    while (!signal.aborted) {
      try {
        await election.whileLeader(
          (leadership) => {
            dog.began(leadership, clock.monotonic());
            return write(context, leadership, dog).catch((error: unknown) => {
              if (errorCode(error) === "CONFLICT") dog.refused += 1;
              throw error;
            });
          },
          { signal },
        );
      } catch (error) {
        // A stale write was refused while the leader did not know yet that it is none.
        if (errorCode(error) === undefined) throw error;
        await clock.sleep(random.next() * 500);
      }
    }
  };
}

async function play(seed: number): Promise<Watchdog> {
  const dog = new Watchdog();
  const { violations } = dog;
  await simulate({ seed, faults: ALL_FAULTS, drain: false }, async (world) => {
    for (const name of ["a", "b", "c"]) world.process(name, candidate(dog));
    // Whatever was written was written in the order of terms.
    const history = (async () => {
      const observer = new FencedBucket({ bus: world.bus, bucket: "ledger", clock: world.clock });
      for (;;) {
        const entry = await observer.get("terms");
        const written = entry === undefined ? [] : toText(entry.value).split(",").map(Number);
        if (written.some((term, index) => term < (written[index - 1] ?? 0))) {
          violations.push(`written out of order: ${written.join(",")}`);
          return;
        }
        if (world.clock.monotonic() >= 60_000) return;
        await world.sleep(100);
      }
    })();
    await world.sleep(40_000);
    world.heal();
    const before = dog.written;
    await world.sleep(20_000);
    if (dog.written === before) violations.push("nobody led after healing");
    await history;
  });
  return dog;
}

describe("an election under faults", () => {
  const seeds = faultSeeds(100);
  it("S30: has never two leaders, no stale write is accepted, and it goes on after healing", {
    timeout: limitOf(seeds),
  }, async () => {
    let terms = 0;
    let refused = 0;
    for (const seed of seeds) {
      const dog = await play(seed);
      expect(dog.violations, `seed ${seed}`).toEqual([]);
      terms += dog.terms.length;
      refused += dog.refused;
    }
    console.log(`${terms} terms, ${refused} stale writes refused`);
    expect(terms).toBeGreaterThan(seeds.length * 5);
    expect(refused).toBeGreaterThan(0);
  });
});
