import type { ConformanceCase } from "../case.ts";
import { capabilityCases } from "./capabilities/index.ts";
import { faultCases } from "./faults/index.ts";
import { jobCases } from "./jobs/index.ts";
import { kvCases } from "./kv/index.ts";
import { leaseCases } from "./lease/index.ts";
import { lifecycleCases } from "./lifecycle/index.ts";
import { nameCases } from "./names/index.ts";
import { pubsubCases } from "./pubsub/index.ts";
import { rpcCases } from "./rpc/index.ts";

/** Every case of the suite. */
export const allCases: readonly ConformanceCase[] = [
  ...pubsubCases,
  ...rpcCases,
  ...kvCases,
  ...leaseCases,
  ...jobCases,
  ...capabilityCases,
  ...lifecycleCases,
  ...nameCases,
  ...faultCases,
];
