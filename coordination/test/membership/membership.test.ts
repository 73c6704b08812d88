import {
  type Bus,
  BusError,
  type KvEvent,
  type KvWatch,
  openBus,
  VirtualClock,
} from "@busbar/core";
import { afterEach, describe, expect, it } from "vitest";
import {
  LeaderElection,
  Membership,
  type MembershipOptions,
  type NodeChange,
} from "../../src/index.ts";
import { errorOf, newNamespace, onEachBackend } from "../support/backends.ts";
import { overriding } from "../support/overriding.ts";

const address = "10.0.0.1:7000";

/** The next changes, so many of them. */
async function take(changes: AsyncIterable<NodeChange>, count: number): Promise<unknown[]> {
  const taken: unknown[] = [];
  for await (const change of changes) {
    const { id, status } = change.node;
    taken.push(change.type === "status" ? [id, change.from, status] : [id, change.type]);
    if (taken.length === count) break;
  }
  return taken;
}

await onEachBackend((openOn) => {
  async function open(namespace: string, options: MembershipOptions = {}): Promise<Membership> {
    return Membership.open(await openOn(namespace), options);
  }

  describe("a node", () => {
    it("S17: that joined is there, healthy and no leader", async () => {
      const namespace = newNamespace();
      const bus = await openOn(namespace);
      const election = new LeaderElection({ bus, name: "e", candidateId: "n1" });
      const members = await Membership.open(bus, { election });
      const other = await open(namespace);
      const changes = other.changes();
      const input = { id: "n1", address, region: "eu-1", metadata: { rack: "7" } };
      const { incarnation } = await members.join(input);
      expect(await take(changes, 1)).toEqual([["n1", "joined"]]);
      expect(other.node("n1")).toMatchObject({ ...input, incarnation, status: "healthy" });
      expect(other.nodes()).toHaveLength(1);
      expect(await members.summary()).toEqual({ total: 1, healthy: 1, leader: undefined });
      await members.close();
    });

    it("S18: gives a later sign of life with each heartbeat", async () => {
      const namespace = newNamespace();
      const [members, other] = [await open(namespace, { heartbeatMs: 100 }), await open(namespace)];
      const changes = other.changes();
      await members.join({ id: "n1", address });
      await take(changes, 1);
      const first = other.node("n1")?.lastHeartbeatAtMs ?? 0;
      await expect.poll(() => other.node("n1")?.lastHeartbeatAtMs).toBeGreaterThan(first + 50);
      await members.close();
    });

    it("is gone at once when it leaves", async () => {
      const namespace = newNamespace();
      const [members, other] = [await open(namespace), await open(namespace)];
      const changes = other.changes();
      const n1 = await members.join({ id: "n1", address });
      await members.join({ id: "n2", address });
      await n1.leave();
      await n1.leave();
      expect(await take(changes, 3)).toEqual([
        ["n1", "joined"],
        ["n2", "joined"],
        ["n1", "left"],
      ]);
      const left = other.changes();
      await members.close();
      expect(await take(left, 1)).toEqual([["n2", "left"]]);
      expect(await errorOf(members.join({ id: "n1", address }))).toMatchObject({ code: "CLOSED" });
    });

    it("that is started again takes the place of its last life, which hears of it", async () => {
      const namespace = newNamespace();
      const [first, second] = [await open(namespace, { heartbeatMs: 50 }), await open(namespace)];
      const old = await first.join({ id: "n1", address });
      const changes = second.changes();
      const young = await second.join({ id: "n1", address: "10.0.0.2:7000" });
      expect(young.incarnation).toBeGreaterThan(old.incarnation);
      expect(await take(changes, 1)).toEqual([["n1", "joined"]]);
      await expect.poll(() => old.replaced.aborted).toBe(true);
      expect(old.replaced.reason).toMatchObject({ code: "CONFLICT", details: { id: "n1" } });
      await old.leave();
      await expect.poll(() => first.node("n1")?.address).toBe("10.0.0.2:7000");
      await Promise.all([first.close(), second.close()]);
    });

    it("S22: that nobody knows cannot be removed; one that does not stand for itself is not there", async () => {
      const members = await open(newNamespace());
      expect(await members.remove("n9")).toBe(false);
      expect(members.node("n9")).toBeUndefined();
      expect(await errorOf(members.remove("a b"))).toMatchObject({ code: "INVALID_ARGUMENT" });
      await members.close();
    });

    it("S32: that is removed while it leads frees the leadership at once, and comes back as another incarnation", async () => {
      const namespace = newNamespace();
      const [one, two] = [await openOn(namespace), await openOn(namespace)];
      const n1 = new LeaderElection({ bus: one, name: "e", candidateId: "n1" });
      const n2 = new LeaderElection({ bus: two, name: "e", candidateId: "n2" });
      const [first, second] = [
        await Membership.open(one, { election: n1 }),
        await Membership.open(two, { election: n2 }),
      ];
      const member = await first.join({ id: "n1", address });
      const { incarnation } = member;
      const leadership = await n1.campaign();
      expect(await second.summary()).toMatchObject({ leader: "n1" });
      const startedMs = performance.now();
      const elected = n2.campaign();
      expect(await second.remove("n1")).toBe(true);
      expect(await elected).toMatchObject({ term: 2, leader: "n2" });
      expect(performance.now() - startedMs).toBeLessThan(1_000);
      expect(leadership.lost.aborted).toBe(true);
      await expect.poll(() => second.node("n1")?.incarnation).toBeGreaterThan(incarnation);
      expect(await first.summary()).toEqual({ total: 1, healthy: 1, leader: "n2" });
      await Promise.all([first.close(), second.close()]);
    });

    it("that comes back knows itself, also where the answer to its writing was lost", async () => {
      const namespace = newNamespace();
      const [bus, other] = [await openOn(namespace), await open(namespace)];
      let isLosing = false;
      const kv = overriding(bus.kv, {
        cas: async (...args) => {
          const revision = await bus.kv.cas(...args);
          if (isLosing) throw new BusError("TIMEOUT", "no answer");
          return revision;
        },
      });
      const members = await Membership.open(overriding(bus, { kv }), { heartbeatMs: 50 });
      const member = await members.join({ id: "n1", address });
      const { incarnation } = member;
      isLosing = true;
      await other.remove("n1");
      await expect.poll(() => other.node("n1")?.incarnation ?? 0).toBeGreaterThan(incarnation);
      const seenMs = other.node("n1")?.lastHeartbeatAtMs ?? 0;
      await expect.poll(() => other.node("n1")?.lastHeartbeatAtMs).toBeGreaterThan(seenMs);
      isLosing = false;
      await expect.poll(() => member.incarnation).toBe(other.node("n1")?.incarnation);
      expect(member.replaced.aborted).toBe(false);
      isLosing = true;
      const laterMs = other.node("n1")?.lastHeartbeatAtMs ?? 0;
      await expect.poll(() => other.node("n1")?.lastHeartbeatAtMs).toBeGreaterThan(laterMs);
      await member.leave();
      await expect.poll(() => other.node("n1")).toBeUndefined();
      await Promise.all([members.close(), other.close()]);
    });

    it("S32: that leaves while it leads frees the leadership at once", async () => {
      const namespace = newNamespace();
      const [one, two] = [await openOn(namespace), await openOn(namespace)];
      const n1 = new LeaderElection({ bus: one, name: "e", candidateId: "n1" });
      const members = await Membership.open(one, { election: n1 });
      const member = await members.join({ id: "n1", address });
      const leadership = await n1.campaign();
      await member.leave();
      expect(leadership.lost.aborted).toBe(true);
      const n2 = new LeaderElection({ bus: two, name: "e", candidateId: "n2" });
      expect(await n2.campaign()).toMatchObject({ leader: "n2" });
      await members.close();
    });
  });
});

describe("silence", () => {
  let bus: Bus | undefined;
  let clock = new VirtualClock();
  afterEach(async () => {
    if (bus) await clock.autoAdvance(bus.close());
  });

  /** An observer, and a node that gives signs of life only when it is told to. */
  async function observe(options: MembershipOptions = {}) {
    clock = new VirtualClock();
    bus = await openBus({ backend: "memory", clock });
    const { kv } = bus;
    const beat = async (id: string): Promise<void> => {
      const record = { incarnation: 1, instance: "i", address, metadata: {} };
      await kv.put("members", id, JSON.stringify(record));
      await clock.advance(0);
    };
    const members = await Membership.open(bus, { clock, ...options });
    return { bus, members, beat, status: (id: string) => members.node(id)?.status };
  }

  it("S20: of 30.000 s is not unhealthy yet, of 30.001 s is; degraded past 20 s, offline past 100 s", async () => {
    const { members, beat, status } = await observe();
    const changes = members.changes();
    await beat("n1");
    const seen: unknown[] = [];
    for (const atMs of [20_000, 20_001, 30_000, 30_001, 100_000, 100_001]) {
      await clock.advance(atMs - clock.monotonic());
      seen.push(status("n1"));
    }
    expect(seen).toEqual(["healthy", "degraded", "degraded", "unhealthy", "unhealthy", "offline"]);
    expect(await take(changes, 4)).toEqual([
      ["n1", "joined"],
      ["n1", "healthy", "degraded"],
      ["n1", "degraded", "unhealthy"],
      ["n1", "unhealthy", "offline"],
    ]);
    await members.close();
  });

  it("S19, S23: counts for the node alone that is silent; the leader is whoever has the lease", async () => {
    const { bus, beat } = await observe();
    const parts = { bus, clock };
    const election = new LeaderElection({ ...parts, name: "e", candidateId: "n1" });
    const members = await Membership.open(bus, { clock, election });
    await members.join({ id: "n1", address });
    await members.join({ id: "n2", address });
    await beat("n3");
    const leadership = await election.campaign();
    await clock.advance(31_000);
    const healthy = members.nodes().filter(({ status }) => status === "healthy");
    expect(healthy.map(({ id }) => id)).toEqual(["n1", "n2"]);
    expect(await members.summary()).toEqual({ total: 3, healthy: 2, leader: "n1" });
    await leadership.resign();
    expect(await members.summary()).toMatchObject({ leader: undefined });
    await members.close();
  });

  it("S21: is over with one sign of life, whatever the status was", async () => {
    const { members, beat, status } = await observe();
    for (const silentMs of [25_000, 40_000, 500_000]) {
      await beat("n1");
      expect(status("n1")).toBe("healthy");
      await clock.advance(silentMs);
      expect(status("n1")).not.toBe("healthy");
    }
    await beat("n1");
    expect(status("n1")).toBe("healthy");
    await members.close();
  });

  it("is never that of a node whose heartbeats come, jitter or not", async () => {
    const { members, status } = await observe();
    const changes = members.changes();
    await members.join({ id: "n1", address });
    await clock.advance(3_600_000);
    expect(status("n1")).toBe("healthy");
    await members.join({ id: "n2", address });
    expect(await take(changes, 2)).toEqual([
      ["n1", "joined"],
      ["n2", "joined"],
    ]);
    await members.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it("of more than ten minutes ends in removal, once somebody leads who sweeps", async () => {
    const { bus, members, beat } = await observe();
    const election = new LeaderElection({ bus, clock, name: "e", candidateId: "n1" });
    await members.join({ id: "alive", address });
    await beat("n1");
    const stop = new AbortController();
    const sweeping = election.whileLeader((leadership) => members.sweep(leadership), {
      signal: stop.signal,
    });
    await clock.advance(590_000);
    expect(members.node("n1")?.status).toBe("offline");
    await clock.advance(30_000);
    expect(members.nodes().map(({ id }) => id)).toEqual(["alive"]);
    stop.abort();
    await clock.autoAdvance(sweeping);
    await members.close();
  });

  it("that only the sweeper has not seen the end of removes nobody", async () => {
    const { bus, beat } = await observe();
    let isFrozen = false;
    const { kv } = bus;
    // A connection on which nothing arrives any more, while writes go through.
    const watch = async (...args: Parameters<typeof kv.watch>): Promise<KvWatch> => {
      const inner = await kv.watch(...args);
      const events = async function* (): AsyncGenerator<KvEvent, undefined> {
        for await (const event of inner) {
          if (isFrozen) await new Promise(() => undefined);
          yield event;
        }
        return undefined;
      };
      return Object.assign(Object.create(inner) as KvWatch, { [Symbol.asyncIterator]: events });
    };
    const late = overriding(kv, { watch });
    const sweeper = await Membership.open(overriding(bus, { kv: late }), { clock });
    await beat("silent");
    await beat("n1");
    isFrozen = true;
    await clock.advance(300_000);
    await beat("n1");
    await clock.advance(301_000);
    const stop = new AbortController();
    const sweeping = sweeper.sweep({ lost: stop.signal });
    await clock.advance(60_000);
    stop.abort();
    await sweeping;
    expect((await kv.keys("members")).keys).toEqual(["n1"]);
  });

  it("in which the observer stood still itself does not count", async () => {
    let stoodStillMs = 0;
    const { bus, beat } = await observe();
    const late = Object.assign(Object.create(clock) as VirtualClock, {
      monotonic: () => clock.monotonic() + stoodStillMs,
      setTimer: clock.setTimer.bind(clock),
      now: clock.now.bind(clock),
    });
    const members = await Membership.open(bus, { clock: late });
    await beat("n1");
    await clock.advance(15_000);
    stoodStillMs = 200_000;
    await clock.advance(6_000);
    expect(members.node("n1")?.status).toBe("degraded");
    await beat("n1");
    expect(members.node("n1")?.status).toBe("healthy");
    await members.close();
  });
});

describe("the options of a membership", () => {
  it("have to go together", async () => {
    await using bus = await openBus();
    const wrong = (options: MembershipOptions): Promise<Error> =>
      errorOf(Membership.open(bus, options));
    expect(await wrong({ heartbeatMs: 20_000, degradedAfterMs: 20_000 })).toMatchObject({
      name: "RangeError",
      message: "degradedAfterMs must be more than heartbeatMs (20000), got 20000",
    });
    expect(await wrong({ unhealthyAfterMs: 15_000 })).toBeInstanceOf(RangeError);
    expect(await wrong({ offlineAfterMs: 30_000 })).toBeInstanceOf(RangeError);
    expect(await wrong({ removeAfterMs: 99_000 })).toBeInstanceOf(RangeError);
    expect(await wrong({ heartbeatMs: 0 })).toBeInstanceOf(RangeError);
  });
});
