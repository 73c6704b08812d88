import {
  type Bus,
  BusError,
  type BusErrorCode,
  type KvEntry,
  type Lease,
  openBus,
  VirtualClock,
} from "@busbar/core";
import { describe, expect, it } from "vitest";
import { LeaderElection, type LeaderElectionOptions, type Leadership } from "../../src/index.ts";
import { errorOf, newNamespace, onEachBackend } from "../support/backends.ts";
import { overriding } from "../support/overriding.ts";

type Options = Partial<LeaderElectionOptions>;

function candidate(bus: Bus, candidateId: string, options: Options = {}): LeaderElection {
  return new LeaderElection({ bus, name: "e", candidateId, ...options });
}

/** Resolves when a signal aborts. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** A bus on which heartbeats and reads wait for something first. */
function cutOff(
  bus: Bus,
  waits: { get?: () => Promise<void>; heartbeat: () => Promise<void> },
): Bus {
  const { kv } = bus;
  const lease = async (...args: Parameters<typeof kv.lease>): Promise<Lease> => {
    const inner = await kv.lease(...args);
    const beat = inner.heartbeat.bind(inner);
    inner.heartbeat = () => waits.heartbeat().then(beat);
    return inner;
  };
  const get = async (...args: Parameters<typeof kv.get>): Promise<KvEntry | undefined> => {
    await waits.get?.();
    return kv.get(...args);
  };
  return { ...bus, kv: overriding(kv, { lease, get }) };
}

await onEachBackend((openOn) => {
  /** Candidates with buses of their own. */
  async function candidates(count: number, options: Options = {}): Promise<LeaderElection[]> {
    const namespace = newNamespace();
    return Promise.all(
      Array.from({ length: count }, async (_, index) =>
        candidate(await openOn(namespace), `n${index + 1}`, options),
      ),
    );
  }

  describe("an election", () => {
    it("S28: gives one leader, nobody after it steps down, then the next one", async () => {
      const [n1, n2] = (await candidates(2)) as [LeaderElection, LeaderElection];
      expect(await n1.leader()).toBeUndefined();
      const first = await n1.campaign();
      expect(await n2.leader()).toEqual({ term: 1, leader: "n1", metadata: {} });
      const inVain = errorOf(n2.campaign({ signal: AbortSignal.timeout(100) }));
      expect(await inVain).toMatchObject({ name: "TimeoutError" });
      await first.resign();
      expect(first.lost.aborted).toBe(true);
      expect(await n1.leader()).toBeUndefined();
      const second = await n2.campaign();
      expect([second.term, await n1.leader()]).toEqual([
        2,
        { term: 2, leader: "n2", metadata: {} },
      ]);
    });

    it("hands over within 100 ms of a resignation", async () => {
      const [n1, n2, n3] = (await candidates(3)) as [
        LeaderElection,
        LeaderElection,
        LeaderElection,
      ];
      let leadership = await n1.campaign();
      for (const next of [n2, n3, n1, n2]) {
        const elected = next.campaign();
        // It waits for the lease by now: what it asks for takes as long as this.
        for (let round = 0; round < 5; round++) await next.leader();
        const startedMs = performance.now();
        await leadership.resign();
        leadership = await elected;
        expect(performance.now() - startedMs).toBeLessThan(100);
      }
      expect(leadership.term).toBe(5);
    });

    it("hands over to the candidate that the leader names", async () => {
      const all = await candidates(4, { handOverMs: 5_000 });
      const [n1, , , n4] = all as [LeaderElection, LeaderElection, LeaderElection, LeaderElection];
      const first = await n1.campaign();
      const stop = new AbortController();
      const elected: string[] = [];
      const running = all.map((one) =>
        one.whileLeader(
          async (leadership) => {
            elected.push(leadership.leader);
            await aborted(leadership.lost);
          },
          { signal: stop.signal },
        ),
      );
      await first.transfer("n4");
      for await (const { leader, term } of n1.observe()) {
        if (term === 1) continue;
        expect([term, leader]).toEqual([2, "n4"]);
        break;
      }
      expect(await n4.leader()).toMatchObject({ leader: "n4" });
      stop.abort();
      await Promise.all(running);
      expect(elected[0]).toBe("n4");
    });

    it("goes on without the named candidate if it does not come", async () => {
      const [n1, n2] = (await candidates(2, { handOverMs: 50 })) as [
        LeaderElection,
        LeaderElection,
      ];
      const first = await n1.campaign();
      expect(await errorOf(first.transfer("no such name!"))).toMatchObject({
        code: "INVALID_ARGUMENT",
      });
      await first.transfer("n9");
      expect(await errorOf(first.transfer("n2"))).toMatchObject({ code: "CLOSED" });
      expect(await n2.campaign()).toMatchObject({ term: 2, leader: "n2" });
    });

    it("shows every term in order to who observes it", async () => {
      const [n1, n2] = (await candidates(2, { metadata: { region: "eu" } })) as [
        LeaderElection,
        LeaderElection,
      ];
      const seen: unknown[] = [];
      const observing = (async () => {
        for await (const { term, leader, metadata } of n2.observe()) {
          seen.push([term, leader, metadata["region"]]);
          if (term === 6) break;
        }
      })();
      await (await n2.campaign()).resign();
      for (const one of [n1, n2, n1]) await (await one.campaign()).resign();
      const named = await n1.campaign();
      await named.transfer("n2");
      await n2.campaign();
      await observing;
      const last = seen.slice(-5).map((line) => (line as unknown[])[0]);
      expect(last).toEqual([2, 3, 4, 5, 6]);
      expect(seen.at(-1)).toEqual([6, "n2", "eu"]);
    });

    it("steps down when the bus of the leader closes", async () => {
      const namespace = newNamespace();
      const [one, two] = [await openOn(namespace), await openOn(namespace)];
      const n2 = candidate(two, "n2");
      const first = await candidate(one, "n1").campaign();
      const elected = n2.campaign();
      await one.close();
      expect(first.lost.reason).toMatchObject({ code: "CLOSED" });
      expect(await elected).toMatchObject({ term: 2 });
    });
  });

  describe("whileLeader", () => {
    it("runs the work of one leader at a time, and stops it", async () => {
      const all = await candidates(3);
      let running = 0;
      let runs = 0;
      const work = async ({ lost, term }: Leadership): Promise<void> => {
        expect(++running).toBe(1);
        runs = term;
        await aborted(lost);
        // It takes its time to stop: nobody may begin meanwhile.
        for (let round = 0; round < 5; round++) await all[0]?.leader();
        running -= 1;
      };
      const stops = all.map(() => new AbortController());
      const ends = all.map((one, index) =>
        one.whileLeader(work, { signal: (stops[index] as AbortController).signal }),
      );
      for (let left = 3; left > 0; left--) {
        const leader = await untilLed(all[0] as LeaderElection, 4 - left);
        const index = Number(leader.slice(1)) - 1;
        stops[index]?.abort();
        await ends[index];
      }
      expect([running, runs]).toEqual([0, 3]);
    });

    it("is done when the work is done, and throws what the work throws", async () => {
      const [n1, n2] = (await candidates(2, { ttlMs: 300 })) as [LeaderElection, LeaderElection];
      await n1.whileLeader(async () => undefined);
      expect(await n1.leader()).toBeUndefined();
      const failing = n1.whileLeader(() => Promise.reject(new Error("broken")));
      expect(await errorOf(failing)).toMatchObject({ message: "broken" });
      let tries = 0;
      await n2.whileLeader(async () => {
        if (++tries < 3) throw new BusError("TIMEOUT", "no answer");
      });
      expect([tries, await n1.leader()]).toEqual([3, undefined]);
    });
  });

  async function untilLed(election: LeaderElection, term: number): Promise<string> {
    for await (const { term: seen, leader } of election.observe()) {
      if (seen === term) return leader;
    }
    throw new Error("the bus was closed");
  }
});

describe("a leadership", () => {
  it("S29: is renewed by itself as long as its process lives", async () => {
    const clock = new VirtualClock();
    const bus = await openBus({ backend: "memory", clock });
    const leadership = await candidate(bus, "n1", { clock }).campaign();
    await clock.advance(3_600_000);
    expect(leadership.lost.aborted).toBe(false);
    await leadership.resign();
    expect(clock.pendingTimers).toBe(0);
    await clock.autoAdvance(bus.close());
  });

  it("S31: ends by the clock of a leader that cannot renew it, well before its lease ends", async () => {
    const clock = new VirtualClock();
    const bus = await openBus({ backend: "memory", clock });
    let isCut = false;
    const heartbeat = async (): Promise<void> => {
      if (isCut) await new Promise(() => undefined);
    };
    const n1 = candidate(cutOff(bus, { heartbeat }), "n1", { clock });
    const leadership = await n1.campaign();
    let endedMs = 0;
    leadership.lost.addEventListener("abort", () => {
      endedMs = clock.monotonic();
    });
    isCut = true;
    const startedMs = clock.monotonic();
    const second = await clock.autoAdvance(candidate(bus, "n2", { clock }).campaign());
    const takenMs = clock.monotonic();
    expect(leadership.lost.reason).toMatchObject({ code: "LEASE_LOST" });
    expect([second.term, endedMs - startedMs]).toEqual([2, 10_000]);
    expect(takenMs - startedMs).toBeGreaterThanOrEqual(15_000);
    await second.resign();
    await clock.autoAdvance(bus.close());
  });

  it("S31: is over for a process that stood still, before any of its timers says so", async () => {
    const clock = new VirtualClock();
    const bus = await openBus({ backend: "memory", clock });
    let stoodStillMs = 0;
    const late = Object.assign(Object.create(clock) as VirtualClock, {
      monotonic: () => clock.monotonic() + stoodStillMs,
      now: () => clock.now() + stoodStillMs,
      setTimer: clock.setTimer.bind(clock),
      sleep: clock.sleep.bind(clock),
    });
    const leadership = await candidate(bus, "n1", { clock: late }).campaign();
    expect(leadership.lost.aborted).toBe(false);
    stoodStillMs = 10_001;
    expect(leadership.lost.aborted).toBe(true);
    await clock.autoAdvance(bus.close());
  });
});

describe("a candidate that stood still while it took its term", () => {
  it("leaves the term of its successor alone", async () => {
    const clock = new VirtualClock();
    const bus = await openBus({ backend: "memory", clock });
    let goOn = (): void => undefined;
    const isHeld = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const reading = (): Promise<void> => isHeld;
    const slow = cutOff(bus, { get: reading, heartbeat: () => new Promise(() => undefined) });
    const stop = new AbortController();
    const first = candidate(slow, "n1", { clock });
    const inVain = errorOf(first.campaign({ signal: stop.signal }));
    const n2 = candidate(bus, "n2", { clock });
    const leadership = await clock.autoAdvance(n2.campaign());
    goOn();
    await clock.advance(20_000);
    expect(await n2.leader()).toEqual({ term: 1, leader: "n2", metadata: {} });
    stop.abort();
    expect(await inVain).toMatchObject({ name: "AbortError" });
    await leadership.resign();
    await clock.autoAdvance(bus.close());
  });
});

describe("a campaign", () => {
  it("goes on while servers are away or change over, and ends where waiting does not help", async () => {
    await using bus = await openBus();
    const failures: BusErrorCode[] = ["TIMEOUT", "DISCONNECTED", "NOT_FOUND", "LEASE_LOST"];
    const lease = (...args: Parameters<typeof bus.kv.lease>): Promise<Lease> => {
      const code = failures.shift();
      return code ? Promise.reject(new BusError(code, "trouble")) : bus.kv.lease(...args);
    };
    const kv = overriding(bus.kv, { lease });
    const n1 = candidate({ ...bus, kv } as Bus, "n1", { ttlMs: 300 });
    const leadership = await n1.campaign();
    expect([leadership.term, failures]).toEqual([1, []]);
    await leadership.resign();
    failures.push("PERMISSION_DENIED");
    expect(await errorOf(n1.campaign())).toMatchObject({ code: "PERMISSION_DENIED" });
  });
});

describe("the options of an election", () => {
  it("have to go together", async () => {
    await using bus = await openBus();
    const wrong = (options: Options): unknown => {
      try {
        return candidate(bus, "n1", options);
      } catch (error) {
        return String(error);
      }
    };
    expect(wrong({ ttlMs: 10_000, stepDownMs: 9_500 })).toMatch(/^RangeError: stepDownMs .* ttlMs/);
    expect(wrong({ ttlMs: 10_000, stepDownMs: 8_000, renewEveryMs: 5_000 })).toMatch(
      /^RangeError: renewEveryMs .* stepDownMs/,
    );
    expect(wrong({ ttlMs: 0 })).toMatch(/^RangeError: ttlMs must be from 200/);
    expect(wrong({ ttlMs: 1_000, handOverMs: 2_000 })).toMatch(/^RangeError: handOverMs/);
    expect(wrong({ candidateId: "a b" })).toMatch(/a b/);
    expect(wrong({ candidateId: "a".repeat(101) })).toMatch(/100 characters/);
    expect(wrong({ ttlMs: 10_000, stepDownMs: 9_000, renewEveryMs: 4_500 })).toBeInstanceOf(
      LeaderElection,
    );
  });
});
