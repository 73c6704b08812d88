import { runConformance } from "@busbar/conformance-tests";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { caseOf, fakeHarness } from "./support/fake-harness.ts";

// vitest would take the rejections of these tests for its own.
let others: NodeJS.UnhandledRejectionListener[] = [];
beforeEach(() => {
  others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
});
afterEach(() => {
  for (const listener of others) process.on("unhandledRejection", listener);
});

describe("runConformance: unhandled rejections", () => {
  it("fails the case that caused one, and no other", async () => {
    const guilty = caseOf("X-001", async ({ clock }) => {
      void Promise.reject(new Error("nobody listens"));
      await clock.sleep(10);
    });
    const innocent = caseOf("X-002", ({ clock }) => clock.sleep(10));
    const report = await runConformance(() => Promise.resolve(fakeHarness().harness), {
      cases: [guilty, innocent],
      concurrency: 2,
    });
    expect(report.cases.map(({ status }) => status)).toEqual(["failed", "passed"]);
    expect(report.cases[0]?.reason).toContain("unhandled rejection: Error: nobody listens");
  });

  it("fails a case that is over when its rejection comes", async () => {
    const guilty = caseOf("X-001", ({ clock }) => {
      void clock.sleep(20).then(() => Promise.reject(new Error("too late")));
    });
    const report = await runConformance(() => Promise.resolve(fakeHarness().harness), {
      cases: [guilty, caseOf("X-002", ({ clock }) => clock.sleep(60))],
    });
    expect(report.cases.map(({ status }) => status)).toEqual(["failed", "passed"]);
    expect(report.failed).toBe(1);
  });

  it("takes its listener off at the end", async () => {
    await runConformance(() => Promise.resolve(fakeHarness().harness), { cases: [] });
    expect(process.listenerCount("unhandledRejection")).toBe(0);
  });
});
