import { type Harness, runConformance } from "@busbar/conformance-tests";
import { describeConformance } from "@busbar/conformance-tests/vitest";
import { findNatsServer } from "@busbar/scripts";
import { describe, expect, it } from "vitest";
import { caseOf } from "./support/fake-harness.ts";
import { natsServerHarness } from "./support/nats-harness.ts";

const harness = natsServerHarness(await findNatsServer());

// The whole suite runs on three servers by the command line; here it is shown to work at all.
describeConformance({ title: "conformance of bus-nats, smoke", harness, level: "L0" });
describeConformance({
  title: "conformance of bus-nats, another process",
  harness,
  only: ["CAP-004"],
});

describe("natsServerHarness", () => {
  it("finds a connection that was left open", async () => {
    let forgotten: { close(): Promise<unknown> } | undefined;
    const factory = async (): Promise<Harness> => {
      const own = await harness();
      const close = async (): Promise<void> => {
        await forgotten?.close();
        await own.close();
      };
      return { ...own, close };
    };
    const inner: { harness?: Harness } = {};
    const item = caseOf("X-001", async ({ namespace }) => {
      forgotten = await inner.harness?.open({ namespace });
    });
    const report = await runConformance(
      async () => {
        inner.harness = await factory();
        return inner.harness;
      },
      { cases: [item] },
    );
    expect(report.cases[0]?.reason).toContain("left behind: 1 connections");
  });
});
