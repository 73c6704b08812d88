import { describeConformance } from "@busbar/conformance-tests/vitest";
import { virtualMemoryHarness } from "./support/memory-harness.ts";

describeConformance({ title: "conformance of bus-memory", harness: virtualMemoryHarness });
