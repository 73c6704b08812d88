import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Harness } from "@busbar/conformance-tests";
import { busBackend } from "./bus.ts";
import { parseConfig } from "./config.ts";

/** What the conformance suite runs on: one new file for the run, on the machine's clock. */
export async function conformanceHarness(): Promise<Harness> {
  const folder = await mkdtemp(join(tmpdir(), "sqlite-bus-"));
  const file = join(folder, "bus.sqlite");
  return {
    name: "sqlite, a new file",
    open: (options) => busBackend.open(parseConfig({ backend: "sqlite", file, ...options })),
    elsewhere: (namespace) => ({ backend: "@busbar-examples/sqlite-bus", file, namespace }),
    // Several cases at a time share one thread with SQLite: timers come late then.
    toleranceMs: 500,
    close: () => rm(folder, { recursive: true }),
  };
}
