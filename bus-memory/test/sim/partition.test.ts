import { type BusStatus, toText } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { type FaultOptions, type ProcessContext, simulate, type World } from "../../src/index.ts";
import { next } from "../support.ts";

const play = <T>(scenario: (world: World) => Promise<T>, faults: FaultOptions = {}) =>
  simulate({ seed: 1, faults, drain: false, trace: true }, scenario);

const SLOW: FaultOptions = { delayMs: [10, 10] };

describe("a call while its process is cut off", () => {
  it("waits, and is done when the connection is mended", async () => {
    await play(async (world) => {
      const { bus } = world.process("p");
      world.partition("p");
      const put = bus.kv.put("b", "k", "v");
      await world.sleep(4_000);
      expect(await world.bus.kv.get("b", "k")).toBeUndefined();
      world.mend("p");
      expect(await put).toBe(1);
      expect(world.clock.monotonic()).toBe(4_000);
    });
  });

  it("rejects with DISCONNECTED and notSent when its time is over, and is never done", async () => {
    const { trace } = await play(async (world) => {
      const { bus } = world.process("p");
      world.partition("p");
      const calls = [
        bus.kv.put("b", "k", "v"),
        bus.pubsub.publish("s", "x", { timeoutMs: 300, messageId: "m" }),
        bus.jobs.enqueue("q", { payload: "x" }),
      ];
      const failures = await Promise.allSettled(calls);
      for (const failure of failures) {
        expect(failure).toMatchObject({
          status: "rejected",
          reason: { code: "DISCONNECTED", retryable: true, details: { outcome: "notSent" } },
        });
      }
      expect(world.clock.monotonic()).toBe(5_000);
      world.mend();
      await world.sleep(1_000);
      expect(await world.bus.kv.get("b", "k")).toBeUndefined();
      expect(await world.bus.jobs.stats("q")).toMatchObject({ ready: 0 });
    });
    const failed = trace.filter(({ type }) => type === "error");
    expect(failed.map(({ atMs }) => atMs)).toEqual([300, 5_000, 5_000]);
    for (const { data } of failed) expect(data).toMatchObject({ outcome: "notSent" });
  });

  it("of another process goes on", async () => {
    await play(async (world) => {
      world.process("p");
      world.partition("p");
      await world.process("q").bus.kv.put("b", "k", "v");
    });
  });
});

describe("a call that is under way when the connection breaks", () => {
  /** Cuts `p` off `afterMs` into the call, for a second. */
  async function broken(world: World, afterMs: number): Promise<void> {
    await world.sleep(afterMs);
    world.partition("p");
    await world.sleep(1_000);
    world.mend("p");
  }

  it("is not told that nothing is there when it has removed that itself", async () => {
    await play(async (world) => {
      const { bus } = world.process("p");
      const { id } = await bus.jobs.enqueue("q", { payload: "x" });
      const removing = bus.jobs.remove("q", id);
      await broken(world, 15);
      await expect(removing).rejects.toMatchObject({ code: "TIMEOUT" });
      expect(await bus.jobs.remove("q", id)).toBe(false);
    }, SLOW);
  });

  it("is lost before it has arrived: nobody knows, so it rejects with TIMEOUT", async () => {
    await play(async (world) => {
      const { bus } = world.process("p");
      const put = bus.kv.put("b", "k", "v");
      await broken(world, 5);
      await expect(put).rejects.toMatchObject({ code: "TIMEOUT" });
      expect(world.clock.monotonic()).toBe(5_000);
      expect(await world.bus.kv.get("b", "k")).toBeUndefined();
    }, SLOW);
  });

  it("is done when only its answer is lost: it rejects in the same way", async () => {
    await play(async (world) => {
      const { bus } = world.process("p");
      const put = bus.kv.put("b", "k", "v");
      await broken(world, 15);
      await expect(put).rejects.toMatchObject({ code: "TIMEOUT" });
      expect(await world.bus.kv.get("b", "k")).toMatchObject({ revision: 1 });
    }, SLOW);
  });

  it.each([5, 15])("is sent again if the server knows the double, %i ms in", async (afterMs) => {
    await play(async (world) => {
      const { bus } = world.process("p");
      const publish = bus.pubsub.publish("s", "x", { messageId: "m" });
      const enqueue = bus.jobs.enqueue("q", { payload: "x", dedupKey: "k" });
      await broken(world, afterMs);
      const wasThere = afterMs > 10;
      expect(await publish).toEqual({ sequence: 1, duplicate: wasThere });
      expect(await enqueue).toEqual({ id: "1", duplicate: wasThere });
      expect(world.clock.monotonic()).toBe(afterMs + 1_020);
      expect(await world.bus.jobs.stats("q")).toMatchObject({ ready: 1 });
    }, SLOW);
  });

  it.each([5, 15])("is sent again if that does no harm, %i ms in: a read", async (afterMs) => {
    await play(async (world) => {
      await world.bus.kv.put("b", "k", "v");
      const { bus } = world.process("p");
      const get = bus.kv.get("b", "k");
      await broken(world, afterMs);
      expect(await get).toMatchObject({ revision: 1 });
    }, SLOW);
  });
});

describe("a claim that waits when the connection breaks", () => {
  it("is asked again after it, and gets what came meanwhile", async () => {
    await play(async (world) => {
      const { bus } = world.process("p");
      const claim = bus.jobs.claim("q", { workerId: "w", waitMs: 60_000 });
      await world.sleep(1_000);
      world.partition("p");
      await world.bus.jobs.enqueue("q", { payload: "x" });
      await world.sleep(1_000);
      // The wait at the server has ended with the connection: nobody takes the job meanwhile.
      expect(await world.bus.jobs.stats("q")).toMatchObject({ ready: 1, leased: 0 });
      world.mend("p");
      expect(await claim).toMatchObject([{ id: "1", attempt: 1 }]);
      expect(world.clock.monotonic()).toBe(2_000);
    });
  });

  it("waits only for what is left of its time", async () => {
    await play(async (world) => {
      const { bus } = world.process("p");
      const claim = bus.jobs.claim("q", { workerId: "w", waitMs: 10_000 });
      await world.sleep(4_000);
      world.partition("p");
      await world.sleep(4_000);
      world.mend("p");
      expect(await claim).toEqual([]);
      expect(world.clock.monotonic()).toBe(10_000);
    });
  });

  it("loses what was under way: the job comes again when its lease is over", async () => {
    await play(async (world) => {
      const { bus } = world.process("p");
      const claim = bus.jobs.claim("q", { workerId: "w", leaseMs: 3_000, waitMs: 60_000 });
      await world.sleep(100);
      await world.bus.jobs.enqueue("q", { payload: "x" });
      await world.sleep(5);
      world.partition("p");
      await world.sleep(100);
      world.mend("p");
      expect(await claim).toMatchObject([{ id: "1", attempt: 2 }]);
      expect(world.clock.monotonic()).toBeGreaterThanOrEqual(3_100);
    }, SLOW);
  });
});

describe("what a process has when it is cut off", () => {
  it("a subscription: it resumes by itself, nothing is lost", async () => {
    await play(async (world) => {
      const { bus } = world.process("p");
      const subscription = await bus.pubsub.subscribe("s");
      world.partition("p");
      for (const payload of ["1", "2"]) await world.bus.pubsub.publish("s", payload);
      await world.sleep(60_000);
      world.mend("p");
      for (const sequence of [1, 2]) {
        const message = await next(subscription);
        expect(message).toMatchObject({ sequence, deliveryCount: 1 });
        await message.ack();
      }
    });
  });

  it.each(["while it waits", "before it has its subscription"])(
    "a share of a durable: what it was given goes to the others in time, cut off %s",
    async (when) => {
      await play(async (world) => {
        const seen: string[] = [];
        const options = { durable: "d", ackWaitMs: 2_000 };
        const read = async ({ name, bus }: ProcessContext): Promise<void> => {
          for await (const message of await bus.pubsub.subscribe("s", options)) {
            seen.push(`${name} ${message.sequence} ${message.deliveryCount}`);
            await message.ack();
          }
        };
        const process = world.process("cut", read);
        if (when === "while it waits") await world.sleep(100);
        else {
          // The answer reaches it when it goes on, and by then it is cut off.
          process.pause();
          await world.sleep(100);
        }
        world.partition("cut");
        process.resume();
        world.process("other", read);
        await world.sleep(100);
        for (const payload of ["1", "2", "3"]) await world.bus.pubsub.publish("s", payload);
        await world.sleep(10_000);
        // Its handler never saw them: that burns no attempt.
        expect(seen.sort()).toEqual(["other 1 1", "other 2 1", "other 3 1"]);
      }, SLOW);
    },
  );

  it("a listener: what is sent meanwhile is lost, what comes after arrives", async () => {
    await play(async (world) => {
      const { bus } = world.process("p");
      const listener = await bus.pubsub.listen("news");
      world.partition("p");
      await world.bus.pubsub.notify("news", "lost");
      await world.sleep(10);
      world.mend("p");
      await world.bus.pubsub.notify("news", "heard");
      expect(toText((await next(listener)).payload)).toBe("heard");
    });
  });

  it("a server of requests: they time out, and those after it are answered", async () => {
    await play(async (world) => {
      await world.process("p").bus.rpc.serve("hello", ({ payload }) => payload);
      world.partition("p");
      const { rpc } = world.process("asking").bus;
      const lost = rpc.request("hello", "x", { timeoutMs: 500 });
      await expect(lost).rejects.toMatchObject({ code: "TIMEOUT" });
      world.mend("p");
      expect(toText((await rpc.request("hello", "x")).payload)).toBe("x");
    });
  });

  it("a watch: it goes on after the last change that it saw", async () => {
    await play(async (world) => {
      const { bus } = world.process("p");
      const watch = (await bus.kv.watch("b"))[Symbol.asyncIterator]();
      expect((await watch.next()).value?.type).toBe("initialDone");
      await world.bus.kv.put("b", "k", "1");
      world.partition("p");
      for (const value of ["2", "3"]) await world.bus.kv.put("b", "k", value);
      await world.sleep(10_000);
      world.mend("p");
      for (const revision of [1, 2, 3]) {
        expect((await watch.next()).value).toMatchObject({ type: "put", revision });
      }
    }, SLOW);
  });

  it("a watch: it keeps its order, whatever is lost, slow or late", async () => {
    const faults: FaultOptions = {
      delayMs: [1, 200],
      reorder: 0.5,
      slow: { chance: 0.3, forMs: [10, 500] },
      partition: { everyMs: [100, 500], forMs: [10, 200] },
      serverCrash: { everyMs: [500, 2_000], forMs: [10, 300] },
    };
    for (let seed = 1; seed <= 20; seed += 1) {
      const { value } = await simulate({ seed, faults }, async (world) => {
        const revisions: number[] = [];
        world.process("p", async ({ bus }) => {
          for await (const event of await bus.kv.watch("b", { afterRevision: 0 })) {
            if (event.type === "put") revisions.push(event.revision);
          }
        });
        for (let count = 1; count <= 50; count += 1) {
          await world.bus.kv.put("b", `k${count}`, "v");
          await world.sleep(50);
        }
        await world.sleep(30_000);
        return revisions;
      });
      expect(value, `seed ${seed}`).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    }
  });

  it("a watch: it ends when the bus is closed, also while it is cut off", async () => {
    await play(async (world) => {
      const { bus } = world.process("p");
      const watch = (await bus.kv.watch("b"))[Symbol.asyncIterator]();
      await watch.next();
      world.partition("p");
      await world.bus.kv.put("b", "k", "v");
      const waiting = watch.next();
      await bus.close({ drainMs: 0 });
      expect(await waiting).toMatchObject({ done: true });
    }, SLOW);
  });

  it("a lease: it is lost by its own clock, and cannot be renewed", async () => {
    await play(async (world) => {
      const { bus } = world.process("p");
      const lease = await bus.kv.lease("locks", "k", { ttlMs: 2_000 });
      world.partition("p");
      const beat = lease.heartbeat();
      await expect(beat).rejects.toMatchObject({ code: "LEASE_LOST" });
      expect(world.clock.monotonic()).toBeLessThan(2_000);
      expect(lease.lost.aborted).toBe(true);
      await world.bus.kv.lease("locks", "k", { ttlMs: 1_000, waitMs: 5_000 });
      expect(world.clock.monotonic()).toBeGreaterThanOrEqual(2_000);
    });
  });

  it("a status: it hears of the break and of its end, and so of the server's", async () => {
    await play(async (world) => {
      const { bus } = world.process("p");
      const status = bus.status()[Symbol.asyncIterator]();
      const seen = async (): Promise<BusStatus["type"] | undefined> =>
        (await status.next()).value?.type;
      expect(await seen()).toBe("connected");
      world.partition("p");
      // A second reason changes nothing.
      world.killServer();
      expect(await seen()).toBe("disconnected");
      let isBack = false;
      const connected = seen().then((type) => {
        isBack = true;
        return type;
      });
      world.mend("p");
      await world.sleep(1_000);
      expect(isBack).toBe(false);
      world.startServer();
      expect(await connected).toBe("connected");
    });
  });
});

describe("a server that is killed", () => {
  it("cuts everybody off until it is started, and so a process that is started meanwhile", async () => {
    await play(async (world) => {
      const old = world.process("old");
      world.killServer();
      expect(world.isServerUp).toBe(false);
      const young = world.process("young");
      const puts = [old, young].map(({ bus, name }) => bus.kv.put("b", name, "v"));
      await world.sleep(1_000);
      expect((await world.bus.kv.keys("b")).keys).toEqual([]);
      world.startServer();
      expect(await Promise.all(puts)).toEqual([1, 2]);
    });
  });

  it("forgets no more than the run allows", async () => {
    const lost = simulate({ seed: 1, unsyncedMs: 100 }, async (world) => {
      const { bus } = world.process("p");
      await bus.kv.put("b", "old", "v");
      await world.sleep(200);
      await bus.kv.put("b", "new", "v");
      world.killServer({ lostWritesMs: 100 });
      world.startServer();
      return (await bus.kv.keys("b")).keys;
    });
    expect((await lost).value).toEqual(["old"]);
    const tooFar = simulate({ seed: 1 }, async (world) => world.killServer({ lostWritesMs: 100 }));
    await expect(tooFar).rejects.toThrow(/lostWritesMs/);
  });
});
