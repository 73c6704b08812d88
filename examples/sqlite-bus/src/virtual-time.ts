import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Harness } from "@busbar/conformance-tests";
import { VirtualClock } from "@busbar/core";
import { busBackend } from "./bus.ts";
import { parseConfig } from "./config.ts";

/**
 * The suite on virtual time, with a file for each case: hours of leases and delays take milliseconds.
 * Other processes have no part in this clock, so nothing is polled, and `crossProcess` is not
 * declared; the other harness checks it.
 */
export async function conformanceHarness(): Promise<Harness> {
  const clock = new VirtualClock();
  const folder = await mkdtemp(join(tmpdir(), "sqlite-bus-"));
  const file = join(folder, "bus.sqlite");
  const config = { backend: "sqlite", file, clock, pollMs: 0, sync: "never" };
  return {
    name: "sqlite, virtual time",
    open: (options) => busBackend.open(parseConfig({ ...config, ...options })),
    time: { clock, run: (promise) => clock.autoAdvance(promise) },
    toleranceMs: 10,
    close: () => rm(folder, { recursive: true }),
  };
}
