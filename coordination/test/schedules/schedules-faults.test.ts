import { ALL_FAULTS, type ProcessContext, simulate, standardCheckers } from "@busbar/bus-memory";
import { describe, expect, it } from "vitest";
import {
  LeaderElection,
  Schedules,
  TaskQueue,
  TenantDirectory,
  TenantRegistry,
} from "../../src/index.ts";
import { laneQueue } from "../../src/tasks/lanes.ts";
import { faultSeeds, limitOf } from "../support/faults.ts";
import { insist } from "../support/insist.ts";

const IDS = ["one", "two", "three"];
const TICKS = 25;
const EVERY_MS = 2_000;
/** Within it all schedules are put, whatever fails. */
const LEAD_MS = 60_000;

/** A process that ticks, elected or not, and begins again when the server was away. */
function ticker(isElected: boolean, onTick: () => void) {
  return async (context: ProcessContext): Promise<void> => {
    const { name, incarnation, bus, clock, random, signal } = context;
    const tenants = await insist(
      context,
      () => TenantDirectory.open(new TenantRegistry(bus, context)),
      random,
    );
    const queue = new TaskQueue({ bus, queue: "q", tenants, clock });
    const schedules = new Schedules({ bus, queue, tenants, clock, random, onTick });
    const candidateId = `${name}-${incarnation}`;
    const leader = isElected
      ? new LeaderElection({ bus, name: "ticker", candidateId, clock, random })
      : undefined;
    await insist(context, () => schedules.run({ signal, leader }), random);
  };
}

interface Played {
  /** How many tasks each tick made. */
  readonly counts: ReadonlyMap<string, number>;
  /** How often somebody submitted one, or tried. */
  readonly attempts: number;
}

async function play(seed: number): Promise<Played> {
  const counts = new Map<string, number>();
  let attempts = 0;
  const onTick = (): void => {
    attempts += 1;
  };
  await simulate({ seed, faults: ALL_FAULTS, checkers: standardCheckers }, async (world) => {
    const { random } = world;
    const shop = world.process("shop");
    const { bus, clock } = shop;
    const registry = new TenantRegistry(world.bus, world);
    const tenant = await registry.register({ id: "a", name: "a" });
    const tenants = await TenantDirectory.open(registry);
    const queue = new TaskQueue({ bus, queue: "q", tenants, clock });
    const schedules = new Schedules({ bus, queue, tenants, clock, random });
    const startAtMs = clock.now() + LEAD_MS;
    for (const id of IDS) {
      const schedule = {
        tenant: "a",
        id,
        task: { type: "work" },
        times: { everyMs: EVERY_MS, startAtMs },
        catchUp: "all" as const,
        maxTicks: TICKS,
      };
      await insist(shop, () => schedules.put(schedule), random);
    }
    for (const name of ["t1", "t2", "t3"]) world.process(name, ticker(seed % 2 === 0, onTick));
    await world.sleep(LEAD_MS + TICKS * EVERY_MS);
    world.heal();
    const all = IDS.map((id) => ({ tenant: "a", id }));
    await world.until(
      "all ticks are submitted",
      async () => {
        const found = await Promise.all(all.map((name) => schedules.get(name)));
        return found.every((schedule) => schedule?.ticks === TICKS);
      },
      { withinMs: 120_000, everyMs: 100 },
    );
    // What is late has come by then.
    await world.sleep(10_000);
    const lane = laneQueue("q", tenant.storageId);
    const jobs = await bus.jobs.claim(lane, { workerId: "w", max: 1_000 });
    for (const job of jobs) {
      const { headers } = job;
      await job.ack({ confirm: true });
      const tick = (Number(headers["schedule-tick"]) - startAtMs) / EVERY_MS;
      const name = `${String(headers["schedule"])} ${tick}`;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    await tenants.close();
  });
  return { counts, attempts };
}

describe("schedules under faults", () => {
  const seeds = faultSeeds(20);
  it("submit every tick, and none twice", {
    timeout: limitOf(seeds),
  }, async () => {
    const expected = IDS.flatMap((id) => Array.from({ length: TICKS }, (_none, n) => `${id} ${n}`));
    let repeated = 0;
    for (const seed of seeds) {
      const { counts, attempts } = await play(seed);
      repeated += attempts - counts.size;
      const doubled = [...counts].filter(([, count]) => count > 1);
      expect(doubled, `seed ${seed}`).toEqual([]);
      expect([...counts.keys()].toSorted(), `seed ${seed}`).toEqual(expected.toSorted());
    }
    // The faults do something: ticks are submitted again, and make no second task.
    expect(repeated).toBeGreaterThan(5 * seeds.length);
  });
});
