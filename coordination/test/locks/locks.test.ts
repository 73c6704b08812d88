import { type ProcessContext, simulate } from "@busbar/bus-memory";
import { type Bus, openBus, VirtualClock } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { FencedBucket, Lock, Locks, type LocksOptions } from "../../src/index.ts";
import { errorOf, newNamespace, onEachBackend } from "../support/backends.ts";

await onEachBackend((openOn) => {
  /** Some processes that share locks: n1, n2 and so on. */
  async function processes(count: number, options: Partial<LocksOptions> = {}) {
    const namespace = newNamespace();
    const all = Array.from({ length: count }, async (_, index) => {
      const bus = await openOn(namespace);
      return { bus, locks: new Locks({ bus, owner: `n${index + 1}`, ...options }) };
    });
    return Promise.all(all) as Promise<[Node, Node, Node, ...Node[]]>;
  }
  type Node = { readonly bus: Bus; readonly locks: Locks };

  /** Resolves when so many wait for `k`. */
  async function untilWaiting({ bus }: Node, count: number): Promise<void> {
    for await (const event of await bus.kv.watch("locks", { key: "k" })) {
      if (event.type !== "put") continue;
      const { waiting } = JSON.parse(new TextDecoder().decode(event.value)) as { waiting: [] };
      if (waiting.length === count) return;
    }
  }

  describe("a lock", () => {
    it("S24: is held by one, and to be had when that one releases it", async () => {
      const [n1, n2] = await processes(3);
      const lock = await n1.locks.tryAcquire("k");
      expect(lock).toBeInstanceOf(Lock);
      expect(await n2.locks.tryAcquire("k")).toBeUndefined();
      expect(await n2.locks.tryAcquire("other")).toBeDefined();
      const holder = await n2.locks.holder("k");
      expect(holder?.owner).toBe("n1");
      expect((holder?.expiresAtMs ?? 0) - Date.now()).toBeGreaterThan(10_000);
      expect(await lock?.release()).toBe(true);
      expect(await n2.locks.holder("k")).toBeUndefined();
      const second = await n2.locks.tryAcquire("k");
      expect(second?.fence).toBeGreaterThan(lock?.fence ?? Number.POSITIVE_INFINITY);
    });

    it("S26: is released by its holder only, and once", async () => {
      const [n1, n2] = await processes(3);
      const lock = (await n1.locks.tryAcquire("k")) as Lock;
      expect([await lock.release(), await lock.release()]).toEqual([true, false]);
      const second = (await n2.locks.tryAcquire("k")) as Lock;
      expect([await lock.release(), second.lost.aborted]).toEqual([false, false]);
      expect(await n1.locks.holder("k")).toMatchObject({ owner: "n2" });
    });

    it("S27: is not re-entrant", async () => {
      const [n1] = await processes(3);
      await using _lock = await n1.locks.acquire("k");
      expect(await n1.locks.tryAcquire("k")).toBeUndefined();
      expect(await errorOf(n1.locks.acquire("k", { waitMs: 100 }))).toMatchObject({
        code: "LEASE_HELD",
        details: { key: "k" },
      });
    });

    it("S25: of a process that is gone is free when its time is over", async () => {
      const [n1, n2] = await processes(3);
      // A holder that never renews, as if it had been killed.
      await n1.bus.kv.lease("locks", "k", { ttlMs: 1_000, owner: "n1" });
      const startedMs = performance.now();
      await using lock = await n2.locks.acquire("k");
      expect(performance.now() - startedMs).toBeGreaterThan(800);
      expect(lock.owner).toBe("n2");
    });

    it("is lost with its bus, and free at once", async () => {
      const [n1, n2] = await processes(3);
      const lock = await n1.locks.acquire("k");
      const waiting = n2.locks.acquire("k", { waitMs: 5_000 });
      await untilWaiting(n2, 1);
      await n1.bus.close();
      expect(lock.lost.reason).toMatchObject({ code: "CLOSED" });
      await (await waiting).release();
      expect(await lock.release()).toBe(false);
    });
  });

  describe("those who wait for a lock", () => {
    it("get it in the order in which they came", async () => {
      const nodes = await processes(4);
      const lock = await nodes[0].locks.acquire("k");
      const order: number[] = [];
      const all = [];
      for (let index = 0; index < 8; index++) {
        const { locks } = nodes[index % 4] as Node;
        all.push(
          locks.withLock("k", async ({ lost }) => {
            order.push(index);
            expect(lost.aborted).toBe(false);
          }),
        );
        await untilWaiting(nodes[0], index + 1);
      }
      expect(await nodes[1].locks.tryAcquire("k")).toBeUndefined();
      await lock.release();
      await Promise.all(all);
      expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(await nodes[1].locks.tryAcquire("k")).toBeDefined();
    });

    it("are not overtaken by one who comes while it is free", async () => {
      const [n1, n2] = await processes(3);
      const place = await n1.bus.kv.lease("locks-tickets", "alive", { ttlMs: 15_000 });
      await n1.bus.kv.put("locks", "k", '{"waiting":["alive"]}');
      expect(await n2.locks.tryAcquire("k")).toBeUndefined();
      await place.release();
      expect(await n2.locks.tryAcquire("k")).toBeDefined();
    });

    it("leave no trace when they give up, wherever they stand in the line", async () => {
      const nodes = await processes(4);
      const lock = await nodes[0].locks.acquire("k");
      const stops = [1, 2, 3].map(() => new AbortController());
      const waiting = [];
      for (const [index, { signal }] of stops.entries()) {
        waiting.push((nodes[index + 1] as Node).locks.acquire("k", { signal }));
        await untilWaiting(nodes[0], index + 1);
      }
      const last = nodes[0].locks.acquire("k");
      await untilWaiting(nodes[0], 4);
      stops[1]?.abort(new Error("not any more"));
      expect(await errorOf(waiting[1] as Promise<Lock>)).toMatchObject({ message: "not any more" });
      stops[0]?.abort(new Error("not any more"));
      expect(await errorOf(waiting[0] as Promise<Lock>)).toMatchObject({ message: "not any more" });
      await untilWaiting(nodes[0], 2);
      await lock.release();
      const third = await waiting[2];
      expect(third?.owner).toBe("n4");
      await third?.release();
      await (await last).release();
      expect(await nodes[1].locks.tryAcquire("k")).toBeDefined();
    });

    it("leave no ghost when they die", async () => {
      const [n1, n2, n3] = await processes(3, { ttlMs: 600 });
      const lock = await n1.locks.acquire("k", { ttlMs: 15_000 });
      // One who came and was killed: a ticket with a lease that nobody renews.
      await n3.bus.kv.lease("locks-tickets", "dead", { ttlMs: 600 });
      await n3.bus.kv.put("locks", "k", '{"waiting":["dead"]}');
      const waiting = n2.locks.acquire("k");
      await untilWaiting(n1, 1);
      await lock.release();
      const second = await waiting;
      expect(second.owner).toBe("n2");
      await second.release();
      // A ghost that stands there alone bars nobody either.
      await n3.bus.kv.put("locks", "k", '{"waiting":["dead","dead-too"]}');
      expect(await n2.locks.tryAcquire("k")).toBeDefined();
    });

    it("are told when their time is over, and are gone then", async () => {
      const [n1, n2] = await processes(3);
      await using _lock = await n1.locks.acquire("k");
      const inVain = await Promise.all(
        [1, 2, 3].map(() => errorOf(n2.locks.acquire("k", { waitMs: 50 }))),
      );
      expect(inVain).toMatchObject(Array.from({ length: 3 }, () => ({ code: "LEASE_HELD" })));
      const entry = await n1.bus.kv.get("locks", "k");
      expect(new TextDecoder().decode(entry?.value)).toBe('{"waiting":[]}');
    });
  });

  describe("withLock", () => {
    it("lets one at a time work, and releases whatever happens", async () => {
      const nodes = await processes(3);
      let working = 0;
      let done = 0;
      await Promise.all(
        [...nodes, ...nodes].map(({ bus, locks }) =>
          locks.withLock("k", async () => {
            expect(++working).toBe(1);
            await bus.kv.get("locks", "k");
            working -= 1;
            done += 1;
          }),
        ),
      );
      expect(done).toBe(6);
      const failing = nodes[0].locks.withLock("k", () => Promise.reject(new Error("broken")));
      expect(await errorOf(failing)).toMatchObject({ message: "broken" });
      expect(await nodes[1].locks.holder("k")).toBeUndefined();
    });
  });
});

describe("the work of a holder that lost its lock", () => {
  it("is not given as done", async () => {
    await using bus = await openBus();
    const locks = new Locks({ bus, ttlMs: 200 });
    const other = await openBus();
    const working = new Locks({ bus: other }).withLock("k", async () => {
      await other.close();
      return "done";
    });
    expect(await errorOf(working)).toMatchObject({ code: "CLOSED" });
    expect(await locks.holder("k")).toBeUndefined();
  });
});

describe("a lock that is kept", () => {
  it("is renewed as long as its process lives, and no longer", async () => {
    const clock = new VirtualClock();
    const bus = await openBus({ backend: "memory", clock });
    const lock = await new Locks({ bus, clock }).acquire("k");
    await clock.advance(3_600_000);
    expect(lock.lost.aborted).toBe(false);
    expect(lock.expiresAtMs - clock.now()).toBeGreaterThan(5_000);
    await lock.release();
    expect(clock.pendingTimers).toBe(0);
    await clock.autoAdvance(bus.close());
  });
});

describe("a holder that is paused between its look at the lock and its write", () => {
  /** What the resource has in the end. */
  async function race(write: (bus: Bus, fence: number, text: string) => Promise<unknown>) {
    const written: string[] = [];
    const worker =
      (pauseMs: number) =>
      async ({ bus, clock, name }: ProcessContext): Promise<void> => {
        const lock = await new Locks({ bus, clock, ttlMs: 1_000 }).acquire("k");
        if (lock.lost.aborted) return;
        // It stands still here; what it saw is not true any more when it goes on.
        await clock.sleep(pauseMs);
        await write(bus, lock.fence, name).then(
          () => written.push(name),
          (error: unknown) => expect(error).toMatchObject({ code: "CONFLICT" }),
        );
        await lock.release();
      };
    await simulate({ seed: 1 }, async (world) => {
      const slow = world.process("slow", worker(100));
      await world.sleep(50);
      slow.pause();
      const fast = world.process("fast", worker(0));
      await fast.done;
      slow.resume();
      await slow.done;
    });
    return written;
  }

  it("overwrites what its successor wrote where nothing looks at fences", async () => {
    const plain = (bus: Bus, _fence: number, text: string) => bus.kv.put("ledger", "k", text);
    expect(await race(plain)).toEqual(["fast", "slow"]);
  });

  it("is refused where the resource looks at fences", async () => {
    const fenced = (bus: Bus, fence: number, text: string) =>
      new FencedBucket({ bus, bucket: "ledger" }).guard(fence).put("k", text);
    expect(await race(fenced)).toEqual(["fast"]);
  });
});

describe("the options of locks", () => {
  it("are checked", async () => {
    await using bus = await openBus();
    expect(() => new Locks({ bus, ttlMs: 0 })).toThrow(RangeError);
    expect(() => new Locks({ bus, owner: "a b" })).toThrow(/a b/);
    const locks = new Locks({ bus });
    expect(await errorOf(locks.acquire("k", { waitMs: -1 }))).toBeInstanceOf(RangeError);
    expect(await errorOf(locks.tryAcquire("k", { ttlMs: 0 }))).toBeInstanceOf(RangeError);
    expect(await errorOf(locks.tryAcquire("a key"))).toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
