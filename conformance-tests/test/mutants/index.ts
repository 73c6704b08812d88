import { claiming } from "./claiming.ts";
import { enqueueing } from "./enqueueing.ts";
import { givingBack } from "./giving-back.ts";
import { leases } from "./leases.ts";
import { lifecycle } from "./lifecycle.ts";
import { limitedClaims } from "./limited-claims.ts";
import type { Mutant } from "./mutant.ts";
import { publishing } from "./publishing.ts";
import { queues } from "./queues.ts";
import { requests } from "./requests.ts";
import { settling } from "./settling.ts";
import { singleJobs } from "./single-jobs.ts";
import { subscribing } from "./subscribing.ts";
import { values } from "./values.ts";
import { views } from "./views.ts";

/** All broken backends, by contract. */
export const allMutants: readonly Mutant[] = [
  ...publishing,
  ...subscribing,
  ...settling,
  ...requests,
  ...values,
  ...leases,
  ...enqueueing,
  ...claiming,
  ...queues,
  ...singleJobs,
  ...givingBack,
  ...limitedClaims,
  ...lifecycle,
  ...views,
];
