import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { ALL_FAULTS, simulate } from "../../src/index.ts";
import { SMALL, workload } from "./checkers/workload.ts";

const CONDITIONS = ["--conditions=@busbar/source"];

/** Runs a file in a process of its own, which must end by itself. */
async function run(
  file: string,
  options: readonly string[],
): Promise<{ code: number; out: string }> {
  const path = fileURLToPath(new URL(`planted/${file}`, import.meta.url));
  const child = spawn(process.execPath, [...CONDITIONS, "--import", "tsx", ...options, path]);
  let out = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (out += text));
  }
  const code = await new Promise<number>((resolve) => child.on("close", resolve));
  return { code, out };
}

describe("a run", () => {
  it("leaves nothing behind in its process: no timer, no socket, no handle", async () => {
    expect(await run("run-and-end.ts", [])).toEqual({ code: 0, out: "left: []\n" });
  });

  it("leaves nothing of its world either: no timer, no subscription, no waiting claim", async () => {
    for (let seed = 1; seed <= 3; seed += 1) {
      const { value } = await simulate({ seed, faults: ALL_FAULTS }, async (world) => {
        await workload(world, SMALL);
        return world;
      });
      // What was on its way arrives nowhere.
      await value.clock.advance(1_000);
      expect(value.clock.pendingTimers).toBe(0);
      for (const { state } of value.processes) expect(state).toBe("killed");
      await expect(value.bus.kv.get("b", "k")).rejects.toMatchObject({ code: "CLOSED" });
    }
  });
});

describe("simulate with node:test", () => {
  it("passes and fails as it does here, and the process ends by itself", async () => {
    const { code, out } = await run("node-tests.ts", ["--test-reporter=tap"]);
    expect(out).toMatch(/^ok 1 - an hour passes$/m);
    expect(out).toMatch(/^not ok 2 - a deadlock fails$/m);
    expect(out).toMatch(/seed 5: deadlock: the promise is pending and no timer is set/);
    expect(out).toMatch(/p \(running\) waits for message d since \+0\.0 ms/);
    expect(code).toBe(1);
  });
});
