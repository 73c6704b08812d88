import type { HarnessFactory } from "@busbar/conformance-tests";
import { findNatsServer } from "@busbar/scripts";
import { natsServerHarness } from "../../../conformance-tests/test/support/nats-harness.ts";
import { tenantHarness } from "./tenant-harness.ts";

/** For the command line of the suite: `npm run conformance -- --bus <this file>`. */
export const conformanceHarness: HarnessFactory = async () =>
  tenantHarness(natsServerHarness(await findNatsServer()))();
