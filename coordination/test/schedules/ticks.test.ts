import { BusError, openBus, toText, VirtualClock } from "@busbar/core";
import { afterEach, describe, expect, it } from "vitest";
import {
  LeaderElection,
  Schedules,
  type SchedulesParts,
  TaskQueue,
  TenantDirectory,
  type TenantQuotas,
  TenantRegistry,
  type TickOutcome,
} from "../../src/index.ts";
import { laneQueue } from "../../src/tasks/lanes.ts";
import { toTask } from "../../src/tasks/task-wire.ts";
import { errorOf } from "../support/backends.ts";
import { overriding } from "../support/overriding.ts";
import { submittedIn } from "./support.ts";

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const START = Date.parse("2026-03-28T22:00:00Z");
const HOUR_MS = 3_600_000;
const task = { type: "report", payload: "daily" };

/** A bus in virtual time, with tenant `a`. */
async function setUp(quotas: Partial<TenantQuotas> = {}) {
  const clock = new VirtualClock({ startAtMs: START });
  const bus = await openBus({ backend: "memory", clock });
  const registry = new TenantRegistry(bus, { clock });
  const unlimited = { perDay: null, perMinute: null, scheduled: null };
  await registry.register({ id: "a", name: "a", quotas: { ...unlimited, ...quotas } });
  const tenants = await TenantDirectory.open(registry);
  const queue = new TaskQueue({ bus, queue: "q", tenants, clock });
  const schedules = new Schedules({ bus, queue, tenants, clock });
  const ticks: TickOutcome[] = [];
  cleanups.push(async () => {
    await tenants.close();
    await clock.autoAdvance(bus.close({ drainMs: 0 }));
  });
  return {
    clock,
    bus,
    registry,
    tenants,
    queue,
    schedules,
    ticks,
    /** Ticks as another process would. */
    run: (parts: Partial<SchedulesParts> = {}) => {
      const onTick = (tick: TickOutcome) => void ticks.push(tick);
      const other = new Schedules({ bus, queue, tenants, clock, onTick, ...parts });
      const ending = new AbortController();
      const ended = other.run({ signal: ending.signal });
      cleanups.push(() => {
        ending.abort();
        return clock.autoAdvance(ended);
      });
    },
    /** What was submitted, as minutes after the start. */
    submitted: async () => (await submittedIn(bus, registry)).map((ms) => (ms - START) / 60_000),
  };
}

describe("a schedule", () => {
  it("ticks at its times, once each", async () => {
    const { clock, schedules, run, submitted, ticks } = await setUp();
    await schedules.put({ tenant: "a", id: "s", task, times: { cron: "*/5 * * * *" } });
    run();
    await clock.advance(HOUR_MS);
    expect(await submitted()).toEqual([5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60]);
    expect(await schedules.get({ tenant: "a", id: "s" })).toMatchObject({
      ticks: 12,
      lastTickAtMs: START + HOUR_MS,
      nextTickAtMs: START + HOUR_MS + 300_000,
    });
    expect(ticks.every(({ taskId, error }) => taskId?.startsWith("a.") && !error)).toBe(true);
  });

  it("submits its task, with the tick in the headers", async () => {
    const { clock, schedules, run, bus, registry } = await setUp();
    await schedules.put({
      tenant: "a",
      id: "s",
      times: { everyMs: 60_000 },
      task: { ...task, headers: { colour: "red" }, priority: "high", maxAttempts: 2 },
    });
    run();
    await clock.advance(60_000);
    const { storageId = "" } = (await registry.get("a")) ?? {};
    const [job] = await bus.jobs.claim(laneQueue("q", storageId), { workerId: "w" });
    expect(toText(job?.payload ?? new Uint8Array())).toBe("daily");
    const parsed = job && toTask(job, "q");
    expect(parsed?.task).toMatchObject({ priority: "high", maxAttempts: 2 });
    expect(job?.headers).toMatchObject({
      colour: "red",
      schedule: "s",
      "schedule-tick": String(START + 60_000),
    });
  });

  it("keeps to its time zone where the clock changes", async () => {
    const { clock, schedules, run, submitted } = await setUp();
    const berlin = { cron: "30 2 * * *", timeZone: "Europe/Berlin" };
    await schedules.put({ tenant: "a", id: "s", task, times: berlin });
    run();
    await clock.advance(48 * HOUR_MS);
    // 01:00 and 00:30 UTC on the next two days.
    expect(await submitted()).toEqual([180, 180 + 23.5 * 60]);
  });

  it("ends at its last time, or after its last tick", async () => {
    const { clock, schedules, run, submitted } = await setUp();
    const times = { everyMs: 600_000 };
    await schedules.put({ tenant: "a", id: "by", task, times, untilMs: START + 1_200_000 });
    await schedules.put({ tenant: "a", id: "of", task, times, maxTicks: 3 });
    run();
    await clock.advance(HOUR_MS);
    expect(await submitted()).toEqual([10, 10, 20, 20, 30]);
    for (const id of ["by", "of"]) {
      expect((await schedules.get({ tenant: "a", id }))?.nextTickAtMs).toBeUndefined();
    }
  });

  it("does not tick while it is paused, nor make up for it", async () => {
    const { clock, schedules, run, submitted } = await setUp();
    const name = { tenant: "a", id: "s" };
    await schedules.put({ ...name, task, times: { everyMs: 600_000 }, catchUp: "all" });
    run();
    await clock.advance(600_000);
    expect(await schedules.pause(name)).toMatchObject({ paused: true, nextTickAtMs: undefined });
    await clock.advance(1_500_000);
    expect(await schedules.resume(name)).toMatchObject({ nextTickAtMs: START + 2_400_000 });
    await clock.advance(300_000);
    expect(await submitted()).toEqual([10, 40]);
    expect(await errorOf(schedules.pause({ tenant: "a", id: "x" }))).toMatchObject({
      code: "NOT_FOUND",
    });
  });

  it("does not tick once it is deleted", async () => {
    const { clock, schedules, run, submitted } = await setUp();
    const name = { tenant: "a", id: "s" };
    await schedules.put({ ...name, task, times: { everyMs: 600_000 } });
    run();
    await clock.advance(600_000);
    expect(await schedules.delete(name)).toBe(true);
    expect(await schedules.delete(name)).toBe(false);
    await clock.advance(HOUR_MS);
    expect(await submitted()).toEqual([10]);
    expect(await schedules.get(name)).toBeUndefined();
  });

  it("goes on as it was when it is put again, and anew with other times", async () => {
    const { clock, schedules, run, submitted } = await setUp();
    const input = { tenant: "a", id: "s", task, times: { everyMs: 600_000 } };
    const first = await schedules.put(input);
    await clock.advance(300_000);
    expect(await schedules.put(input)).toEqual(first);
    const changed = await schedules.put({ ...input, task: { ...task, payload: "x" }, maxTicks: 9 });
    expect(changed).toMatchObject({ maxTicks: 9, nextTickAtMs: first.nextTickAtMs });
    run();
    await clock.advance(300_000);
    const anew = await schedules.put({ ...input, times: { everyMs: 1_200_000 } });
    expect(anew).toMatchObject({ ticks: 0, maxTicks: undefined, createdAtMs: START });
    expect(anew.nextTickAtMs).toBe(START + 1_800_000);
    await clock.advance(1_200_000);
    expect(await submitted()).toEqual([10, 30]);
  });
});

describe("ticks that nobody submitted in time", () => {
  it.each([
    ["none", 50, [50]],
    ["none", 60.5, [60]],
    ["last", 55, [50]],
    ["all", 35, [10, 20, 30]],
    ["all", 1_205, Array.from({ length: 100 }, (_, index) => 210 + index * 10)],
  ] as const)("fall under catch-up %s after %d minutes", async (catchUp, minutes, expected) => {
    const { clock, schedules, run, submitted } = await setUp();
    await schedules.put({ tenant: "a", id: "s", task, catchUp, times: { everyMs: 600_000 } });
    await clock.advance(minutes * 60_000 + 30_000);
    run();
    await clock.advance(0);
    expect(await submitted()).toEqual(expected);
  });

  it("are left out by none if they are older than the grace", async () => {
    const { clock, schedules, run, submitted } = await setUp();
    const times = { everyMs: 600_000 };
    await schedules.put({ tenant: "a", id: "s", task, times, catchUp: "none", graceMs: 1_000 });
    await clock.advance(1_201_001);
    run();
    await clock.advance(0);
    expect(await submitted()).toEqual([]);
    await clock.advance(600_000);
    expect(await submitted()).toEqual([30]);
  });

  it("come when the tenant is active again", async () => {
    const { clock, schedules, run, submitted, registry, ticks } = await setUp();
    await schedules.put({ tenant: "a", id: "s", task, times: { everyMs: 600_000 } });
    run();
    await clock.advance(600_000);
    await registry.suspend("a");
    await clock.advance(1_500_000);
    expect(ticks).toHaveLength(1);
    await registry.activate("a");
    await clock.advance(0);
    expect(await submitted()).toEqual([10, 30]);
  });
});

describe("a tick whose task is refused", () => {
  it("for now is tried again", async () => {
    const { clock, schedules, run, queue, submitted, ticks } = await setUp();
    await schedules.put({ tenant: "a", id: "s", task, times: { everyMs: 600_000 }, maxTicks: 1 });
    let refusals = 3;
    const busy = overriding(queue, {
      submit: async (input) => {
        refusals -= 1;
        if (refusals < 0) return queue.submit(input);
        throw new BusError("LIMIT_EXCEEDED", "full");
      },
    });
    run({ queue: busy });
    await clock.advance(602_000);
    expect(await submitted()).toEqual([]);
    await clock.advance(10_000);
    expect(await submitted()).toEqual([10]);
    expect(ticks.map(({ error }) => error !== undefined)).toEqual([true, true, true, false]);
  });

  it("for good is left out, and the schedule says why", async () => {
    const { clock, schedules, run, registry, submitted } = await setUp();
    await schedules.put({ tenant: "a", id: "s", task, times: { everyMs: 600_000 } });
    await registry.update("a", { quotas: { payloadBytes: 2 } });
    run();
    await clock.advance(600_000);
    expect((await schedules.get({ tenant: "a", id: "s" }))?.lastRefusal).toEqual({
      tickAtMs: START + 600_000,
      message: expect.stringContaining("may send 2"),
    });
    await registry.update("a", { quotas: { payloadBytes: null } });
    await clock.advance(600_000);
    expect(await submitted()).toEqual([20]);
  });
});

describe("a tick that was submitted and not written down", () => {
  async function dieAfterSubmit(catchUp: "none" | "last" | "all") {
    const all = await setUp();
    const { clock, schedules, run, queue } = all;
    await schedules.put({ tenant: "a", id: "s", task, catchUp, times: { everyMs: 600_000 } });
    const dying = overriding(queue, {
      submit: async (input) => {
        await queue.submit(input);
        return new Promise(() => undefined);
      },
    });
    // It never ends: nobody waits for it.
    const ending = new AbortController();
    void new Schedules({ ...all, queue: dying }).run({ signal: ending.signal });
    await clock.advance(600_000);
    ending.abort();
    return { ...all, run };
  }

  it.each(["none", "last", "all"] as const)(
    "is not submitted again in time (%s)",
    async (catchUp) => {
      const { clock, run, submitted, schedules } = await dieAfterSubmit(catchUp);
      await clock.advance(59_000);
      run();
      await clock.advance(600_000);
      expect(await submitted()).toEqual([10, 20]);
      expect((await schedules.get({ tenant: "a", id: "s" }))?.ticks).toBe(2);
    },
  );

  it.each([
    ["none", [10, 20]],
    ["last", [10, 10, 20]],
    ["all", [10, 10, 20]],
  ] as const)("is in doubt after the dedup window (%s)", async (catchUp, expected) => {
    const { clock, run, submitted } = await dieAfterSubmit(catchUp);
    await clock.advance(130_000);
    run();
    await clock.advance(600_000);
    expect(await submitted()).toEqual(expected);
  });

  it("and one that was written down and not submitted is not lost", async () => {
    const { clock, schedules, run, queue, bus, tenants, submitted } = await setUp();
    await schedules.put({ tenant: "a", id: "s", task, times: { everyMs: 600_000 } });
    const dying = overriding(queue, { submit: () => new Promise(() => undefined) });
    const ending = new AbortController();
    void new Schedules({ bus, queue: dying, tenants, clock }).run({ signal: ending.signal });
    await clock.advance(600_000);
    ending.abort();
    run();
    await clock.advance(0);
    expect(await submitted()).toEqual([10]);
  });
});

describe("a change that comes while a tick is written down", () => {
  it.each(["delete", "pause"] as const)("is not undone: %s", async (change) => {
    const { clock, bus, schedules, run, submitted } = await setUp();
    const name = { tenant: "a", id: "s" };
    await schedules.put({ ...name, task, times: { everyMs: 600_000 } });
    const kv = overriding(bus.kv, {
      cas: async (...args) => {
        // Between the reading and the writing of the ticker.
        await schedules[change](name);
        return bus.kv.cas(...args);
      },
    });
    run({ bus: overriding(bus, { kv }) });
    await clock.advance(600_000);
    expect(await submitted()).toEqual([]);
    expect((await schedules.get(name))?.paused).toBe(change === "pause" ? true : undefined);
  });
});

describe("several that tick at once", () => {
  it("submit each tick once", async () => {
    const { clock, schedules, run, submitted, ticks } = await setUp();
    for (let index = 0; index < 10; index++) {
      await schedules.put({ tenant: "a", id: `s${index}`, task, times: { everyMs: 60_000 } });
    }
    for (let index = 0; index < 3; index++) run();
    await clock.advance(HOUR_MS);
    const minutes = Array.from({ length: 60 }, (_, index) => index + 1);
    expect(await submitted()).toEqual(minutes.flatMap((minute) => Array(10).fill(minute)));
    expect(ticks.length).toBeGreaterThanOrEqual(600);
  });

  it("take turns if an election says who", async () => {
    const { clock, bus, schedules, queue, tenants, submitted } = await setUp();
    await schedules.put({ tenant: "a", id: "s", task, times: { everyMs: 60_000 } });
    const count = [0, 0];
    const stops = count.map((_, index) => {
      const leader = new LeaderElection({ bus, name: "ticker", candidateId: `c${index}`, clock });
      const onTick = (): void => {
        count[index] = (count[index] ?? 0) + 1;
      };
      const ending = new AbortController();
      const ended = new Schedules({ bus, queue, tenants, clock, onTick }).run({
        signal: ending.signal,
        leader,
      });
      return async () => {
        ending.abort();
        await clock.autoAdvance(ended);
      };
    });
    await clock.advance(10 * 60_000);
    expect(count.toSorted((a, b) => a - b)).toEqual([0, 10]);
    await stops[count.indexOf(10)]?.();
    await clock.advance(10 * 60_000);
    expect(count).toEqual([10, 10]);
    await Promise.all(stops.map((stop) => stop()));
    expect(await submitted()).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });
});
