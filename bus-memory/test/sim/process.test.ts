import { toText } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { type ProcessContext, simulate, type World } from "../../src/index.ts";

const play = <T>(scenario: (world: World) => Promise<T>, faults = {}) =>
  simulate({ seed: 1, faults, drain: false }, scenario);

/** Writes down when it claims which attempt, and keeps the job. */
function claims(log: string[]) {
  return async ({ name, incarnation, bus, clock, signal }: ProcessContext): Promise<void> => {
    while (!signal.aborted) {
      const options = { workerId: name, leaseMs: 30_000, waitMs: 600_000 };
      for (const job of await bus.jobs.claim("q", options)) {
        log.push(`${name}/${incarnation} attempt ${job.attempt} at ${clock.monotonic()}`);
        await clock.sleep(60_000);
      }
    }
  };
}

describe("a process", () => {
  it("has a name, a bus, a clock and randomness of its own, the same in every run", async () => {
    const numbers: number[] = [];
    const run = () =>
      play(async (world) => {
        const main = ({ name, incarnation, random }: ProcessContext): void => {
          expect(incarnation).toBe(1);
          expect(["one", "other"]).toContain(name);
          numbers.push(random.next());
        };
        const processes = ["one", "other"].map((name) => world.process(name, main));
        await Promise.all(processes.map(({ done }) => done));
        expect(processes[0]?.bus).not.toBe(processes[1]?.bus);
        expect([...world.processes]).toEqual(processes);
      });
    await run();
    await run();
    const [one, other] = numbers;
    expect(one).not.toBe(other);
    expect(numbers).toEqual([one, other, one, other]);
  });

  it("has a name that nobody else has", async () => {
    const twice = play(async (world) => {
      world.process("p");
      world.process("p");
    });
    await expect(twice).rejects.toThrow("there is a process p already");
    const nobody = play(async (world) => {
      world.process("p");
      world.partition("x");
    });
    await expect(nobody).rejects.toThrow("there is no process x; there are: p");
  });

  it("whose code returns lives on: what it serves goes on", async () => {
    await play(async (world) => {
      const process = world.process("p", async ({ bus }) => {
        await bus.rpc.serve("hello", ({ payload }) => payload);
      });
      await process.done;
      expect(process.state).toBe("running");
      const reply = await world.process("other").bus.rpc.request("hello", "x");
      expect(toText(reply.payload)).toBe("x");
      process.kill();
      await world.sleep(1);
      const asked = world.bus.rpc.request("hello", "x");
      await expect(asked).rejects.toMatchObject({ code: "NO_RESPONDERS" });
    });
  });

  it("may have a namespace of its own", async () => {
    await play(async (world) => {
      const apart = world.process("apart", undefined, { namespace: "other" });
      await apart.bus.kv.put("b", "k", "v");
      expect(await world.bus.kv.get("b", "k")).toBeUndefined();
    });
    const bad = play(async (world) => void world.process("p", undefined, { namespace: "a b" }));
    await expect(bad).rejects.toThrow(/namespace/);
  });

  it("whose code throws ends the run as a failure that names it", async () => {
    const failing = play(async (world) => {
      world.process("billing", async ({ clock }) => {
        await clock.sleep(10);
        throw new Error("no money");
      });
      await world.sleep(60_000);
    });
    const error = await failing.catch((failure: unknown) => failure);
    expect(error).toMatchObject({ by: "process", seed: 1 });
    expect(String(error)).toContain("seed 1: process: process billing failed: no money");
    expect(error).toHaveProperty("cause.cause.message", "no money");
  });
});

describe("a process that is paused", () => {
  it("stands still while time goes on: timers are late, nothing reaches it", async () => {
    await play(async (world) => {
      const log: string[] = [];
      const process = world.process("p", async ({ bus, clock }) => {
        const subscription = await bus.pubsub.subscribe("s");
        const reading = (async () => {
          for await (const message of subscription) {
            log.push(`message ${message.sequence} at ${clock.monotonic()}`);
          }
        })();
        for (let count = 0; count < 3; count += 1) {
          await clock.sleep(1_000);
          log.push(`tick at ${clock.monotonic()}`);
        }
        await subscription.close();
        await reading;
      });
      await world.sleep(500);
      process.pause();
      expect(process.state).toBe("paused");
      await world.process("other").bus.pubsub.publish("s", "x");
      await world.sleep(4_500);
      expect(log).toEqual([]);
      process.resume();
      expect(process.state).toBe("running");
      await process.done;
      expect(log).toEqual(["message 1 at 5000", "tick at 5000", "tick at 6000", "tick at 7000"]);
    });
  });

  it("finds its lease over, although nothing has told it", async () => {
    await play(async (world) => {
      const process = world.process("holder");
      const lease = await process.bus.kv.lease("locks", "k", { ttlMs: 1_000 });
      process.pause();
      await world.sleep(5_000);
      const successor = await world.bus.kv.lease("locks", "k", { ttlMs: 1_000 });
      expect(successor.fence).toBeGreaterThan(lease.fence);
      process.resume();
      expect(lease.lost.aborted).toBe(true);
      await expect(lease.heartbeat()).rejects.toMatchObject({ code: "LEASE_LOST" });
    });
  });
});

describe("a process that is killed", () => {
  it("stops where it waits: no line after, no finally, nothing is given back", async () => {
    await play(async (world) => {
      const log: string[] = [];
      const process = world.process("p", async ({ bus, clock }) => {
        try {
          await bus.kv.lease("locks", "k", { ttlMs: 10_000 });
          log.push("held");
          await clock.sleep(1_000);
          log.push("after");
        } finally {
          log.push("finally");
        }
      });
      await world.sleep(500);
      process.kill();
      expect(process.state).toBe("killed");
      await world.sleep(60_000);
      expect(log).toEqual(["held"]);
    });
  });

  it("keeps its leases until they run out by themselves", async () => {
    const log: string[] = [];
    await play(async (world) => {
      await world.bus.jobs.enqueue("q", { payload: "x" });
      const process = world.process("w1", claims(log));
      const held = world.process("w2");
      await held.bus.kv.lease("locks", "k", { ttlMs: 10_000 });
      await world.sleep(1_000);
      process.kill();
      held.kill();
      await expect(world.bus.kv.lease("locks", "k", { ttlMs: 1_000 })).rejects.toMatchObject({
        code: "LEASE_HELD",
      });
      world.process("w3", claims(log));
      await world.sleep(8_999);
      const lease = await world.bus.kv.lease("locks", "k", { ttlMs: 1_000, waitMs: 60_000 });
      const waitedMs = world.clock.monotonic();
      expect(waitedMs).toBeGreaterThanOrEqual(10_000);
      expect(waitedMs).toBeLessThanOrEqual(10_001);
      await lease.release();
      await world.sleep(50_000);
    });
    expect(log).toEqual(["w1/1 attempt 1 at 0", "w3/1 attempt 2 at 30000"]);
  });

  it("gets nothing of what was under way", async () => {
    await play(
      async (world) => {
        const log: string[] = [];
        const process = world.process("p", async ({ bus }) => {
          await bus.pubsub.publish("s", "x");
          log.push("answered");
        });
        // It has asked, the answer takes until +20.
        await world.sleep(15);
        process.kill();
        await world.sleep(1_000);
        expect(log).toEqual([]);
        const subscription = await world.bus.pubsub.subscribe("s", { from: "all" });
        const { value } = await subscription[Symbol.asyncIterator]().next();
        expect(value?.sequence).toBe(1);
      },
      { delayMs: [10, 10] },
    );
  });

  it("does not end the run by what its code throws after that", async () => {
    await play(async (world) => {
      const process = world.process("p", async () => {
        // Neither its bus nor its clock: nothing holds it back.
        await world.sleep(100);
        throw new Error("too late");
      });
      await world.sleep(50);
      process.kill();
      await world.sleep(1_000);
    });
  });

  it("is killed once; a process that has ended, too", async () => {
    const { trace } = await simulate({ seed: 1, trace: true }, async (world) => {
      const process = world.process("p", () => undefined);
      await process.done;
      process.kill();
      process.kill();
      await process.stop();
      expect(process.state).toBe("killed");
    });
    const notes = trace.map(({ op }) => op);
    expect(notes.slice(0, 3)).toEqual(["started 1", "returned", "killed"]);
    expect(notes.filter((note) => note === "killed")).toHaveLength(1);
  });
});

describe("a process that is started again", () => {
  it("begins anew with another bus and clock, and counts its lives", async () => {
    const log: string[] = [];
    await play(async (world) => {
      await world.bus.jobs.enqueue("q", { payload: "x" });
      const process = world.process("w", claims(log));
      const { bus, clock } = process;
      await world.sleep(1_000);
      process.kill();
      await world.sleep(1_000);
      process.restart();
      expect(process.state).toBe("running");
      expect(process.bus).not.toBe(bus);
      expect(process.clock).not.toBe(clock);
      await world.sleep(40_000);
      // Without a kill before it, it is one.
      process.restart();
      await world.sleep(60_000);
    });
    expect(log).toEqual(["w/1 attempt 1 at 0", "w/2 attempt 2 at 30000", "w/3 attempt 3 at 60000"]);
  });

  it("is another source of randomness", async () => {
    const numbers = new Set<number>();
    await play(async (world) => {
      const process = world.process("p", ({ random }) => void numbers.add(random.next()));
      process.restart();
      process.restart();
      await process.done;
    });
    expect(numbers.size).toBe(3);
  });
});

describe("a process that is stopped", () => {
  it("is told, and may end its work; its bus is closed then", async () => {
    await play(async (world) => {
      const log: string[] = [];
      const process = world.process("p", async ({ signal, clock, bus }) => {
        while (!signal.aborted) await clock.sleep(1_000);
        await bus.pubsub.publish("s", "last words");
        log.push(`ended at ${clock.monotonic()}`);
      });
      await world.sleep(1_500);
      await process.stop();
      expect(log).toEqual(["ended at 2000"]);
      expect(process.state).toBe("ended");
      await expect(process.bus.pubsub.publish("s", "x")).rejects.toMatchObject({ code: "CLOSED" });
    });
  });

  it("goes on first if it was paused", async () => {
    await play(async (world) => {
      const process = world.process("p", async ({ signal, clock }) => {
        while (!signal.aborted) await clock.sleep(1_000);
      });
      process.pause();
      await world.sleep(10_000);
      await process.stop();
      expect(process.state).toBe("ended");
    });
  });
});

describe("the clock of a process", () => {
  const skewed = { skewMs: 5_000, clockDrift: 0.1 };

  it("is off by up to what was asked for, either way, and the world's is not", async () => {
    const offsets: number[] = [];
    const rates: number[] = [];
    const main = async (world: World): Promise<void> => {
      const processes = Array.from({ length: 40 }, (_, index) => world.process(`p${index}`));
      const startMs = world.clock.now();
      for (const { clock } of processes) offsets.push(clock.now() - startMs);
      await world.sleep(10_000);
      expect(world.clock.now()).toBe(startMs + 10_000);
      for (const [index, { clock }] of processes.entries()) {
        const rate = clock.monotonic() / 10_000;
        rates.push(rate);
        // The wall clock drifts as the monotonic one does.
        const wallMs = clock.now() - startMs - (offsets[index] as number);
        expect(Math.abs(wallMs - 10_000 * rate)).toBeLessThanOrEqual(1);
      }
    };
    await play(main, skewed);
    for (const [values, middle, most] of [
      [offsets, 0, 5_000],
      [rates, 1, 0.1],
    ] as const) {
      expect(Math.min(...values)).toBeLessThan(middle - most / 2);
      expect(Math.max(...values)).toBeGreaterThan(middle + most / 2);
      expect(Math.min(...values)).toBeGreaterThanOrEqual(middle - most);
      expect(Math.max(...values)).toBeLessThanOrEqual(middle + most);
      // All are wrong in a way of their own; wall clocks show whole milliseconds.
      expect(new Set(values).size).toBeGreaterThan(30);
    }
    offsets.length = 0;
    rates.length = 0;
    await play(main);
    expect(new Set([...offsets, ...rates])).toEqual(new Set([0, 1]));
  });

  it("keeps its own time: it sleeps by its own rate, and never wakes too early", async () => {
    await play(async (world) => {
      for (let index = 0; index < 20; index += 1) {
        const { clock } = world.process(`p${index}`);
        const [ownMs, worldMs] = [clock.monotonic(), world.clock.monotonic()];
        await clock.sleep(1_000);
        const rate = clock.monotonic() / world.clock.monotonic();
        expect(clock.monotonic() - ownMs).toBeGreaterThanOrEqual(1_000);
        expect(clock.monotonic() - ownMs).toBeLessThan(1_000.01);
        expect(world.clock.monotonic() - worldMs).toBeCloseTo(1_000 / rate, 3);
      }
    }, skewed);
  });

  it("is another one after a restart of the process, as far as its drift goes", async () => {
    await play(async (world) => {
      const process = world.process("p", () => undefined);
      const rates = new Set<number>();
      for (let count = 0; count < 5; count += 1) {
        await world.sleep(1_000);
        rates.add(process.clock.monotonic() / world.clock.monotonic());
        process.restart();
      }
      expect(rates.size).toBeGreaterThan(1);
    }, skewed);
  });

  it("does not change how long a lease lasts at the server", async () => {
    const log: string[] = [];
    await play(async (world) => {
      await world.bus.jobs.enqueue("q", { payload: "x" });
      const process = world.process("w1", async ({ bus }) => {
        await bus.jobs.claim("q", { workerId: "w1", leaseMs: 30_000 });
      });
      await process.done;
      process.kill();
      const other = world.process("w2");
      await other.bus.jobs.claim("q", { workerId: "w2", waitMs: 600_000 });
      log.push(`${world.clock.monotonic()}`);
    }, skewed);
    expect(log).toEqual(["30000"]);
  });
});
