import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { allCases, reportSchema } from "@busbar/conformance-tests";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const CLI = fileURLToPath(import.meta.resolve("../src/cli.ts"));
const HARNESS = fileURLToPath(import.meta.resolve("./support/hanging-harness.ts"));
const [first, second, third] = allCases
  .filter(({ level }) => level === "L0")
  .map(({ id }) => id) as [string, string, string];

describe("an interrupted run", () => {
  let folder = "";
  let child: ChildProcess | undefined;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "busbar-interruption-"));
  });
  afterEach(async () => {
    child?.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs three cases, of which the second hangs; resolves when it does. */
  async function start(): Promise<{
    readonly out: () => string;
    readonly end: Promise<unknown[]>;
  }> {
    const only = [first, second, third].flatMap((id) => ["--only", id]);
    const files = ["json", "junit", "markdown", "html", "badge"].flatMap((kind) => [
      `--${kind}`,
      join(folder, kind),
    ]);
    const args = ["--conditions=@busbar/source", CLI, "--bus", HARNESS, ...only, ...files];
    const running = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    child = running;
    let text = "";
    const hangs = new Promise<void>((resolve, reject) => {
      const onData = (chunk: Buffer): void => {
        text += chunk.toString();
        if (text.includes("hanging")) resolve();
      };
      running.stdout.on("data", onData);
      running.stderr.on("data", onData);
      running.once("exit", () => reject(new Error(`the run ended by itself: ${text}`)));
    });
    const end = once(running, "close");
    await hangs;
    return { out: () => text, end };
  }

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("by %s reports what has run, and exits with %i", async (signal, code) => {
    const { out, end } = await start();
    child?.kill(signal);
    expect((await end)[0]).toBe(code);
    expect(out()).toContain("interrupted before all cases had run");
    const report = reportSchema.parse(JSON.parse(await readFile(join(folder, "json"), "utf8")));
    expect(report).toMatchObject({ interrupted: true, passed: 1, failed: 0, skipped: 2 });
    expect(report.cases.map(({ id, reason }) => [id, reason])).toEqual([
      [first, undefined],
      [second, "the run ended while it ran"],
      [third, "the run ended before it"],
    ]);
    expect((await readdir(folder)).toSorted()).toEqual([
      "badge",
      "html",
      "json",
      "junit",
      "markdown",
    ]);
    for (const kind of ["badge", "html", "junit", "markdown"]) {
      expect(await readFile(join(folder, kind), "utf8")).toContain("nterrupted");
    }
  });
});
