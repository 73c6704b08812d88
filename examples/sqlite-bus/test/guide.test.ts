import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { allCases } from "@busbar/conformance-tests";
import { describe, expect, it } from "vitest";

// Runs the commands of docs/write-a-backend.md, and compares what they print with what it says: its
// lines come in that order, others between them, and `...` stands for anything within a line.

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const PAGE = readFileSync(path("../../../docs/write-a-backend.md"), "utf8");
const CLI = path("../../../conformance-tests/src/cli.ts");
const TIMEOUT_MS = 60_000;

const COMMANDS = [...PAGE.matchAll(/```console\n\$ (?<command>.+)\n(?<lines>[^`]*)```/g)].map(
  ({ groups = {} }) => ({
    command: groups["command"] as string,
    lines: (groups["lines"] as string).trimEnd().split("\n"),
  }),
);

function run(command: string): Promise<string> {
  const [program, ...args] = command.split(" ").filter((word) => word !== "npx");
  const own = program === "busbar-conformance" ? [CLI, ...args] : args;
  // The reporter of this test would be taken over by the test that a command runs.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ["--conditions=@busbar/source", ...own],
      { cwd: path("../guide"), env, timeout: TIMEOUT_MS },
      (_error, out, errors) => resolve(out + errors),
    );
  });
}

function patternOf(line: string): RegExp {
  const parts = line.split("...").map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`(?:^|\\s)${parts.join(".*")}`);
}

describe.concurrent("docs/write-a-backend.md", () => {
  it("has commands to run", () => {
    expect(COMMANDS.length).toBeGreaterThan(8);
  });

  it.each(COMMANDS)("prints what the page says: $command", async ({ command, lines }) => {
    const printed = await run(command);
    let rest = printed.split("\n");
    for (const line of lines) {
      const at = rest.findIndex((one) => patternOf(line).test(one));
      expect(at, `${line}\n--- in\n${printed}`).toBeGreaterThanOrEqual(0);
      rest = rest.slice(at + 1);
    }
  });

  it("names cases that there are", () => {
    const named = [...PAGE.matchAll(/`((?:PS|RPC|KV|LS|JQ|LC|CAP|NAME|FAULT)[A-Z0-9-]*)`/g)].map(
      ([, id]) => id as string,
    );
    expect(named.filter((id) => !allCases.some((item) => item.id.startsWith(id)))).toEqual([]);
  });
});
