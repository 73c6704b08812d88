import { describeConformance } from "@busbar/conformance-tests/vitest";
import { worldHarness } from "./support/world-harness.ts";

describeConformance({
  title: "conformance on the bus of a simulated process",
  harness: worldHarness("memory, simulated process", {}),
});

describeConformance({
  title: "conformance on the bus of a simulated process, over a slow network",
  harness: worldHarness("memory, simulated process, delays", { delayMs: [0.5, 3] }),
});
