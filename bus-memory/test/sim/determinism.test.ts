import { describe, expect, it } from "vitest";
import { ALL_FAULTS, type Draw, simulate, type World } from "../../src/index.ts";
import { Draws } from "../../src/sim/draws.ts";
import { SMALL, workload } from "./checkers/workload.ts";

const faults = ALL_FAULTS;

function busy(seed: number, plan?: readonly Draw[]) {
  const options = { seed, faults, trace: true, drain: false, ...(plan && { plan }) } as const;
  return simulate(options, (world) => workload(world, SMALL));
}

describe("a seed", () => {
  it("gives one run: the same hash, trace and counts", async () => {
    for (const seed of [1, 0xffff_ffff]) {
      const [one, other] = [await busy(seed), await busy(seed)];
      expect(other).toEqual(one);
      expect(one.trace.length).toBeGreaterThan(500);
      expect(one.seed).toBe(seed);
    }
  });

  it("gives another run than another seed", async () => {
    const hashes = new Set<number>();
    for (let seed = 1; seed <= 10; seed += 1) hashes.add((await busy(seed)).hash);
    expect(hashes.size).toBe(10);
  });

  it("gives the same run whether somebody watches or not", async () => {
    const { hash } = await busy(1);
    const quiet = await simulate({ seed: 1, faults, drain: false }, (world) =>
      workload(world, SMALL),
    );
    expect(quiet.hash).toBe(hash);
    expect(quiet.trace).toEqual([]);
  });

  it("gives a hash that tells when things happened", async () => {
    const hashOf = async (ms: number): Promise<number> => {
      const { hash } = await simulate({ seed: 1 }, async (world) => {
        const { bus } = world.process("p");
        await world.sleep(ms);
        await bus.kv.put("b", "k", "v");
      });
      return hash;
    };
    expect(await hashOf(2)).toBe(await hashOf(2));
    expect(await hashOf(2)).not.toBe(await hashOf(3));
  });

  it("is drawn if it is not given, and named in what fails", async () => {
    const seeds = new Set<number>();
    for (let run = 0; run < 5; run += 1) {
      const { seed } = await simulate({}, async () => undefined);
      expect(Number.isInteger(seed) && seed >= 0 && seed <= 0xffff_ffff).toBe(true);
      seeds.add(seed);
    }
    expect(seeds.size).toBeGreaterThan(1);
    const error = await simulate({}, async (world) => {
      throw new Error(`of ${world.seed}`);
    }).catch((failure: unknown) => String(failure));
    expect(error).toMatch(/seed (\d+): scenario: of \1$/);
  });

  it("gives its trace in the order of time, each end with the call it belongs to", async () => {
    const { trace } = await busy(3);
    const open = new Set<number>();
    let lastMs = 0;
    for (const { type, call, atMs } of trace) {
      expect(atMs).toBeGreaterThanOrEqual(lastMs);
      lastMs = atMs;
      if (type === "call") open.add(call);
      else if (type === "result" || type === "error") expect(open.delete(call)).toBe(true);
      else expect(call).toBe(0);
    }
  });
});

describe("twice", () => {
  /** A network on which every call makes draws. */
  const twice = (scenario: (world: World) => Promise<unknown>) =>
    simulate({ seed: 1, faults: { delayMs: [1, 10] }, twice: true }, scenario);

  it("passes where everything is from the seed", async () => {
    const report = await simulate({ seed: 1, faults, twice: true }, (world) =>
      workload(world, SMALL),
    );
    expect(report.hash).toBe((await simulate({ seed: 1, faults }, (w) => workload(w, SMALL))).hash);
  });

  it("names the first draw and the first event that differ", async () => {
    let runs = 0;
    const planted = twice(async (world) => {
      runs += 1;
      const { bus } = world.process("p");
      await bus.kv.put("b", "k", "v");
      // What outlives a run, as a cache does.
      if (runs === 1) await bus.kv.get("b", "k");
      await world.process("q").bus.kv.put("b", "k", "w");
    });
    await expect(planted).rejects.toMatchObject({
      by: "determinism",
      message: expect.stringMatching(
        /^seed 1: determinism: draw 2 differs: p\/out\[1\] = [\d.]+ in the first run, q\/out\[0\] = [\d.]+ in the second; event \d differs: \+[\d.]+ p -> kv\.get #2 b\/k in the first run, \+[\d.]+ q -- started 1 /,
      ) as string,
    });
  });

  it.each([
    ["Math.random", () => Math.random()],
    ["Date.now", () => (Date.now() * 0.618) % 1],
    ["performance.now", () => performance.now() % 1],
  ])("finds %s, in times, in branches and in what is sent", async (_, planted) => {
    const scenarios: ((world: World) => Promise<unknown>)[] = [
      async (world) => {
        const { bus, clock } = world.process("p");
        await busyMoment();
        await clock.sleep(planted() * 1_000);
        await bus.kv.put("b", "k", "v");
      },
      async (world) => {
        const { bus } = world.process("p");
        for (let count = 0; count < 100; count += 1) {
          await busyMoment();
          await (planted() < 0.5 ? bus.kv.get("b", "k") : bus.kv.put("b", "k", "v"));
        }
      },
      async (world) => {
        await busyMoment();
        await world.process("p").bus.kv.put("b", "k", `${planted()}`);
      },
    ];
    for (const scenario of scenarios) {
      await expect(twice(scenario)).rejects.toMatchObject({
        by: "determinism",
        message: expect.stringMatching(/event \d+ differs: .* in the first run, /) as string,
      });
    }
  });

  it("gives the failure itself if the first run fails", async () => {
    let runs = 0;
    const failing = twice(async () => {
      runs += 1;
      throw new Error("wrong");
    });
    await expect(failing).rejects.toMatchObject({ by: "scenario" });
    expect(runs).toBe(1);
  });
});

/** Takes a few milliseconds of real time, so that real clocks have moved. */
async function busyMoment(): Promise<void> {
  const startedAt = performance.now();
  while (performance.now() - startedAt < 2);
}

describe("a plan", () => {
  it("gives the run again that it is from, whatever the seed says", async () => {
    const first = await busy(2);
    expect(first.plan.length).toBeGreaterThan(500);
    const again = await busy(2, first.plan);
    expect(again.hash).toBe(first.hash);
    expect(again.trace).toEqual(first.trace);
    expect(again.plan).toEqual(first.plan);
  });

  it("survives JSON", async () => {
    const first = await busy(2);
    const again = await busy(2, JSON.parse(JSON.stringify(first.plan)) as Draw[]);
    expect(again.hash).toBe(first.hash);
  });

  it("that is empty is a run without faults, at the shortest delays", async () => {
    const report = await busy(2, []);
    expect(report.faults).toEqual({});
    expect(report.plan).toEqual([]);
  });

  it("makes just the faults happen that it names", async () => {
    const plan = [{ label: "p/dropReply", index: 1, value: 1 }];
    const options = { seed: 5, faults: { dropReply: 0.5, dropRequest: 0.5 }, plan };
    const { faults: counts } = await simulate({ ...options, drain: false }, async (world) => {
      const { bus } = world.process("p");
      await bus.kv.put("b", "k", "1");
      await expect(bus.kv.put("b", "k", "2")).rejects.toMatchObject({ code: "TIMEOUT" });
      await bus.kv.put("b", "k", "3");
    });
    expect(counts).toEqual({ dropReply: 1 });
  });

  it("is in the failure of a run: with it the run fails again", async () => {
    const fragile = (plan?: readonly Draw[]) =>
      simulate(
        { seed: 3, faults: { dropReply: 0.2 }, drain: false, ...(plan && { plan }) },
        async (world) => {
          const { bus } = world.process("p");
          for (let count = 0; count < 50; count += 1) await bus.kv.put("b", `k${count}`, "v");
        },
      ).then(
        () => undefined,
        (error: { message: string; plan: readonly Draw[] }) => error,
      );
    const first = await fragile();
    expect(first?.message).toMatch(/seed 3: scenario: .*kv.put b\/k\d+/);
    expect((await fragile(first?.plan))?.message).toBe(first?.message);
    expect(await fragile([])).toBeUndefined();
  });
});

describe("Draws", () => {
  it("has a stream for each label: one draw more changes nothing under the others", () => {
    const values = (more: boolean): number[] => {
      const draws = new Draws(7);
      if (more) draws.between("other", 0, 1);
      return [draws.between("a", 0, 10), draws.between("b", 0, 10), draws.between("a", 0, 10)];
    };
    expect(values(true)).toEqual(values(false));
    expect(new Set(values(true)).size).toBe(3);
  });

  it("draws within its bounds, and as often as it is asked to", () => {
    const draws = new Draws(7);
    let happened = 0;
    for (let count = 0; count < 10_000; count += 1) {
      const value = draws.between("x", 5, 6);
      expect(value).toBeGreaterThanOrEqual(5);
      expect(value).toBeLessThanOrEqual(6);
      if (draws.chance("y", 0.1)) happened += 1;
    }
    expect(happened).toBeGreaterThan(900);
    expect(happened).toBeLessThan(1_100);
    expect(draws.plan.filter(({ label }) => label === "y")).toHaveLength(happened);
  });

  it("draws nothing where there is nothing to decide", () => {
    const draws = new Draws(7, { keepLog: true });
    expect(draws.chance("never", 0)).toBe(false);
    expect(draws.between("fixed", 3, 3)).toBe(3);
    expect(draws.log).toEqual([]);
  });

  it("is quiet from some moment on: the shortest delays, no faults", () => {
    const draws = new Draws(7);
    draws.silence();
    expect(draws.chance("x", 1)).toBe(false);
    expect(draws.between("x", 2, 9)).toBe(2);
  });
});
