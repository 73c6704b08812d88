import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const run = promisify(execFile);

describe("describeConformance of node:test", () => {
  it("registers every case by its id, with skips that say their reason", async () => {
    const folder = await mkdtemp(join(tmpdir(), "busbar-node-test-"));
    const frontEnd = import.meta.resolve("@busbar/conformance-tests/node-test");
    const suite = import.meta.resolve("@busbar/conformance-tests");
    const path = join(folder, "suite.mjs");
    await writeFile(
      path,
      `import { busHarness } from ${JSON.stringify(suite)};
       import { describeConformance } from ${JSON.stringify(frontEnd)};
       const harness = await busHarness("memory:");
       describeConformance({ harness, only: ["LC-SHARE-001", "CAP-004"] });`,
    );
    const args = ["--conditions=@busbar/source", "--test-reporter=tap", path];
    // A test runner inside of a test runner would report to the outer one.
    const env = { ...process.env, NODE_TEST_CONTEXT: "", NODE_OPTIONS: "" };
    const { stdout } = await run(process.execPath, args, { env });
    await rm(folder, { recursive: true, force: true });
    expect(stdout).toMatch(/^\s*ok \d+ - LC-SHARE-001 two buses/m);
    expect(stdout).toMatch(/ok \d+ - CAP-004 .* # SKIP needs capabilities\.crossProcess/);
    expect(stdout).toMatch(/# fail 0/);
  });
});
