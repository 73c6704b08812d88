import type { ConformanceCase } from "../../case.ts";
import { acquireCases } from "./acquire.ts";
import { expiryCases } from "./expiry.ts";
import { fenceCases } from "./fence.ts";
import { releaseCases } from "./release.ts";

/** The cases of `KvStore.lease`. */
export const leaseCases: readonly ConformanceCase[] = [
  ...acquireCases,
  ...releaseCases,
  ...expiryCases,
  ...fenceCases,
];
