import { allCases } from "@busbar/conformance-tests";
import { describeConformance } from "@busbar/conformance-tests/vitest";
import { findNatsServer } from "@busbar/scripts";
import { describe, it } from "vitest";
import { virtualMemoryHarness } from "../../../conformance-tests/test/support/memory-harness.ts";
import { conformanceHarness as onNats } from "../support/tenant-on-nats.ts";
import { tenantHarness } from "../support/tenant-harness.ts";

describeConformance({
  title: "conformance of a tenant's view of bus-memory",
  harness: tenantHarness(virtualMemoryHarness),
});

// The whole suite on a server is for the command line:
// npm run conformance -- --bus ./coordination/test/support/tenant-on-nats.ts
const binary = await findNatsServer().catch((error: Error) => error);
if (binary instanceof Error) {
  describe("conformance of a tenant's view of bus-nats", () => {
    it.skip(`on NATS: ${binary.message}`);
  });
} else {
  describeConformance({
    title: `conformance of a tenant's view of nats-server ${binary.version}, smoke and who sees whom`,
    harness: onNats,
    cases: allCases.filter(
      ({ id, level }) => level === "L0" || /^LC-(?:SHARE|VIEW|STORE|REMOVE)/.test(id),
    ),
  });
}
