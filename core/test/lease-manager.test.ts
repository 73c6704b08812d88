import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import {
  LeaseManager,
  leaseMarginMs,
  type LeaseRecord,
  type LeaseStore,
  Lifecycle,
  resolveLeaseOptions,
  revisionConflict,
  settle,
} from "../src/adapter.ts";
import {
  BusError,
  type Clock,
  type Lease,
  type LeaseOptions,
  seededRandom,
  toBytes,
  VirtualClock,
} from "../src/index.ts";

type Fault = "refuse" | "lose answer" | "apply twice";

/** What several processes share: records with revisions, and faults to order. */
class SharedRecords {
  readonly clock: VirtualClock;
  readonly records = new Map<
    string,
    { value: Uint8Array; revision: number; writtenAtMs: number }
  >();
  readonly #listeners = new Map<string, Set<() => void>>();
  revision = 0;
  writes = 0;
  /** What happens to the writes to come, one each. */
  readonly faults: Fault[] = [];
  /** How long a request and an answer are on the way. */
  delayMs = 0;
  /** What each write was limited to. */
  readonly limits: (number | undefined)[] = [];

  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  get listeners(): number {
    return [...this.#listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }

  set(key: string, value: Uint8Array): void {
    this.revision += 3;
    const writtenAtMs = this.clock.monotonic();
    this.records.set(key, { value, revision: this.revision, writtenAtMs });
    this.#tell(key);
  }

  store(): LeaseStore {
    return {
      read: async (key): Promise<LeaseRecord | undefined> => {
        await this.#travel();
        const record = this.records.get(key);
        await this.#travel();
        if (!record) return undefined;
        const { value, revision, writtenAtMs } = record;
        return { value, revision, ageMs: async () => this.clock.monotonic() - writtenAtMs };
      },
      write: async (key, value, expected, limitMs) => {
        this.limits.push(limitMs);
        await this.#travel();
        const fault = this.faults.shift();
        this.writes += 1;
        if (fault === "refuse") throw new BusError("DISCONNECTED", "not sent");
        this.#compareAndSet(key, value, expected);
        // A second copy of the request meets the first one.
        if (fault === "apply twice") this.#compareAndSet(key, value, expected);
        const { revision } = this;
        await this.#travel();
        if (fault === "lose answer") throw new BusError("TIMEOUT", "no answer");
        return revision;
      },
      remove: async (key, revision) => {
        await this.#travel();
        if (this.records.get(key)?.revision !== revision) return;
        this.records.delete(key);
        this.#tell(key);
      },
      subscribe: async (key, onChange) => {
        await this.#travel();
        const set = this.#listeners.get(key) ?? new Set();
        this.#listeners.set(key, set.add(onChange));
        return { close: () => set.delete(onChange) };
      },
    };
  }

  #compareAndSet(key: string, value: Uint8Array, expected: number): void {
    const current = this.records.get(key)?.revision ?? 0;
    if (current !== expected) throw revisionConflict("leases", key, expected, current);
    this.set(key, value);
  }

  #tell(key: string): void {
    for (const listener of this.#listeners.get(key) ?? []) listener();
  }

  async #travel(): Promise<void> {
    if (this.delayMs > 0) await this.clock.sleep(this.delayMs);
  }
}

function world() {
  const clock = new VirtualClock();
  const shared = new SharedRecords(clock);
  let seed = 1;
  const process = (own: Clock = clock) => {
    const lifecycle = new Lifecycle("the bus", own);
    const manager = new LeaseManager({
      store: shared.store(),
      clock: own,
      lifecycle,
      random: seededRandom(seed++),
    });
    const acquire = (options: LeaseOptions, key = "k"): Promise<Lease> =>
      manager.acquire(`stored.${key}`, key, resolveLeaseOptions(options));
    return { acquire, lifecycle };
  };
  return { clock, shared, process };
}

const code = (expected: string) => expect.objectContaining({ code: expected });

describe("LeaseManager.acquire", () => {
  it("grants a free key to one of many", async () => {
    const { clock, process } = world();
    const tries = Array.from({ length: 20 }, () => process().acquire({ ttlMs: 1_000 }));
    const results = await clock.autoAdvance(Promise.allSettled(tries));
    const granted = results.filter(({ status }) => status === "fulfilled");
    expect(granted).toHaveLength(1);
    for (const result of results) {
      if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "LEASE_HELD" });
    }
  });

  it("says who holds it and for how long", async () => {
    const { clock, process } = world();
    await process().acquire({ ttlMs: 1_000, owner: "first" });
    await clock.advance(300);
    await expect(process().acquire({ ttlMs: 50 })).rejects.toMatchObject({
      code: "LEASE_HELD",
      retryable: true,
      message: "the lease on k is held by first",
      details: { key: "k", owner: "first", leftMs: 700 },
    });
  });

  it("gives a waiting contender nothing while the lease stands", async () => {
    const { clock, shared, process } = world();
    const first = await process().acquire({ ttlMs: 1_000 });
    const waiting = process().acquire({ ttlMs: 1_000, waitMs: 800 });
    const outcome = expect(waiting).rejects.toMatchObject({ code: "LEASE_HELD" });
    await clock.advance(800);
    await outcome;
    expect(first.lost.aborted).toBe(false);
    expect(shared.records.get("stored.k")?.revision).toBe(first.fence);
    expect(shared.listeners).toBe(0);
  });

  it("wakes one that waits when it is released", async () => {
    const { clock, shared, process } = world();
    const first = await process().acquire({ ttlMs: 60_000 });
    const waiting = process().acquire({ ttlMs: 1_000, waitMs: 50_000 });
    await clock.advance(10);
    await first.release();
    const second = await waiting;
    expect(clock.monotonic()).toBe(10);
    expect(second.fence).toBeGreaterThan(first.fence);
    expect(shared.listeners).toBe(0);
    await second.release();
    expect(clock.pendingTimers).toBe(0);
  });

  it("misses no release between its look and its subscription", async () => {
    const { clock, shared, process } = world();
    for (let afterMs = 0; afterMs < 40; afterMs += 1) {
      shared.delayMs = 0;
      const first = await process().acquire({ ttlMs: 60_000 });
      shared.delayMs = 5;
      const waiting = process().acquire({ ttlMs: 1_000, waitMs: 50_000 });
      const started = clock.monotonic();
      await clock.advance(afterMs);
      void first.release();
      const second = await clock.autoAdvance(waiting);
      expect(clock.monotonic() - started).toBeLessThan(afterMs + 60);
      await clock.autoAdvance(second.release());
    }
  });

  it("hands an expired lease over, not before its time and soon after", async () => {
    const { clock, process } = world();
    const first = await process().acquire({ ttlMs: 1_000 });
    const second = await clock.autoAdvance(process().acquire({ ttlMs: 1_000, waitMs: 5_000 }));
    expect(clock.monotonic()).toBeGreaterThanOrEqual(1_000);
    expect(clock.monotonic()).toBeLessThanOrEqual(1_002);
    expect(first.lost.aborted).toBe(true);
    expect(second.fence).toBeGreaterThan(first.fence);
    await expect(first.heartbeat()).rejects.toMatchObject({
      code: "LEASE_LOST",
      details: { key: "k", fence: first.fence },
    });
    expect(second.lost.aborted).toBe(false);
  });

  it("takes over at once where the holder is long gone", async () => {
    const { clock, process } = world();
    const first = await process().acquire({ ttlMs: 100 });
    await clock.advance(5_000);
    const second = await process().acquire({ ttlMs: 100 });
    expect(second.fence).toBeGreaterThan(first.fence);
  });

  it("takes a record that nobody can read for one that is over", async () => {
    const { shared, process } = world();
    for (const text of ["", "{", "null", "5", "{}", '{"owner":"x","ttlMs":"1","token":"y"}']) {
      shared.set("stored.k", toBytes(text));
      const lease = await process().acquire({ ttlMs: 100 });
      expect(lease.fence).toBe(shared.revision);
      await lease.release();
    }
  });

  it("gives fences that only grow, and keys that do not touch each other", async () => {
    const { process } = world();
    const { acquire } = process();
    let last = 0;
    for (let round = 0; round < 10; round++) {
      await using lease = await acquire({ ttlMs: 100 });
      await using other = await acquire({ ttlMs: 100 }, "other");
      expect(lease.fence).toBeGreaterThan(last);
      last = other.fence;
    }
  });

  it("knows its own write when the answer to it was lost and it was sent twice", async () => {
    const { shared, process } = world();
    shared.faults.push("apply twice");
    const lease = await process().acquire({ ttlMs: 1_000 });
    expect(lease.fence).toBe(shared.revision);
    await lease.heartbeat();
    await lease.release();
    expect(shared.records.size).toBe(0);
  });

  it("passes on a failed write", async () => {
    const { shared, process } = world();
    shared.faults.push("refuse");
    await expect(process().acquire({ ttlMs: 1_000, waitMs: 5_000 })).rejects.toEqual(
      code("DISCONNECTED"),
    );
  });
});

describe("LeaseManager.acquire when it is aborted", () => {
  it("leaves nothing, at whatever moment it comes", async () => {
    for (let afterMs = 0; afterMs < 60; afterMs += 1) {
      const { clock, shared, process } = world();
      const first = await process().acquire({ ttlMs: 100_000 });
      shared.delayMs = 3;
      const controller = new AbortController();
      const { acquire, lifecycle } = process();
      const waiting = acquire({ ttlMs: 1_000, waitMs: 50_000, signal: controller.signal });
      const outcome = expect(waiting).rejects.toThrow("enough");
      await clock.advance(afterMs);
      controller.abort(new Error("enough"));
      await clock.advance(100);
      await outcome;
      expect([shared.listeners, lifecycle.size]).toEqual([0, 0]);
      expect(shared.records.get("stored.k")?.revision).toBe(first.fence);
      await clock.autoAdvance(first.release());
      expect(clock.pendingTimers).toBe(0);
    }
  });

  it("gives back what was granted while nobody waited any more", async () => {
    const { clock, shared, process } = world();
    shared.delayMs = 10;
    const controller = new AbortController();
    const waiting = process().acquire({ ttlMs: 1_000, signal: controller.signal });
    const outcome = expect(waiting).rejects.toThrow("enough");
    await clock.advance(15);
    expect(shared.records.size).toBe(1);
    controller.abort(new Error("enough"));
    await clock.advance(100);
    await outcome;
    expect([shared.records.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  it("does not begin with a signal that is aborted", async () => {
    const { shared, process } = world();
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(process().acquire({ ttlMs: 1_000, signal })).rejects.toThrow("enough");
    expect(shared.writes).toBe(0);
  });

  it("leaves a lease alone that was granted before", async () => {
    const { process } = world();
    const controller = new AbortController();
    const lease = await process().acquire({ ttlMs: 1_000, signal: controller.signal });
    controller.abort();
    await lease.heartbeat();
    expect(lease.lost.aborted).toBe(false);
  });

  it("ends with the bus, and gives up what the bus holds", async () => {
    const { clock, shared, process } = world();
    const { acquire, lifecycle } = process();
    await acquire({ ttlMs: 100_000 });
    const waiting = acquire({ ttlMs: 1_000, waitMs: 50_000 });
    const outcome = expect(waiting).rejects.toEqual(code("CLOSED"));
    await clock.advance(5);
    expect(await lifecycle.close(0, async () => undefined)).toEqual({ abandoned: 0 });
    await outcome;
    expect([shared.records.size, shared.listeners, clock.pendingTimers]).toEqual([0, 0, 0]);
  });
});

describe("Lease", () => {
  it("has a margin of a tenth, at least 5 ms and at most 2 s", () => {
    expect([50, 100, 1_000, 20_000, 60_000].map(leaseMarginMs)).toEqual([5, 10, 100, 2_000, 2_000]);
  });

  it("is lost by its own clock before anybody else can have it", async () => {
    const { clock, process } = world();
    const lease = await process().acquire({ ttlMs: 1_000 });
    const lostAt = vi.fn(() => clock.monotonic());
    lease.lost.addEventListener("abort", lostAt);
    expect(lease.expiresAtMs).toBe(clock.now() + 900);
    await clock.advance(899);
    expect(lease.lost.aborted).toBe(false);
    await clock.advance(1);
    expect(lostAt).toHaveReturnedWith(900);
    expect(lease.lost.reason).toEqual(code("LEASE_LOST"));
    expect(clock.pendingTimers).toBe(0);
    await expect(process().acquire({ ttlMs: 50 })).rejects.toEqual(code("LEASE_HELD"));
  });

  it("counts from before its write was sent, however long the answer took", async () => {
    const { clock, shared, process } = world();
    shared.delayMs = 300;
    const lease = await clock.autoAdvance(process().acquire({ ttlMs: 1_000 }));
    expect(clock.monotonic()).toBe(600);
    await clock.advance(300);
    expect(lease.lost.aborted).toBe(true);
  });

  it("lives as long as it is renewed", async () => {
    const { clock, process } = world();
    const lease = await process().acquire({ ttlMs: 1_000 });
    for (let round = 0; round < 20; round++) {
      await clock.advance(800);
      await lease.heartbeat();
    }
    expect(lease.lost.aborted).toBe(false);
    expect(lease.expiresAtMs).toBe(clock.now() + 900);
    await expect(process().acquire({ ttlMs: 50 })).rejects.toEqual(code("LEASE_HELD"));
  });

  it("notices at its next use that the process was paused, before any timer", async () => {
    const { clock, process } = world();
    let behindMs = 0;
    // Time goes on; the timers of this process do not run.
    const paused: Clock = {
      now: () => clock.now() + behindMs,
      monotonic: () => clock.monotonic() + behindMs,
      setTimer: (callback, delayMs) => clock.setTimer(callback, delayMs),
      sleep: (delayMs, options) => clock.sleep(delayMs, options),
    };
    const lease = await process(paused).acquire({ ttlMs: 1_000 });
    behindMs = 950;
    expect(lease.lost.aborted).toBe(true);
    await expect(lease.heartbeat()).rejects.toEqual(code("LEASE_LOST"));
  });

  it("survives a heartbeat that was taken in but not answered", async () => {
    const { clock, shared, process } = world();
    const lease = await process().acquire({ ttlMs: 1_000 });
    for (let round = 0; round < 3; round++) {
      await clock.advance(500);
      shared.faults.push("lose answer");
      await expect(lease.heartbeat()).rejects.toEqual(code("TIMEOUT"));
      await lease.heartbeat();
    }
    expect(lease.lost.aborted).toBe(false);
    await lease.release();
    expect(shared.records.size).toBe(0);
  });

  it("survives a heartbeat that was sent twice", async () => {
    const { shared, process } = world();
    const lease = await process().acquire({ ttlMs: 1_000 });
    shared.faults.push("apply twice");
    await lease.heartbeat();
    expect(lease.lost.aborted).toBe(false);
  });

  it("is not prolonged by a heartbeat that nobody confirmed", async () => {
    const { clock, shared, process } = world();
    const lease = await process().acquire({ ttlMs: 1_000 });
    await clock.advance(500);
    shared.faults.push("lose answer", "refuse");
    await expect(lease.heartbeat()).rejects.toEqual(code("TIMEOUT"));
    await expect(lease.heartbeat()).rejects.toEqual(code("DISCONNECTED"));
    await clock.advance(400);
    expect(lease.lost.aborted).toBe(true);
  });

  it("says LEASE_LOST where a heartbeat failed because its time was over", async () => {
    const { clock, shared, process } = world();
    const lease = await process().acquire({ ttlMs: 1_000 });
    await clock.advance(500);
    shared.faults.push("refuse");
    shared.delayMs = 400;
    const beating = lease.heartbeat();
    beating.catch(() => undefined);
    await clock.advance(400);
    await expect(beating).rejects.toEqual(code("LEASE_LOST"));
    // A grant may take as long as it likes, a renewal only until the lease is lost.
    expect(shared.limits).toEqual([undefined, 400]);
  });

  it("frees the key also after a heartbeat whose outcome is unknown", async () => {
    const { shared, process } = world();
    const lease = await process().acquire({ ttlMs: 60_000 });
    shared.faults.push("lose answer");
    await expect(lease.heartbeat()).rejects.toEqual(code("TIMEOUT"));
    await lease.release();
    expect(shared.records.size).toBe(0);
    await process().acquire({ ttlMs: 100 });
  });

  it("does not free what somebody else got meanwhile", async () => {
    const { clock, shared, process } = world();
    const lease = await process().acquire({ ttlMs: 1_000 });
    shared.faults.push("refuse");
    await expect(lease.heartbeat()).rejects.toEqual(code("DISCONNECTED"));
    shared.set("stored.k", toBytes('{"owner":"x","ttlMs":1000,"token":"other"}'));
    await lease.release();
    expect(shared.records.size).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it("is lost at once when a heartbeat finds somebody else's record, or none", async () => {
    const { shared, process } = world();
    const lease = await process().acquire({ ttlMs: 1_000 });
    shared.set("stored.k", toBytes('{"owner":"x","ttlMs":1000,"token":"other"}'));
    await expect(lease.heartbeat()).rejects.toEqual(code("LEASE_LOST"));
    expect(lease.lost.aborted).toBe(true);
    const second = await process().acquire({ ttlMs: 1_000 }, "second");
    shared.records.clear();
    await expect(second.heartbeat()).rejects.toEqual(code("LEASE_LOST"));
  });

  it("stays lost when the answer to a heartbeat comes after its time", async () => {
    const { clock, shared, process } = world();
    const lease = await process().acquire({ ttlMs: 1_000 });
    await clock.advance(500);
    shared.delayMs = 300;
    const beating = expect(lease.heartbeat()).rejects.toEqual(code("LEASE_LOST"));
    await clock.advance(600);
    await beating;
    expect(lease.lost.aborted).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it("beats once where several ask at a time", async () => {
    const { shared, process } = world();
    const lease = await process().acquire({ ttlMs: 1_000 });
    await Promise.all([lease.heartbeat(), lease.heartbeat(), lease.heartbeat()]);
    expect(shared.writes).toBe(2);
  });

  it("can be released twice, during a heartbeat, and not be beaten after", async () => {
    const { clock, shared, process } = world();
    const { acquire, lifecycle } = process();
    const lease = await acquire({ ttlMs: 1_000 });
    shared.delayMs = 10;
    const beating = lease.heartbeat();
    const releasing = [lease.release(), lease.release()];
    await clock.autoAdvance(Promise.all([beating, ...releasing]));
    expect([shared.records.size, lifecycle.size, clock.pendingTimers]).toEqual([0, 0, 0]);
    await expect(lease.heartbeat()).rejects.toEqual(code("CLOSED"));
    expect(lease.lost.aborted).toBe(false);
    await lease.release();
  });

  it("can be released again where the first try failed", async () => {
    const clock = new VirtualClock();
    const shared = new SharedRecords(clock);
    const store = shared.store();
    let failures = 1;
    const manager = new LeaseManager({
      store: {
        ...store,
        remove: (key, revision) =>
          failures-- > 0
            ? Promise.reject(new BusError("DISCONNECTED", "away"))
            : store.remove(key, revision),
      },
      clock,
      lifecycle: new Lifecycle("the bus", clock),
    });
    const lease = await manager.acquire("k", "k", resolveLeaseOptions({ ttlMs: 1_000 }));
    await expect(lease.release()).rejects.toEqual(code("DISCONNECTED"));
    await lease.release();
    expect(shared.records.size).toBe(0);
  });

  it("does nothing when a lost one is released", async () => {
    const { clock, shared, process } = world();
    const lease = await process().acquire({ ttlMs: 1_000 });
    await clock.advance(2_000);
    const next = await process().acquire({ ttlMs: 1_000 });
    await lease.release();
    expect(shared.records.get("stored.k")?.revision).toBe(next.fence);
  });
});

describe("leases in a storm", () => {
  it("never has two holders, whatever happens to writes and delays", async () => {
    const step = fc.record({
      worker: fc.nat(3),
      what: fc.constantFrom("acquire", "acquire", "heartbeat", "release", "pass", "pass"),
      fault: fc.constantFrom(undefined, undefined, "lose answer" as const, "refuse" as const),
      passMs: fc.nat(120),
      delayMs: fc.nat(20),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const { clock, shared, process } = world();
        const processes = Array.from({ length: 4 }, () => process());
        const leases: (Lease | undefined)[] = [];
        const released = new Set<Lease>();
        let lastFence = 0;
        const check = (): void => {
          const holders = leases.filter(
            (lease) => lease && !released.has(lease) && !lease.lost.aborted,
          );
          if (holders.length > 1) throw new Error("two holders");
        };
        for (const { worker, what, fault, passMs, delayMs } of steps) {
          shared.delayMs = delayMs;
          if (fault) shared.faults.push(fault);
          const lease = leases[worker];
          if (what === "acquire") {
            void processes[worker]!.acquire({ ttlMs: 100, waitMs: passMs })
              .then((granted) => {
                const before = leases[worker];
                if (before) released.add(before);
                if (granted.fence <= lastFence) throw new Error("a fence that does not grow");
                lastFence = granted.fence;
                leases[worker] = granted;
                check();
              })
              .catch((error: unknown) => {
                if (!(error instanceof BusError)) throw error;
              });
          } else if (what === "heartbeat") {
            void lease?.heartbeat().catch(() => undefined);
          } else if (what === "release" && lease) {
            released.add(lease);
            void lease.release();
          }
          for (let passed = 0; passed < passMs; passed += 10) {
            await clock.advance(10);
            check();
          }
        }
        await clock.runUntilIdle();
        await settle();
        check();
        expect([shared.listeners, clock.pendingTimers]).toEqual([0, 0]);
      }),
      { numRuns: 60 },
    );
  });
});
