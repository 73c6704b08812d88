import type { ConformanceCase } from "../../case.ts";
import { closeCases } from "./close.ts";
import { errorCases } from "./errors.ts";
import { manyCases } from "./many.ts";
import { requestCases } from "./request.ts";
import { serveCases } from "./serve.ts";
import { stressCases } from "./stress.ts";

/** All cases of `RequestReply`. */
export const rpcCases: readonly ConformanceCase[] = [
  ...requestCases,
  ...errorCases,
  ...manyCases,
  ...serveCases,
  ...closeCases,
  ...stressCases,
];
