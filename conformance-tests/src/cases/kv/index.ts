import type { ConformanceCase } from "../../case.ts";
import { bucketCases } from "./buckets.ts";
import { compareAndSetCases } from "./compare-and-set.ts";
import { deleteCases } from "./delete.ts";
import { getPutCases } from "./get-put.ts";
import { historyCases } from "./history.ts";
import { keyTtlCases } from "./key-ttl.ts";
import { keysCases } from "./keys.ts";
import { stressCases } from "./stress.ts";
import { watchCases } from "./watch.ts";
import { watchResumeCases } from "./watch-resume.ts";

/** The cases of `KvStore`, without its leases. */
export const kvCases: readonly ConformanceCase[] = [
  ...getPutCases,
  ...compareAndSetCases,
  ...deleteCases,
  ...historyCases,
  ...bucketCases,
  ...keyTtlCases,
  ...keysCases,
  ...watchCases,
  ...watchResumeCases,
  ...stressCases,
];
