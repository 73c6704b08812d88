#!/usr/bin/env node
import { busHarness } from "./bus-harness.ts";
import { endProcess } from "./end-process.ts";
import { runCli } from "./run-cli.ts";

const exitCode = await runCli(process.argv.slice(2), {
  harnessFor: async (bus, { serverBin }) => {
    if (serverBin !== undefined) throw new RangeError(`--server-bin: ${bus} starts no server`);
    return { factory: await busHarness(bus) };
  },
});
endProcess(exitCode);
