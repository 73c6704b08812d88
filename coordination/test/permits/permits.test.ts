import { type Bus, BusError, openBus, VirtualClock } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { Permits, type PermitsOptions } from "../../src/index.ts";
import { errorOf, newNamespace, onEachBackend } from "../support/backends.ts";
import { overriding } from "../support/overriding.ts";

await onEachBackend((openOn) => {
  /** Some processes that share a pool. */
  async function processes(count: number, options: PermitsOptions = {}): Promise<Permits[]> {
    const namespace = newNamespace();
    return Promise.all(
      Array.from({ length: count }, async () => Permits.open(await openOn(namespace), options)),
    );
  }

  const heldBy = (all: readonly Permits[], key: string): number[] =>
    all.map((permits) => permits.held(key));

  describe("permits", () => {
    it("are given up to the limit, whoever asks", async () => {
      const [a, b] = (await processes(2)) as [Permits, Permits];
      expect(await a.acquire("k", 2, 3)).toBe(2);
      expect(await b.acquire("k", 2, 3)).toBe(1);
      expect(await b.acquire("k", 1, 3)).toBe(0);
      expect(heldBy([a, b], "k")).toEqual([2, 1]);
      expect(await b.acquire("other", 2, 3)).toBe(2);
    });

    it("come back when they are given back, or their holder closes", async () => {
      const [a, b, c] = (await processes(3)) as [Permits, Permits, Permits];
      await a.acquire("k", 2, 3);
      await b.acquire("k", 1, 3);
      await a.release("k", 1);
      expect(await c.acquire("k", 3, 3)).toBe(1);
      await a.close();
      expect(a.held("k")).toBe(0);
      expect(await c.acquire("k", 3, 3)).toBe(1);
      expect(heldBy([a, b, c], "k")).toEqual([0, 1, 2]);
    });

    it("are never more than the limit when many ask at the same time", async () => {
      const all = await processes(4);
      for (const limit of [1, 3, 10]) {
        const key = `k${limit}`;
        await Promise.all(
          all.flatMap((permits) => Array.from({ length: 4 }, () => permits.acquire(key, 2, limit))),
        );
        expect(heldBy(all, key).reduce((sum, held) => sum + held)).toBe(limit);
      }
    });

    it("are not taken away by a smaller limit, but no more are given", async () => {
      const [a] = (await processes(1)) as [Permits];
      await a.acquire("k", 5, 5);
      expect(await a.acquire("k", 1, 2)).toBe(0);
      expect(a.held("k")).toBe(5);
      await a.release("k", 4);
      expect(await a.acquire("k", 3, 2)).toBe(1);
    });

    it("with a limit of 0 are given to nobody", async () => {
      const [a] = (await processes(1)) as [Permits];
      expect(await a.acquire("k", 1, 0)).toBe(0);
    });

    it("refuse what makes no sense, and stay as they were", async () => {
      const [a] = (await processes(1)) as [Permits];
      await a.acquire("k", 2, 2);
      expect(await errorOf(a.acquire("k", 0, 1))).toBeInstanceOf(RangeError);
      expect(await errorOf(a.acquire("k", 1, -1))).toBeInstanceOf(RangeError);
      expect(await errorOf(a.release("k", 3))).toBeInstanceOf(RangeError);
      expect(await errorOf(a.acquire("a key", 1, 1))).toMatchObject({ code: "INVALID_ARGUMENT" });
      expect(a.held("k")).toBe(2);
      await a.close();
      expect(await errorOf(a.acquire("k", 1, 1))).toMatchObject({ code: "CLOSED" });
      await a.close();
    });
  });
});

describe("the lease of a process", () => {
  it("is renewed as long as it is open, whatever it holds", async () => {
    const clock = new VirtualClock();
    const bus = await openBus({ backend: "memory", clock });
    const permits = await Permits.open(bus, { clock, ttlMs: 1_000 });
    await permits.acquire("k", 1, 1);
    await clock.advance(3_600_000);
    expect(permits.held("k")).toBe(1);
    await permits.close();
    expect(clock.pendingTimers).toBe(0);
    await clock.autoAdvance(bus.close());
  });
});

describe("a write of unknown outcome", () => {
  it("that arrives late changes nothing any more", async () => {
    await using bus = await openBus();
    let late: (() => Promise<unknown>) | undefined;
    let isSlow = false;
    const { kv } = bus;
    // A network that holds one write back for longer than its sender waits.
    const slow = overriding(kv, {
      cas: (...args) => {
        if (!isSlow) return kv.cas(...args);
        isSlow = false;
        late = () => kv.cas(...args);
        return Promise.reject(new BusError("TIMEOUT", "no answer"));
      },
    });
    await using permits = await Permits.open({ ...bus, kv: slow } as Bus);
    await permits.acquire("k", 5, 5);
    isSlow = true;
    expect(await errorOf(permits.release("k", 3))).toMatchObject({ code: "TIMEOUT" });
    expect(permits.held("k")).toBe(2);
    expect(await permits.acquire("k", 3, 5)).toBe(3);
    expect(await errorOf(late?.() ?? Promise.resolve())).toMatchObject({ code: "CONFLICT" });
    await using other = await Permits.open(bus);
    expect(await other.acquire("k", 1, 5)).toBe(0);
  });
});

describe("permits whose record is gone", () => {
  it("are lost, and their holder hears of it", async () => {
    await using bus = await openBus();
    for (const write of [
      () => bus.kv.delete("permits", "k"),
      () => bus.kv.put("permits", "k", '{"holders":{}}'),
    ]) {
      await using permits = await Permits.open(bus);
      await permits.acquire("k", 2, 5);
      await write();
      expect(await errorOf(permits.acquire("k", 1, 5))).toMatchObject({ code: "LEASE_LOST" });
      expect([permits.held("k"), permits.lost.aborted]).toEqual([0, true]);
    }
  });

  it("are lost with their bus", async () => {
    const bus = await openBus();
    const permits = await Permits.open(bus);
    await permits.acquire("k", 2, 5);
    await bus.close();
    expect([permits.held("k"), permits.lost.aborted]).toEqual([0, true]);
    await permits.close();
  });
});
