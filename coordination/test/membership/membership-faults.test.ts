import { ALL_FAULTS, type ProcessContext, simulate } from "@busbar/bus-memory";
import { errorCode } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { LeaderElection, Membership } from "../../src/index.ts";
import { faultSeeds, limitOf } from "../support/faults.ts";

const NAMES = ["a", "b", "c", "d"];

/** A node that looks, and sweeps while it leads. Begins anew when its watch or its election fails. */
function node(views: Map<string, Membership>) {
  return async ({ bus, clock, name, random, signal }: ProcessContext): Promise<void> => {
    const parts = { bus, clock, random };
    while (!signal.aborted) {
      const election = new LeaderElection({ ...parts, name: "e", candidateId: name, ttlMs: 3_000 });
      try {
        const members = await Membership.open(bus, {
          ...parts,
          election,
          heartbeatMs: 500,
          removeAfterMs: 8_000,
        });
        await members.join({ id: name, address: name });
        views.set(name, members);
        await election.whileLeader((leadership) => members.sweep(leadership), { signal });
      } catch (error) {
        if (errorCode(error) === undefined) throw error;
        await clock.sleep(random.next() * 500);
      }
    }
  };
}

async function play(seed: number): Promise<string[]> {
  const violations: string[] = [];
  await simulate({ seed, faults: ALL_FAULTS, drain: false }, async (world) => {
    const views = new Map<string, Membership>();
    for (const name of NAMES) world.process(name, node(views));
    // One that is never heard of again.
    const gone = world.process("gone", node(views));
    await world.sleep(5_000);
    gone.kill();
    await world.sleep(35_000);
    world.heal();
    await world.sleep(25_000);
    for (const name of NAMES) {
      const seen = views
        .get(name)
        ?.nodes()
        .map(({ id, status }) => `${id} ${status}`);
      if (seen?.join() !== NAMES.map((id) => `${id} healthy`).join()) {
        violations.push(`${name} sees ${seen?.join() ?? "nothing"}`);
      }
    }
    const { bus, clock } = world;
    const election = new LeaderElection({ bus, clock, name: "e", candidateId: "observer" });
    const leader = (await election.leader())?.leader ?? "nobody";
    if (!NAMES.includes(leader)) violations.push(`${leader} leads`);
  });
  return violations;
}

describe("members under faults", () => {
  const seeds = faultSeeds(30);
  it("all see each other after healing, one of them leads, and the dead are gone", {
    timeout: limitOf(seeds),
  }, async () => {
    for (const seed of seeds) expect(await play(seed), `seed ${seed}`).toEqual([]);
  });
});
