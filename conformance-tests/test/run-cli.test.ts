import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allCases, type ConformanceReport } from "@busbar/conformance-tests";
import { type CliParts, runCli } from "@busbar/conformance-tests/run-cli";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fakeHarness } from "./support/fake-harness.ts";
import { virtualMemoryHarness } from "./support/memory-harness.ts";

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const first = allCases[0]?.id ?? "";

async function cli(args: readonly string[], parts: Partial<CliParts> = {}): Promise<Ran> {
  let out = "";
  let err = "";
  const code = await runCli(args, {
    harnessFor: () => Promise.resolve({ factory: virtualMemoryHarness }),
    output: { write: (text) => (out += text) },
    errors: { write: (text) => (err += text) },
    ...parts,
  });
  return { code, out, err };
}

describe("runCli", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "busbar-cli-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("runs a case and writes every report, into folders that it makes", async () => {
    const kinds = ["json", "junit", "markdown", "html", "badge"];
    const files = kinds.flatMap((kind) => [`--${kind}`, join(folder, "new", kind)]);
    const args = ["--bus", "memory:", "--only", first, "--seed", "3", ...files];
    const { code, out } = await cli(args);
    expect(code).toBe(0);
    expect(out).toContain("1 passed, 0 failed, 0 skipped");
    const [json = "", junit = "", ...pages] = await Promise.all(
      kinds.map((kind) => readFile(join(folder, "new", kind), "utf8")),
    );
    const report = JSON.parse(json) as ConformanceReport;
    expect(report).toMatchObject({ passed: 1, failed: 0, seed: 3, backend: "memory" });
    expect(junit).toContain("<testsuites");
    for (const page of pages) expect(page).toContain(report.badge);
    expect(pages.map((page) => page.slice(0, 5))).toEqual(["# Con", "<!DOC", "<svg "]);
  });

  it.each([
    ["memory:", "memory:"],
    ["nats://user:secret@localhost:4222", "nats://localhost:4222"],
    ["it's here", "'it'\\''s here'"],
  ])("tells how to repeat a case on %s", async (bus, shown) => {
    const json = join(folder, "r.json");
    const args = ["--bus", bus, "--only", first, "--level", "L1", "--seed", "3", "--json", json];
    await cli(args, { program: "run it" });
    const { command } = JSON.parse(await readFile(json, "utf8")) as ConformanceReport;
    expect(command).toBe(`run it --bus ${shown} --level L1 --seed 3`);
  });

  it("exits with 2 before the run if a report cannot be written", async () => {
    const { code, out, err } = await cli(["--only", first, "--html", folder]);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain(`the report ${folder} cannot be written: it is a folder`);
  });

  it("exits with 1 after the run if a report cannot be written any more", async () => {
    const [json, junit] = [join(folder, "new", "r.json"), join(folder, "r.xml")];
    const factory = async (): ReturnType<typeof virtualMemoryHarness> => {
      await rm(join(folder, "new"), { recursive: true, force: true });
      await writeFile(join(folder, "new"), "a file where the folder was");
      return virtualMemoryHarness();
    };
    const parts = { harnessFor: () => Promise.resolve({ factory }) };
    const { code, err } = await cli(["--only", first, "--json", json, "--junit", junit], parts);
    expect(code).toBe(1);
    expect(err).toContain(`the report ${json} cannot be written`);
    expect(await readFile(junit, "utf8")).toContain("<testsuites");
  });

  it("prints passed cases on a terminal only", async () => {
    const args = ["--only", first];
    expect((await cli(args)).out).not.toContain("ok  ");
    let out = "";
    const output = { write: (text: string) => (out += text), isTTY: true };
    await cli(args, { output });
    expect(out).toContain(`ok   ${first}`);
  });

  it("exits with 1 if a case fails", async () => {
    // A bus that can do nothing fails every case.
    const factory = (): Promise<ReturnType<typeof fakeHarness>["harness"]> =>
      Promise.resolve(fakeHarness().harness);
    const parts = { harnessFor: () => Promise.resolve({ factory }) };
    const { code, out } = await cli(["--only", first], parts);
    expect(code).toBe(1);
    expect(out).toContain(`FAIL ${first}`);
    expect(out).toMatch(/repeat one with: npx busbar-conformance --bus \S+ --seed \d+ --only ID\n/);
  });

  it("exits with 1 if the bus cannot be opened", async () => {
    const factory = (): Promise<never> => Promise.reject(new Error("nobody there"));
    const parts = { harnessFor: () => Promise.resolve({ factory }) };
    const { code, err } = await cli(["--only", first], parts);
    expect(code).toBe(1);
    expect(err).toContain("nobody there");
  });

  it.each([
    [["--level", "L9"]],
    [["--only", "NO-SUCH-CASE"]],
    [["--seed", "many"]],
    [["--concurrency", "0"]],
    [["--frobnicate"]],
    [["stray"]],
  ])("exits with 2 for %s", async (args) => {
    const { code, err } = await cli(args);
    expect(code).toBe(2);
    expect(err).toMatch(/^error: /);
  });

  it("exits with 2 if the bus is none", async () => {
    const parts = { harnessFor: () => Promise.reject(new RangeError("no such bus")) };
    const { code, err } = await cli(["--bus", "pigeon:"], parts);
    expect([code, err]).toEqual([2, "error: no such bus\n"]);
  });

  it("lists cases up to a level, and helps", async () => {
    const { code, out } = await cli(["--list", "--level", "L0"]);
    expect(code).toBe(0);
    const lines = out.trim().split("\n");
    expect(lines.length).toBe(allCases.filter(({ level }) => level === "L0").length);
    const help = await cli(["--help"]);
    expect([help.code, help.err]).toEqual([0, ""]);
    expect(help.out).toContain("--server-bin");
  });
});
