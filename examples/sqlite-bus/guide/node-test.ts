import { busHarness } from "@busbar/conformance-tests";
import { describeConformance } from "@busbar/conformance-tests/node-test";

describeConformance({ harness: await busHarness("@busbar-examples/sqlite-bus"), level: "L0" });
