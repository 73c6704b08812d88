import type { Harness, HarnessFactory } from "@busbar/conformance-tests";
import { realTimeMemoryHarness } from "./memory-harness.ts";

/** Memory, until a second case opens its bus: that one hangs, and says so. */
export const conformanceHarness: HarnessFactory = async () => {
  const harness = await realTimeMemoryHarness();
  let cases = 0;
  const open: Harness["open"] = (options) => {
    if (options.namespace !== "cf-probe") cases += 1;
    if (cases < 2) return harness.open(options);
    console.log("hanging");
    // Nothing but a signal ends the process: as a connection would, the timer keeps it alive.
    return new Promise<never>(() => void setTimeout(() => undefined, 600_000));
  };
  return { ...harness, open, close: () => Promise.resolve() };
};
