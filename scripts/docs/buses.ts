import { allCases, type ConformanceCase, type HarnessFactory } from "@busbar/conformance-tests";
import type { Capabilities } from "@busbar/core";
import {
  realTimeMemoryHarness,
  virtualMemoryHarness,
} from "../../conformance-tests/test/support/memory-harness.ts";
import { natsServerHarness } from "../../conformance-tests/test/support/nats-harness.ts";
import { findNatsServer, NATS_SERVER_GENERATIONS } from "../src/index.ts";

/** What is known of a backend once a bus is open. */
export interface BusFacts {
  /** Heading of its column. */
  readonly name: string;
  readonly capabilities: Capabilities;
  /** The cases that its runs leave out, by the reason. */
  readonly skipped: ReadonlyMap<string, readonly string[]>;
}

/** Opens a bus on every backend and server version, and asks. */
export async function readBuses(): Promise<BusFacts[]> {
  const buses = [await factsOf("memory", [virtualMemoryHarness, realTimeMemoryHarness])];
  for (const version of NATS_SERVER_GENERATIONS.toReversed()) {
    const binary = await findNatsServer({ version });
    buses.push(await factsOf(`nats-server ${binary.version}`, [natsServerHarness(binary)]));
  }
  return buses;
}

/** A case counts as skipped if no run of the backend has what it needs. */
async function factsOf(name: string, factories: readonly HarnessFactory[]): Promise<BusFacts> {
  const skippedByRun: Map<string, string>[] = [];
  let capabilities: Capabilities | undefined;
  for (const factory of factories) {
    const harness = await factory();
    const bus = await harness.open({ namespace: "docs" });
    const context = { capabilities: bus.capabilities, harness };
    capabilities = bus.capabilities;
    const missing = ({ requires = [] }: ConformanceCase): string | undefined =>
      requires.find((requirement) => !requirement.met(context))?.reason;
    const skipped = allCases.map((item) => [item.id, missing(item)] as const);
    skippedByRun.push(
      new Map(skipped.flatMap(([id, reason]) => (reason === undefined ? [] : [[id, reason]]))),
    );
    await (harness.time?.run(bus.close()) ?? bus.close());
    await harness.close();
  }
  if (capabilities === undefined) throw new Error(`${name} has no harness`);
  const byReason = new Map<string, string[]>();
  for (const [id, reason] of skippedByRun[0] ?? []) {
    if (!skippedByRun.every((skipped) => skipped.has(id))) continue;
    byReason.set(reason, [...(byReason.get(reason) ?? []), id]);
  }
  return { name, capabilities, skipped: byReason };
}
