import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allCases, busHarness, runConformance, selectCases } from "@busbar/conformance-tests";
import { errorCode } from "@busbar/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const smoke = selectCases(allCases, { only: ["LC-SHARE-001"] });

describe("busHarness", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "busbar-harness-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it.each(["memory:", "memory://shared", "memory:?maxPayloadBytes=2048"])(
    "opens buses that share a server at %s",
    async (bus) => {
      const report = await runConformance(await busHarness(bus), { cases: smoke });
      expect(report.cases.map(({ reason }) => reason)).toEqual([undefined]);
      expect(report).toMatchObject({ passed: 1, backend: "memory", harness: bus });
    },
  );

  it("passes the options of a URL on", async () => {
    const harness = await (await busHarness("memory:?maxPayloadBytes=2048"))();
    const bus = await harness.open({ namespace: "a", dedupWindowMs: 700 });
    expect(bus.capabilities).toMatchObject({ maxPayloadBytes: 2_048, dedupWindowMs: 700 });
    await bus.close();
  });

  it("takes a configuration from a JSON file", async () => {
    const path = join(folder, "bus.json");
    await writeFile(path, JSON.stringify({ backend: "memory", name: "json" }));
    const report = await runConformance(await busHarness(path), { cases: smoke });
    expect(report.passed).toBe(1);
  });

  it("takes a backend from a file", async () => {
    const path = join(folder, "backend.mjs");
    const memory = import.meta.resolve("@busbar/bus-memory");
    await writeFile(
      path,
      `import { busBackend as memory } from ${JSON.stringify(memory)};
       export const busBackend = {
         name: "of-a-file",
         open: ({ namespace }) =>
           memory.open({ namespace, name: "of-a-file", dedupWindowMs: 1000, maxPayloadBytes: 1000 }),
       };`,
    );
    const report = await runConformance(await busHarness(path), { cases: smoke });
    expect(report.cases.map(({ reason }) => reason)).toEqual([undefined]);
  });

  it("prefers the harness that a file brings", async () => {
    const path = join(folder, "harness.mjs");
    await writeFile(path, `export const conformanceHarness = async () => ({ name: "own" });`);
    const harness = await (await busHarness(path))();
    expect(harness.name).toBe("own");
  });

  it("keeps passwords out of the name", async () => {
    const harness = await (await busHarness("nats://user:secret@127.0.0.1:1"))();
    expect(harness.name).toBe("nats://127.0.0.1:1");
  });

  it("refuses what is no bus", async () => {
    await expect(busHarness("")).rejects.toThrow(RangeError);
    await expect(busHarness("./no-such-file.ts")).rejects.toThrow(/no-such-file/);
    const factory = await busHarness("nats://127.0.0.1:1?connectTimeoutMs=200");
    const running = runConformance(factory, { cases: smoke }).catch(errorCode);
    expect(await running).toBe("DISCONNECTED");
  });
});
