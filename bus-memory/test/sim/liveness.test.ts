import { describe, expect, it } from "vitest";
import {
  ALL_FAULTS,
  type Checker,
  type FaultOptions,
  type ProcessContext,
  simulate,
  type SimulateOptions,
  type World,
} from "../../src/index.ts";
import { attempt } from "./checkers/workload.ts";

/** Takes jobs for ever, whatever goes wrong. */
async function worker({ bus, clock, name, signal }: ProcessContext): Promise<void> {
  while (!signal.aborted) {
    const claim = { workerId: name, leaseMs: 5_000, waitMs: 1_000 };
    for (const job of (await attempt(() => bus.jobs.claim("q", claim))) ?? []) {
      await clock.sleep(100);
      await attempt(() => job.ack({ confirm: true }));
    }
    await clock.sleep(10);
  }
}

async function queueJobs(world: World, count: number): Promise<void> {
  const { bus } = world;
  for (let n = 0; n < count; n += 1)
    await bus.jobs.enqueue("q", { payload: `${n}`, maxAttempts: 50 });
}

const never = { everyMs: [80_000_000, 80_000_000], forMs: [1, 1] } as const;

describe("liveness: when the scenario has returned", () => {
  it("everything is healed, and what is left is done", async () => {
    const long = { everyMs: [100, 200], forMs: [50_000_000, 50_000_000] } as const;
    const faults: FaultOptions = { partition: long, pause: long, crash: long, serverCrash: long };
    const { value, trace } = await simulate({ seed: 1, faults, trace: true }, async (world) => {
      for (const name of ["w1", "w2"]) world.process(name, worker);
      await world.sleep(10_000);
      expect(world.isServerUp).toBe(false);
      await queueJobs(world, 20);
      return world;
    });
    expect(value.isServerUp).toBe(true);
    expect([...value.processes].map(({ name }) => name)).toEqual(["w1", "w2"]);
    expect(await value.bus.jobs.stats("q").catch(() => "closed")).toBe("closed");
    const healed = trace.findIndex(({ op }) => op === "healed");
    const after = trace.slice(healed);
    expect(after.filter(({ op, type }) => op === "job.ack" && type === "result")).toHaveLength(20);
    expect(after.filter(({ type }) => type === "fault")).toEqual([]);
  });

  it.each([
    ["cut off", (world: World) => world.partition("w")],
    ["paused", (world: World) => [...world.processes][0]?.pause()],
    ["without its server", (world: World) => world.killServer()],
  ])("a process that the scenario left %s goes on", async (_, leave) => {
    const { trace } = await simulate(
      { seed: 1, faults: { pause: never }, trace: true, drainWithinMs: 60_000 },
      async (world) => {
        world.process("w", worker);
        await world.sleep(1_000);
        leave(world);
        await queueJobs(world, 3);
        await world.sleep(1_000);
      },
    );
    expect(trace.filter(({ op, type }) => op === "job.ack" && type === "result")).toHaveLength(3);
  });

  it("nothing goes wrong any more: no fault, and the shortest delays", async () => {
    const faults = { ...ALL_FAULTS, delayMs: [2, 100], dropRequest: 0.3 } as const;
    const { trace } = await simulate({ seed: 4, faults, trace: true }, async (world) => {
      world.process("w", worker);
      await world.sleep(60_000);
      await queueJobs(world, 20);
    });
    const healedAtMs = trace.find(({ op }) => op === "healed")?.atMs ?? 0;
    const began = new Map(
      trace
        .filter(({ type, atMs, op }) => type === "call" && atMs > healedAtMs && op === "job.ack")
        .map(({ call, atMs }) => [call, atMs] as const),
    );
    expect(began.size).toBe(20);
    for (const { type, call, atMs } of trace) {
      const fromMs = began.get(call);
      if (type === "result" && fromMs !== undefined) expect(atMs - fromMs).toBeCloseTo(4, 6);
    }
    expect(trace.filter(({ type, atMs }) => type === "fault" && atMs > healedAtMs)).toEqual([]);
  });

  it("what a fault killed is started again, what the scenario killed stays dead", async () => {
    const crash = { everyMs: [1_000, 1_000], forMs: [50_000_000, 50_000_000] } as const;
    const lives: string[] = [];
    await simulate({ seed: 1, faults: { crash } }, async (world) => {
      for (const name of ["one", "other"]) {
        const process = world.process(
          name,
          ({ incarnation }) => void lives.push(`${name}/${incarnation}`),
        );
        if (name === "other") process.kill();
      }
      await world.sleep(5_000);
      expect([...world.processes].map(({ state }) => state)).toEqual(["killed", "killed"]);
    });
    expect(lives).toEqual(["one/1", "other/1", "one/2"]);
  });

  it("fails if work does not drain, with what is left and who waits for what", async () => {
    const stuck = simulate({ seed: 1, faults: { pause: never } }, async (world) => {
      await queueJobs(world, 3);
      world.process("idle", async ({ bus, signal }) => {
        while (!signal.aborted) await bus.jobs.claim("other", { workerId: "w", waitMs: 60_000 });
      });
    });
    const error = await stuck.catch((failure: unknown) => failure);
    expect(error).toMatchObject({ by: "liveness" });
    const [first, ...lines] = String(error).split("\n");
    expect(first).toMatch(/liveness: not at rest 600000 ms after everything was healed$/);
    expect(lines).toContain("  queue q: 3 ready, 0 delayed, 0 leased");
    expect(lines.join()).toMatch(/idle \(running\) waits for jobs\.claim other since \+/);
  });

  it("fails if a durable with a subscription has something left; without one it does not", async () => {
    const run = (read: boolean) =>
      simulate({ seed: 1, faults: { pause: never }, drainWithinMs: 20_000 }, async (world) => {
        world.process("reader", async ({ bus, clock }) => {
          const subscription = await bus.pubsub.subscribe("s", { durable: "d", ackWaitMs: 1_000 });
          if (!read) return void (await subscription.close());
          for await (const _ of subscription) await clock.sleep(1e9);
        });
        await world.bus.pubsub.publish("s", "x");
      });
    await expect(run(true)).rejects.toThrow(/durable d on s: 1 not settled/);
    await run(false);
  });

  it("waits for a condition of one's own, or for none", async () => {
    const asked: number[] = [];
    const options = (drain: NonNullable<SimulateOptions["drain"]>): SimulateOptions => ({
      seed: 1,
      faults: { pause: never },
      drain,
      drainWithinMs: 5_000,
    });
    const later = options((world) => {
      asked.push(world.clock.monotonic());
      return world.clock.monotonic() >= 1_000;
    });
    const { virtualMs } = await simulate(later, async (world) => queueJobs(world, 1));
    expect(virtualMs).toBe(1_000);
    expect(asked).toEqual(Array.from({ length: 11 }, (_, index) => index * 100));
    await expect(
      simulate(
        options(() => false),
        async () => undefined,
      ),
    ).rejects.toThrow(/not at rest 5000 ms after/);
    await simulate(options(false), async (world) => queueJobs(world, 1));
  });

  it("is left out where there are no faults, unless it is asked for", async () => {
    const drained: boolean[] = [];
    const checkers = (): Checker[] => [
      {
        name: "asks",
        event: () => undefined,
        finish: ({ drained: was }) => (drained.push(was), []),
      },
    ];
    await simulate({ seed: 1, checkers }, async (world) => queueJobs(world, 1));
    await simulate({ seed: 1, checkers, drain: (world) => !world.isAtRest() }, (world) =>
      queueJobs(world, 1),
    );
    await simulate({ seed: 1, checkers, faults: ALL_FAULTS }, async () => undefined);
    await simulate({ seed: 1, checkers, faults: ALL_FAULTS, drain: false }, async () => undefined);
    expect(drained).toEqual([false, true, true, false]);
  });
});

describe("checkers of a run", () => {
  const once = (found: Partial<Checker>) => (): Checker[] => [
    { name: "mine", event: () => undefined, ...found },
  ];

  it("see every event as it happens, and end the run where something is wrong", async () => {
    let seen = 0;
    let hasEnded = false;
    const event: Checker["event"] = ({ op }) => {
      seen += 1;
      return op === "kv.put" ? "no puts" : undefined;
    };
    const run = simulate({ seed: 1, checkers: once({ event }) }, async (world) => {
      const { bus } = world.process("p");
      await bus.kv.get("b", "k");
      await bus.kv.put("b", "k", "v");
      await world.sleep(1_000);
      hasEnded = true;
    });
    await expect(run).rejects.toMatchObject({ by: "mine", message: "seed 1: mine: no puts" });
    expect(seen).toBeGreaterThanOrEqual(4);
    expect(hasEnded).toBe(false);
  });

  it("look at the end with a bus without faults, and tell everything", async () => {
    const finish: Checker["finish"] = async ({ bus }) => {
      const { ready } = await bus.jobs.stats("q");
      return [`${ready} left`, "and more"];
    };
    const faults = { dropRequest: 1 };
    const run = simulate({ seed: 1, faults, drain: false, checkers: once({ finish }) }, (world) =>
      queueJobs(world, 2),
    );
    await expect(run).rejects.toThrow("seed 1: mine: 2 left; and more");
  });

  it("are made anew for each of two runs", async () => {
    let made = 0;
    const checkers = (): Checker[] => {
      made += 1;
      return [];
    };
    await simulate({ seed: 1, checkers, twice: true }, async () => undefined);
    expect(made).toBe(2);
  });
});
