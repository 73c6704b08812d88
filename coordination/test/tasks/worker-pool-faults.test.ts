import {
  ALL_FAULTS,
  type ProcessContext,
  simulate,
  standardCheckers,
  type World,
} from "@busbar/bus-memory";
import { describe, expect, it } from "vitest";
import { TaskQueue, TenantDirectory, TenantRegistry, WorkerPool } from "../../src/index.ts";
import { faultSeeds } from "../support/faults.ts";
import { insist } from "../support/insist.ts";

const TENANTS = [
  { id: "one", running: 1 },
  { id: "three", running: 3 },
  { id: "many", running: null },
];
const TASKS = 60;
const LEASE_MS = 2_000;

/** An attempt that a handler has begun. */
interface Attempt {
  readonly tenant: string;
  readonly process: string;
  readonly incarnation: number;
  readonly signal: AbortSignal;
}

/** What the world sees of all workers. */
class Books {
  readonly running = new Set<Attempt>();
  readonly done = new Map<string, number>();
  readonly violations: string[] = [];
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  begin(attempt: Attempt): void {
    this.running.add(attempt);
    const limit = TENANTS.find(({ id }) => id === attempt.tenant)?.running ?? null;
    const beside = [...this.running].filter((one) => this.#counts(one, attempt.tenant));
    if (limit === null || beside.length <= limit) return;
    const who = beside.map(({ process }) => process).join(", ");
    const atMs = this.#world.clock.monotonic().toFixed(1);
    this.violations.push(`+${atMs} ms: ${beside.length} of ${limit} ${attempt.tenant}: ${who}`);
  }

  /** Those of the dead are over; those of a paused process do nothing until it finds out. */
  #counts({ tenant, process, incarnation, signal }: Attempt, id: string): boolean {
    if (tenant !== id || signal.aborted) return false;
    const owner = [...this.#world.processes].find(({ name }) => name === process);
    return owner?.state === "running" && owner.incarnation === incarnation;
  }
}

function worker(books: Books) {
  return async (context: ProcessContext): Promise<void> => {
    const { name, incarnation, bus, clock, random, signal } = context;
    const registry = new TenantRegistry(bus, { clock, random });
    const tenants = await insist(context, () => TenantDirectory.open(registry), random);
    const pool = new WorkerPool({
      bus,
      queue: "q",
      tenants,
      clock,
      random,
      concurrency: 4,
      leaseMs: LEASE_MS,
      backoff: { firstMs: 50, maxMs: 200 },
      handlers: {
        work: async (task, attempt) => {
          const entry = { tenant: task.tenant, process: name, incarnation, signal: attempt.signal };
          books.begin(entry);
          try {
            await clock.sleep(random.next() * 300, { signal: attempt.signal });
            const text = new TextDecoder().decode(task.payload);
            books.done.set(text, (books.done.get(text) ?? 0) + 1);
            if (random.next() < 0.05) throw new Error("no luck");
          } finally {
            books.running.delete(entry);
          }
        },
      },
    });
    await insist(context, () => pool.start(), random);
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  };
}

async function play(seed: number): Promise<{ books: Books; doubled: number }> {
  let books: Books | undefined;
  await simulate({ seed, faults: ALL_FAULTS, checkers: standardCheckers }, async (world) => {
    books = new Books(world);
    const registry = new TenantRegistry(world.bus, world);
    for (const { id, running } of TENANTS) {
      await registry.register({ id, name: id, quotas: { running } });
    }
    for (const name of ["w1", "w2", "w3"]) world.process(name, worker(books));
    const tenants = await TenantDirectory.open(registry);
    const shop = world.process("shop");
    const tasks = new TaskQueue({ bus: shop.bus, queue: "q", tenants, clock: shop.clock });
    for (let index = 0; index < TASKS; index++) {
      const { id: tenant } = TENANTS[index % TENANTS.length] as { id: string };
      const task = { tenant, type: "work", payload: `${index}`, maxAttempts: 1_000 };
      await insist(shop, () => tasks.submit({ ...task, dedupKey: `${index}` }), world.random);
      await world.sleep(world.random.next() * 100);
    }
    await world.sleep(20_000);
    world.heal();
    await world.until(
      "all tasks are done",
      async () => {
        const stats = await Promise.all(TENANTS.map(({ id }) => tasks.stats(id)));
        return stats.every(({ ready, delayed, leased }) => ready + delayed + leased === 0);
      },
      { withinMs: 120_000, everyMs: 100 },
    );
    await tenants.close();
  });
  if (books === undefined) throw new Error("the scenario did not run");
  const doubled = [...books.done.values()].filter((count) => count > 1).length;
  return { books, doubled };
}

describe("worker pools under faults", () => {
  it("lose no task, and never run more of a tenant than its quota", {
    timeout: 3_600_000,
  }, async () => {
    const seeds = faultSeeds(20);
    let doubled = 0;
    for (const seed of seeds) {
      const played = await play(seed);
      expect(played.books.violations, `seed ${seed}`).toEqual([]);
      expect(played.books.done.size, `seed ${seed}`).toBe(TASKS);
      doubled += played.doubled;
    }
    // The faults do something: some tasks are done twice.
    expect(doubled).toBeGreaterThan(10);
  });
});
