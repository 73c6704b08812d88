import {
  ALL_FAULTS,
  type FaultOptions,
  type ProcessContext,
  simulate,
  type World,
} from "@busbar/bus-memory";
import { errorCode } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { Admission, type Grant, type Tenant } from "../../src/index.ts";
import { tenantWith } from "./support.ts";
import { faultSeeds, limitOf } from "../support/faults.ts";

const PROCESSES = ["a", "b", "c", "d"];
const MOST_TASKS = 3;
const QUEUED = 10;
const PER_DAY = 150;
const PER_MINUTE = 60;
const HEALED_AT_MS = 60_000;
const END_MS = 120_000;

/** What the world sees of all submissions. */
class Books {
  readonly violations: string[] = [];
  /** When how many tasks were admitted. */
  readonly admitted: { readonly atMs: number; readonly tasks: number }[] = [];
  refused = 0;

  get total(): number {
    return this.#between(0, Number.POSITIVE_INFINITY);
  }

  /** Of each stretch of time. */
  checkRate(clockErrorMs: number): void {
    for (const [index, { atMs: fromMs }] of this.admitted.entries()) {
      for (const { atMs: toMs } of this.admitted.slice(index)) {
        const tasks = this.#between(fromMs, toMs);
        const gained = (PER_MINUTE * ((toMs - fromMs) * 1.05 + clockErrorMs)) / 60_000;
        // What was admitted to a process that stood still is seen later.
        const most = PER_MINUTE + gained + PROCESSES.length * MOST_TASKS;
        if (tasks > most) this.violations.push(`${tasks} tasks from +${fromMs} to +${toMs}`);
      }
    }
  }

  #between(fromMs: number, toMs: number): number {
    return this.admitted
      .filter(({ atMs }) => atMs >= fromMs && atMs <= toMs)
      .reduce((sum, { tasks }) => sum + tasks, 0);
  }
}

/** Submits at random, for ever, in bursts and alone. */
function submitter(world: World, books: Books, tenant: Tenant) {
  return async ({ bus, clock, random, signal }: ProcessContext): Promise<void> => {
    const stats = () => bus.jobs.stats("jobs");
    const admission = new Admission({
      bus,
      queue: "q",
      clock,
      random,
      stats,
      storedBytes: async () => 0,
    });
    const submit = async (): Promise<void> => {
      const tasks = 1 + Math.floor(random.next() * MOST_TASKS);
      let grant: Grant | undefined;
      try {
        grant = await admission.admit(tenant, { tasks, scheduled: 0, bytes: 0 });
        books.admitted.push({ atMs: world.clock.monotonic(), tasks });
        if (random.next() < 0.1) {
          grant.done({ tasks: 0 });
          books.admitted.push({ atMs: world.clock.monotonic(), tasks: -tasks });
          return;
        }
        await bus.jobs.enqueueMany(
          "jobs",
          Array.from({ length: tasks }, () => ({ payload: "" })),
        );
        grant.done();
      } catch (error) {
        if (errorCode(error) === undefined) throw error;
        if (errorCode(error) === "LIMIT_EXCEEDED") books.refused += 1;
        grant?.unsure();
      }
    };
    while (!signal.aborted) {
      const burst = Array.from({ length: Math.floor(random.next() * 10) });
      // What is admitted together may be seen late together, which the bound of the rate cannot tell.
      const isTogether = tenant.quotas.perMinute === null && random.next() < 0.5;
      if (isTogether) await Promise.all(burst.map(submit));
      else for (const _ of burst) await submit();
      await clock.sleep(random.next() * 600);
    }
  };
}

/** What waits is never more than the quota, at any moment; takes jobs at random. */
async function watch(
  world: World,
  books: Books,
  { quotas }: Tenant,
  untilMs: number,
): Promise<void> {
  const queued = quotas.queued ?? Number.POSITIVE_INFINITY;
  while (world.clock.monotonic() < untilMs) {
    const { ready } = await world.bus.jobs.stats("jobs");
    if (ready > queued) books.violations.push(`+${world.clock.monotonic()}: ${ready} wait`);
    if (world.random.next() < 0.05) {
      const max = 1 + Math.floor(world.random.next() * 4);
      const jobs = await world.bus.jobs.claim("jobs", { workerId: "w", max, waitMs: 0 });
      await Promise.all(jobs.map((job) => job.ack({ confirm: true })));
    }
    await world.sleep(10);
  }
}

async function play(seed: number, tenant: Tenant, faults: FaultOptions): Promise<Books> {
  const books = new Books();
  await simulate({ seed, faults, drain: false }, async (world) => {
    for (const name of PROCESSES) world.process(name, submitter(world, books, tenant));
    await watch(world, books, tenant, HEALED_AT_MS);
    world.heal();
    const before = books.admitted.length;
    await watch(world, books, tenant, END_MS);
    if (tenant.quotas.perDay === null && books.admitted.length === before) {
      books.violations.push("nothing was admitted after healing");
    }
  });
  return books;
}

const { skewMs: _, clockDrift: __, ...RIGHT_CLOCKS } = ALL_FAULTS;

describe("admission under faults", () => {
  const seeds = faultSeeds(6);

  it("never lets more wait than the quota, and goes on after healing", {
    timeout: limitOf(seeds, 6_000),
  }, async () => {
    for (const seed of seeds) {
      const books = await play(seed, tenantWith({ queued: QUEUED }), ALL_FAULTS);
      expect(books.violations, `seed ${seed}`).toEqual([]);
      expect([books.total > 300, books.refused > 10], `seed ${seed}`).toEqual([true, true]);
    }
  });

  it("never admits more in a day than the quota, and loses little of it", {
    timeout: limitOf(seeds, 6_000),
  }, async () => {
    for (const seed of seeds) {
      const books = await play(seed, tenantWith({ perDay: PER_DAY }), ALL_FAULTS);
      expect(books.violations, `seed ${seed}`).toEqual([]);
      expect(books.total, `seed ${seed}`).toBeLessThanOrEqual(PER_DAY);
      expect(books.total, `seed ${seed}`).toBeGreaterThan(PER_DAY * 0.7);
    }
  });

  it("never admits more in any stretch of time than the bucket gives", {
    timeout: limitOf(seeds, 6_000),
  }, async () => {
    for (const seed of seeds) {
      for (const [faults, clockErrorMs] of [
        [ALL_FAULTS, 20_000],
        [RIGHT_CLOCKS, 0],
      ] as const) {
        const books = await play(seed, tenantWith({ perMinute: PER_MINUTE }), faults);
        books.checkRate(clockErrorMs);
        expect(books.violations, `seed ${seed}`).toEqual([]);
        expect(books.total, `seed ${seed}`).toBeGreaterThan(PER_MINUTE * 2);
      }
    }
  });
});
