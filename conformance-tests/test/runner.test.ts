import {
  type CaseResult,
  check,
  type ConformanceCase,
  type ConformanceReport,
  type Harness,
  needsServerFaults,
  runConformance,
  type RunOptions,
} from "@busbar/conformance-tests";
import { BusError, VirtualClock } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { caseOf, fakeHarness } from "./support/fake-harness.ts";

function run(
  cases: readonly ConformanceCase[],
  harness: Harness = fakeHarness().harness,
  options: Omit<RunOptions, "cases"> = {},
): Promise<ConformanceReport> {
  return runConformance(() => Promise.resolve(harness), { cases, ...options });
}

async function runOne(item: ConformanceCase, harness?: Harness): Promise<CaseResult> {
  const { cases } = await run([item], harness);
  return cases[0] as CaseResult;
}

describe("runConformance: results", () => {
  it("passes a case that ends", async () => {
    const result = await runOne(caseOf("X-001", () => undefined));
    expect(result).toMatchObject({ id: "X-001", status: "passed" });
    expect(result.ms).toBeGreaterThanOrEqual(0);
  });

  it("fails a case with a failed check, with reason, stack and seed", async () => {
    const report = await run(
      [caseOf("X-001", () => check(false, "the sun does not rise"))],
      undefined,
      {
        seed: 77,
      },
    );
    expect(report).toMatchObject({ passed: 0, failed: 1, seed: 77 });
    expect(report.cases[0]?.reason).toBe("the sun does not rise (seed 77)");
    expect(report.cases[0]?.stack).toContain("runner.test.ts");
  });

  it("fails a case with what a bus threw, with its code", async () => {
    const result = await runOne(
      caseOf("X-001", () => Promise.reject(new BusError("TIMEOUT", "no answer"))),
    );
    expect(result.reason).toContain("TIMEOUT: no answer");
  });

  it("skips a case whose requirement is not met, with the reason, and does not run it", async () => {
    let ran = false;
    const item = caseOf("X-001", () => (ran = true), { requires: [needsServerFaults] });
    const result = await runOne(item);
    expect(result).toMatchObject({ status: "skipped", reason: needsServerFaults.reason });
    expect(ran).toBe(false);
  });

  it("gives a requirement the capabilities of the backend", async () => {
    const seen: string[] = [];
    const requires = [
      {
        reason: "never",
        met: ({ capabilities }: { capabilities: { server: string } }) =>
          seen.push(capabilities.server) > 0,
      },
    ];
    expect((await runOne(caseOf("X-001", () => undefined, { requires }))).status).toBe("passed");
    expect(seen).toEqual(["fake-server 1.2.3"]);
  });

  it("tells every result as it comes and keeps the report in order", async () => {
    const told: string[] = [];
    const slow = caseOf("X-001", ({ clock }) => clock.sleep(20));
    const report = await run([slow, caseOf("X-002", () => undefined)], undefined, {
      concurrency: 2,
      onResult: ({ id }) => told.push(id),
    });
    expect(told).toEqual(["X-002", "X-001"]);
    expect(report.cases.map(({ id }) => id)).toEqual(["X-001", "X-002"]);
  });
});

describe("runConformance: time", () => {
  it("fails a case that does not end within its budget", async () => {
    const item = caseOf("X-001", () => new Promise(() => undefined), { timeoutMs: 20 });
    expect((await runOne(item)).reason).toContain("not done within 20 ms");
  });

  it("scales the budget by the harness", async () => {
    const { harness } = fakeHarness({ timeScale: 3 });
    const item = caseOf("X-001", () => new Promise(() => undefined), { timeoutMs: 10 });
    expect((await runOne(item, harness)).reason).toContain("not done within 30 ms");
  });

  it("runs the case in virtual time", async () => {
    const clock = new VirtualClock();
    const { harness } = fakeHarness({
      time: { clock, run: (promise) => clock.autoAdvance(promise) },
    });
    const item = caseOf(
      "X-001",
      async (context) => {
        check(context.virtual, "time is not virtual");
        await context.clock.sleep(3_600_000);
      },
      { timeoutMs: 4_000_000 },
    );
    const result = await runOne(item, harness);
    expect(result.reason).toBeUndefined();
    expect(result.ms).toBeLessThan(1_000);
  });

  it("fails a case that waits for nothing in virtual time", async () => {
    const clock = new VirtualClock();
    const { harness } = fakeHarness({
      time: { clock, run: (promise) => clock.autoAdvance(promise) },
    });
    const result = await runOne(
      caseOf("X-001", () => new Promise(() => undefined)),
      harness,
    );
    expect(result.reason).toContain("not done within 30000 ms");
  });

  it("makes a harness for each case if it has time of its own, else one for the run", async () => {
    const cases = [caseOf("X-001", () => undefined), caseOf("X-002", () => undefined)];
    let made = 0;
    let closed = 0;
    const close = (): Promise<void> => {
      closed += 1;
      return Promise.resolve();
    };
    await runConformance(
      () => {
        made += 1;
        const clock = new VirtualClock();
        const time = { clock, run: <T>(promise: Promise<T>) => clock.autoAdvance(promise) };
        return Promise.resolve(fakeHarness({ time, close }).harness);
      },
      { cases },
    );
    expect([made, closed]).toEqual([3, 3]);
    const { harness, log } = fakeHarness();
    await run(cases, harness);
    expect(log.closedHarnesses).toBe(1);
  });

  it("fails `until` with what was waited for", async () => {
    const item = caseOf("X-001", ({ until }) => until("hell to freeze", () => false, 10));
    expect((await runOne(item)).reason).toContain("not within 10 ms: hell to freeze");
  });
});

describe("runConformance: what a case leaves behind", () => {
  it("closes every bus and cleans every namespace, also after a failure", async () => {
    const { harness, log } = fakeHarness();
    const item = caseOf("X-001", async ({ open }) => {
      await open();
      await open({ namespace: "other" });
      throw new Error("early end");
    });
    await runOne(item, harness);
    expect(log.opened).toHaveLength(4);
    expect(log.closedBuses).toBe(4);
    expect(log.cleaned).toHaveLength(3);
    expect(log.cleaned).toContain("other");
  });

  it("gives every case a valid namespace of its own", async () => {
    const { harness, log } = fakeHarness();
    const cases = ["X-001", "X-002", "X-003"].map((id) => caseOf(id, () => undefined));
    await run(cases, harness);
    const namespaces = log.opened.slice(1);
    expect(new Set(namespaces).size).toBe(3);
    for (const namespace of namespaces) expect(namespace).toMatch(/^[A-Za-z0-9-]{1,32}$/);
  });

  it("runs deferred clean-ups last first, and fails the case if one fails", async () => {
    const order: string[] = [];
    const item = caseOf("X-001", ({ defer }) => {
      defer(() => order.push("first"));
      defer(() => Promise.reject(new Error("stuck")));
      defer(() => order.push("last"));
    });
    const result = await runOne(item);
    expect(order).toEqual(["last", "first"]);
    expect(result.reason).toContain("cleanup: stuck");
  });

  it("fails a case whose bus does not close", async () => {
    const clock = new VirtualClock();
    const time = { clock, run: <T>(promise: Promise<T>) => clock.autoAdvance(promise) };
    let buses = 0;
    // The first bus is the runner's own, which asks for the capabilities.
    const closeBus = (): Promise<void> =>
      buses++ === 0 ? Promise.resolve() : new Promise(() => undefined);
    const { harness } = fakeHarness({ time, closeBus });
    const result = await runOne(
      caseOf("X-001", () => undefined),
      harness,
    );
    expect(result.reason).toContain("bus.close(): did not end within 5000 ms");
  });

  it("fails a case that leaks", async () => {
    const clock = new VirtualClock();
    const { harness } = fakeHarness({
      time: { clock, run: (promise) => clock.autoAdvance(promise) },
      leaks: (namespace) => Promise.resolve(namespace === "leaky" ? ["a timer"] : []),
    });
    const clean = await runOne(
      caseOf("X-001", () => undefined),
      harness,
    );
    expect(clean.status).toBe("passed");
    const item = caseOf("X-002", ({ open }) => open({ namespace: "leaky" }));
    const leaky = await runOne(item, harness);
    expect(leaky.reason).toContain("left behind: a timer");
  });

  it("waits for a leak to go away", async () => {
    let left = 3;
    const { harness } = fakeHarness({
      leaks: () => Promise.resolve(left-- > 0 ? ["a consumer"] : []),
    });
    expect(
      (
        await runOne(
          caseOf("X-001", () => undefined),
          harness,
        )
      ).status,
    ).toBe("passed");
  });

  it("repairs a server that a case killed or froze", async () => {
    const calls: string[] = [];
    const log = (name: string) => (): Promise<void> => {
      calls.push(name);
      return Promise.resolve();
    };
    const faults = {
      kill: log("kill"),
      start: log("start"),
      pause: log("pause"),
      resume: log("resume"),
    };
    const { harness } = fakeHarness({ faults });
    await runOne(
      caseOf("X-001", async (context) => {
        await context.faults.pause?.();
        await context.faults.kill();
      }),
      harness,
    );
    expect(calls).toEqual(["pause", "kill", "resume", "start"]);
  });
});

describe("runConformance: concurrency", () => {
  it("runs several cases at a time, and those of level L4 alone", async () => {
    let running = 0;
    let most = 0;
    const withL4: number[] = [];
    const body =
      (isFault: boolean) =>
      async ({ clock }: { clock: { sleep(ms: number): Promise<void> } }): Promise<void> => {
        running += 1;
        most = Math.max(most, running);
        if (isFault) withL4.push(running);
        await clock.sleep(5);
        running -= 1;
      };
    const cases = [1, 2, 3, 4, 5, 6].map((index) =>
      caseOf(`X-00${index}`, body(index === 2), { level: index === 2 ? "L4" : "L1" }),
    );
    const { harness } = fakeHarness();
    const report = await run(cases, harness, { concurrency: 3, level: "L4" });
    expect(report.passed).toBe(6);
    expect(most).toBe(3);
    expect(withL4).toEqual([1]);
  });
});

describe("runConformance: randomness", () => {
  it("repeats with the seed, whatever else runs", async () => {
    const drawn: number[] = [];
    const draw = caseOf("X-002", ({ random }) => drawn.push(random.next()));
    const other = caseOf("X-001", ({ random }) => random.next());
    await run([other, draw], undefined, { seed: 5 });
    await run([draw], undefined, { seed: 5 });
    await run([draw], undefined, { seed: 6 });
    expect(drawn[0]).toBe(drawn[1]);
    expect(drawn[2]).not.toBe(drawn[0]);
  });
});

describe("runConformance: interruption", () => {
  it("gives up what is under way, begins no more, and reports what has run", async () => {
    const { harness, log } = fakeHarness();
    const controller = new AbortController();
    const told: string[] = [];
    let release = (): void => undefined;
    let ranLast = false;
    const cases = [
      caseOf("X-001", () => undefined),
      caseOf("X-002", () => {
        controller.abort();
        return new Promise<void>((resolve) => (release = resolve));
      }),
      caseOf("X-003", () => (ranLast = true)),
    ];
    const report = await run(cases, harness, {
      signal: controller.signal,
      onResult: ({ id }) => told.push(id),
    });
    expect(report).toMatchObject({ interrupted: true, passed: 1, failed: 0, skipped: 2 });
    expect(report.badge).toBe("L1 1/3 · fake 1.2.3 · interrupted");
    expect(log.closedHarnesses).toBe(1);
    // Its late end changes nothing, and nothing comes behind it.
    const before = JSON.stringify(report);
    release();
    await expect.poll(() => log.cleaned.length).toBe(3);
    await new Promise((resolve) => setImmediate(resolve));
    expect([told, ranLast, JSON.stringify(report)]).toEqual([["X-001"], false, before]);
  });

  it("rejects if it comes before there is a bus", async () => {
    const reason = new Error("interrupted by SIGINT");
    const hangs = fakeHarness({ open: () => new Promise(() => undefined) });
    const running = run([], hangs.harness, { signal: AbortSignal.abort(reason) });
    await expect(running).rejects.toBe(reason);
  });

  it("does not wait for a harness that cannot close", async () => {
    const controller = new AbortController();
    const { harness } = fakeHarness({ close: () => Promise.reject(new Error("still in use")) });
    const stop = caseOf("X-001", () => controller.abort());
    const report = await run([stop], harness, { signal: controller.signal });
    expect(report.interrupted).toBe(true);
  });
});
