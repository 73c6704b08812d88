import type { Message } from "@busbar/core";
import { describe, expect, it } from "vitest";
import {
  ALL_FAULTS,
  type FaultOptions,
  simulate,
  type TraceEvent,
  type World,
} from "../../src/index.ts";
import { next } from "../support.ts";
import { SMALL, workload } from "./checkers/workload.ts";

const play = <T>(faults: FaultOptions, scenario: (world: World) => Promise<T>) =>
  simulate({ seed: 1, faults, drain: false, trace: true }, scenario);

const often = { everyMs: [5_000, 10_000], forMs: [100, 1_000] } as const;

/** The faults that happen at a moment, and are counted; each so often that a short run has it. */
const COUNTED = {
  dropRequest: 0.05,
  dropReply: 0.05,
  dropSettle: 0.05,
  dropDelivery: 0.05,
  duplicate: 0.2,
  slow: { chance: 0.1, forMs: [50, 500] },
  partition: often,
  pause: often,
  crash: often,
  serverCrash: often,
} as const satisfies FaultOptions;

describe("every fault of ALL_FAULTS", () => {
  const fields = Object.keys(COUNTED) as (keyof typeof COUNTED)[];
  const counts = async (faults: FaultOptions): Promise<string[]> => {
    const run = { seed: 1, faults: { delayMs: [0.2, 20], ...faults }, drain: false } as const;
    const report = await simulate(run, (world) => workload(world, SMALL));
    return Object.keys(report.faults).sort();
  };

  it("is here", () => {
    const others = ["delayMs", "reorder", "skewMs", "clockDrift"];
    expect([...fields, ...others].sort()).toEqual(Object.keys(ALL_FAULTS).sort());
  });

  it.each(fields)("%s happens if it is asked for, and no other", async (field) => {
    expect(await counts({ [field]: COUNTED[field] })).toEqual([field]);
  });

  it.each(fields)("%s never happens if it is left out", async (field) => {
    const { [field]: _, ...faults } = COUNTED;
    const expected = fields.filter((other) => other !== field).sort();
    expect(await counts(faults)).toEqual(expected);
  });

  it("is left out if none is asked for: nothing takes time, nothing fails", async () => {
    const report = await play({}, async (world) => {
      const { bus } = world.process("p");
      for (let count = 0; count < 100; count += 1) await bus.pubsub.publish("s", "x");
      expect(world.clock.monotonic()).toBe(0);
    });
    expect(report.faults).toEqual({});
    expect(report.plan).toEqual([]);
    expect(report.trace.filter(({ type }) => type === "error")).toEqual([]);
  });
});

/** How long each call took, in the order of the calls. */
function durations(trace: readonly TraceEvent[]): number[] {
  const begun = new Map<number, number>();
  const took: number[] = [];
  for (const { type, call, atMs } of trace) {
    if (type === "call") begun.set(call, atMs);
    else if (type === "result") took.push(atMs - (begun.get(call) as number));
  }
  return took;
}

describe("delayMs and reorder", () => {
  /** Sends a hundred requests at once. @returns their order at the server */
  async function burst(world: World): Promise<number[]> {
    const { bus } = world.process("p");
    const acks = await Promise.all(Array.from({ length: 100 }, () => bus.pubsub.publish("s", "x")));
    return acks.map(({ sequence }) => sequence);
  }

  it("takes a while in each direction, never less and never more", async () => {
    const { trace, value } = await play({ delayMs: [5, 20] }, async (world) => {
      const { bus } = world.process("p");
      for (let count = 0; count < 100; count += 1) await bus.pubsub.publish("s", "x");
    });
    const took = durations(trace);
    expect(took).toHaveLength(100);
    expect(Math.min(...took)).toBeGreaterThanOrEqual(10);
    expect(Math.max(...took)).toBeLessThanOrEqual(40);
    expect(new Set(took).size).toBeGreaterThan(50);
    expect(value).toBeUndefined();
  });

  it("keeps the order of what a process sends, unless it is to overtake", async () => {
    const inOrder = Array.from({ length: 100 }, (_, index) => index + 1);
    expect((await play({ delayMs: [1, 50] }, burst)).value).toEqual(inOrder);
    const { value } = await play({ delayMs: [1, 50], reorder: 0.2 }, burst);
    expect(value).not.toEqual(inOrder);
    expect([...value].sort((a, b) => a - b)).toEqual(inOrder);
  });
});

describe("dropRequest and dropReply", () => {
  it("dropRequest: the call times out, nothing was done", async () => {
    await play({ dropRequest: 1 }, async (world) => {
      const { bus, clock } = world.process("p");
      const put = bus.kv.put("b", "k", "v");
      await expect(put).rejects.toMatchObject({ code: "TIMEOUT" });
      expect(clock.monotonic()).toBe(5_000);
      expect(await world.bus.kv.get("b", "k")).toBeUndefined();
      const publish = bus.pubsub.publish("s", "x", { timeoutMs: 300 });
      await expect(publish).rejects.toMatchObject({ code: "TIMEOUT" });
      expect(clock.monotonic()).toBe(5_300);
    });
  });

  it("dropReply: the call times out, it was done", async () => {
    await play({ dropReply: 1 }, async (world) => {
      const { bus } = world.process("p");
      await expect(bus.kv.put("b", "k", "v")).rejects.toMatchObject({ code: "TIMEOUT" });
      expect(await world.bus.kv.get("b", "k")).toMatchObject({ revision: 1 });
      await expect(bus.pubsub.publish("s", "x")).rejects.toMatchObject({ code: "TIMEOUT" });
      const subscription = await world.bus.pubsub.subscribe("s", { from: "all" });
      expect(await next(subscription)).toMatchObject({ sequence: 1 });
    });
  });
});

describe("dropSettle and dropDelivery", () => {
  /** Everything that a reader of one message gets. */
  async function deliveries(world: World): Promise<string[]> {
    const seen: string[] = [];
    world.process("reader", async ({ bus, clock }) => {
      const options = { durable: "d", ackWaitMs: 1_000, maxDeliveries: 3 };
      for await (const message of await bus.pubsub.subscribe("s", options)) {
        seen.push(`${message.deliveryCount} at ${clock.monotonic()}`);
        await message.ack();
      }
    });
    await world.bus.pubsub.publish("s", "x");
    await world.sleep(60_000);
    return seen;
  }

  it("dropSettle: what was acked comes again when its ack wait is over", async () => {
    const { value, faults } = await play({ dropSettle: 1 }, deliveries);
    expect(value).toEqual(["1 at 0", "2 at 1000", "3 at 2000"]);
    expect(faults["dropSettle"]).toBe(3);
  });

  it("dropSettle: an ack that is confirmed is none that is dropped", async () => {
    await play({ dropSettle: 1 }, async (world) => {
      const { bus } = world.process("p");
      await bus.jobs.enqueue("q", { payload: "x" });
      const [job] = await bus.jobs.claim("q", { workerId: "w" });
      await job?.ack({ confirm: true });
      expect(await world.bus.jobs.stats("q")).toMatchObject({ ready: 0, leased: 0 });
    });
  });

  it("dropDelivery: what the process never saw comes again, and counts", async () => {
    const faults = { dropDelivery: 0.5 };
    const seen = new Set<number>();
    for (let seed = 1; seed <= 20; seed += 1) {
      const run = { seed, faults, drain: false as const };
      const { value } = await simulate(run, async (world) => (await deliveries(world))[0]);
      const count = Number(value?.split(" ")[0] ?? 0);
      seen.add(count);
      if (count > 0) expect(value).toBe(`${count} at ${(count - 1) * 1_000}`);
    }
    // None of the three, or the first that came through.
    expect(seen).toEqual(new Set([0, 1, 2, 3]));
  });
});

describe("duplicate", () => {
  it("sends twice what the server knows by its id: nothing is doubled", async () => {
    const report = await play({ duplicate: 1, delayMs: [1, 5] }, async (world) => {
      const { bus } = world.process("p");
      for (let count = 0; count < 5; count += 1) {
        await bus.pubsub.publish("s", "x", { messageId: `m${count}` });
        await bus.jobs.enqueue("q", { payload: "x", dedupKey: `j${count}` });
      }
      await world.sleep(1_000);
      return bus.jobs.stats("q");
    });
    expect(report.faults).toEqual({ duplicate: 10 });
    expect(report.value.ready).toBe(5);
  });

  it.each([[[0, 0]], [[1, 5]]] as const)(
    "sends settles twice: the second one finds nothing, delays %j",
    async (delayMs) => {
      const report = await play({ duplicate: 1, delayMs }, async (world) => {
        const { bus } = world.process("p");
        await bus.jobs.enqueue("q", { payload: "x" });
        const attempts: number[] = [];
        for (let count = 0; count < 3; count += 1) {
          for (const job of await bus.jobs.claim("q", { workerId: "w", waitMs: 1_000 })) {
            attempts.push(job.attempt);
            await (job.attempt === 1 ? job.nak() : job.ack());
          }
        }
        return attempts;
      });
      expect(report.value).toEqual([1, 2]);
      expect(report.faults).toEqual({ duplicate: 2 });
    },
  );

  it("does so with nothing that has no id", async () => {
    const report = await play({ duplicate: 1 }, async (world) => {
      const { bus } = world.process("p");
      await bus.pubsub.publish("s", "x");
      await bus.jobs.enqueue("q", { payload: "x" });
      await bus.kv.put("b", "k", "v");
      return bus.jobs.stats("q");
    });
    expect(report.faults).toEqual({});
    expect(report.value.ready).toBe(1);
  });
});

describe("slow", () => {
  it("lets a delivery lie: its ack wait goes on meanwhile", async () => {
    const slow = { chance: 1, forMs: [400, 500] } as const;
    await play({ slow }, async (world) => {
      const { bus, clock } = world.process("p");
      const subscription = await bus.pubsub.subscribe("s", { durable: "d", ackWaitMs: 700 });
      await bus.pubsub.publish("s", "x");
      const message: Message = await next(subscription);
      expect(clock.monotonic()).toBeGreaterThanOrEqual(400);
      expect(clock.monotonic()).toBeLessThanOrEqual(500);
      await clock.sleep(299);
      await message.ack({ confirm: true }).catch(() => undefined);
      expect((await next(subscription)).deliveryCount).toBe(2);
    });
  });
});

describe("spells", () => {
  const spell = { everyMs: [10_000, 20_000], forMs: [1_000, 3_000] } as const;

  /** From when to when something lasted, by what the trace says. */
  function times(trace: readonly TraceEvent[], begin: string, end: string): [number, number][] {
    const found: [number, number][] = [];
    let beganAtMs: number | undefined;
    for (const { op, atMs } of trace) {
      if (op === begin) beganAtMs = atMs;
      else if (op.startsWith(end) && beganAtMs !== undefined) {
        found.push([beganAtMs, atMs]);
        beganAtMs = undefined;
      }
    }
    return found;
  }

  it.each([
    ["partition", "partition", "mended"],
    ["pause", "paused", "resumed"],
    ["crash", "killed", "started "],
    ["serverCrash", "serverCrash", "started"],
  ] as const)(
    "%s comes again and again, for as long as it is to last",
    async (field, begin, end) => {
      const { trace } = await play({ [field]: spell }, async (world) => {
        world.process("p", async ({ clock }) => {
          for (;;) await clock.sleep(60_000);
        });
        await world.sleep(600_000);
      });
      const found = times(
        trace.filter(({ atMs }) => atMs < 600_000),
        begin,
        end,
      );
      expect(found.length).toBeGreaterThan(600_000 / 23_000 - 2);
      let lastMs = 0;
      for (const [fromMs, toMs] of found) {
        expect(fromMs - lastMs).toBeGreaterThanOrEqual(10_000);
        expect(fromMs - lastMs).toBeLessThanOrEqual(20_000);
        expect(toMs - fromMs).toBeGreaterThanOrEqual(1_000);
        expect(toMs - fromMs).toBeLessThanOrEqual(3_000);
        lastMs = toMs;
      }
    },
  );

  it("crash: its process lives again and again; one without code is left alone", async () => {
    const lives: number[] = [];
    await play({ crash: spell }, async (world) => {
      world.process("p", ({ incarnation }) => void lives.push(incarnation));
      const { bus } = world.process("scenario");
      await world.sleep(120_000);
      await bus.kv.put("b", "k", "v");
    });
    expect(lives.length).toBeGreaterThan(4);
    expect(lives).toEqual(lives.map((_, index) => index + 1));
  });

  it("crash: what the scenario killed stays dead", async () => {
    const lives: number[] = [];
    await play({ crash: spell }, async (world) => {
      const process = world.process("p", ({ incarnation }) => void lives.push(incarnation));
      process.kill();
      await world.sleep(120_000);
    });
    expect(lives).toEqual([1]);
  });

  it("serverCrash: forgets the settles of its window, and no writes unless asked to", async () => {
    const run = async (loss: object): Promise<{ jobs: number; key: boolean }> => {
      const crash = { everyMs: [1_000, 1_000], forMs: [100, 100], ...loss } as const;
      const { value } = await play({ serverCrash: crash }, async (world) => {
        const { bus } = world.process("p");
        await bus.jobs.enqueue("q", { payload: "x" });
        await world.sleep(950);
        const [job] = await bus.jobs.claim("q", { workerId: "w", leaseMs: 10_000 });
        await job?.ack({ confirm: true });
        await bus.kv.put("b", "k", "v");
        await world.sleep(200);
        const { leased } = await bus.jobs.stats("q");
        return { jobs: leased, key: (await bus.kv.get("b", "k")) !== undefined };
      });
      return value;
    };
    expect(await run({})).toEqual({ jobs: 0, key: true });
    expect(await run({ lostSettlesMs: 100 })).toEqual({ jobs: 1, key: true });
    expect(await run({ lostSettlesMs: 10 })).toEqual({ jobs: 0, key: true });
    expect(await run({ lostSettlesMs: 100, lostWritesMs: 100 })).toEqual({ jobs: 1, key: false });
  });

  it("serverCrash: nothing falls due while it is down", async () => {
    await play({}, async (world) => {
      await world.bus.jobs.enqueue("q", { payload: "x", delayMs: 1_000 });
      world.killServer();
      await world.sleep(10_000);
      expect(world.isServerUp).toBe(false);
      expect(await world.bus.jobs.stats("q")).toMatchObject({ delayed: 1, ready: 0 });
      world.startServer();
      await world.sleep(1);
      expect(await world.bus.jobs.stats("q")).toMatchObject({ delayed: 0, ready: 1 });
    });
  });
});
