import { busHarness } from "@busbar/conformance-tests";
import {
  endProcess,
  type HarnessChoice,
  type HarnessOptions,
  runCli,
} from "@busbar/conformance-tests/run-cli";
import {
  realTimeMemoryHarness,
  virtualMemoryHarness,
} from "../conformance-tests/test/support/memory-harness.ts";
import { findNatsServer } from "./src/index.ts";

const NATS_CONCURRENCY = 4;

async function harnessFor(bus: string, options: HarnessOptions): Promise<HarnessChoice> {
  const startsServer = bus === "nats:";
  if (options.serverBin !== undefined && !startsServer) {
    throw new RangeError(`--server-bin is for --bus nats:, which starts a server; ${bus} does not`);
  }
  if (bus === "memory:") return { factory: virtualMemoryHarness };
  if (bus === "memory:?clock=system") {
    return { factory: realTimeMemoryHarness, concurrency: NATS_CONCURRENCY };
  }
  // Loaded on demand: a run in memory is over before these would be there.
  if (/^(?:nats|tls):\/\//.test(bus)) {
    const { existingNatsHarness } = await import(
      "../conformance-tests/test/support/nats-harness.ts"
    );
    return { factory: await existingNatsHarness(bus), concurrency: NATS_CONCURRENCY };
  }
  if (!startsServer) return { factory: await busHarness(bus) };
  const binary = await findNatsServer({ path: options.serverBin });
  const { natsServerHarness } = await import("../conformance-tests/test/support/nats-harness.ts");
  return { factory: natsServerHarness(binary), concurrency: NATS_CONCURRENCY };
}

const program = "npm run conformance --";
endProcess(await runCli(process.argv.slice(2), { harnessFor, program }));
