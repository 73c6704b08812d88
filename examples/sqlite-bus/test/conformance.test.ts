import { describeConformance } from "@busbar/conformance-tests/vitest";
import { conformanceHarness } from "../src/harness.ts";
import { conformanceHarness as virtualHarness } from "../src/virtual-time.ts";

// The whole suite, where waiting costs nothing.
describeConformance({ title: "conformance of the SQLite bus", harness: virtualHarness });

// What virtual time cannot do, and enough to see that it runs on the machine's clock too.
describeConformance({
  title: "conformance of the SQLite bus, real time",
  harness: conformanceHarness,
  level: "L0",
});
describeConformance({
  title: "conformance of the SQLite bus, real time and other processes",
  harness: conformanceHarness,
  only: ["CAP-004", "CAP-005", "CAP-TTL-001", "LS-EXP-007", "JQ-STALE-005"],
});
