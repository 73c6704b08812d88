import type { ConformanceCase } from "../../case.ts";
import { claimCases } from "./claim.ts";
import { claimWaitCases } from "./claim-wait.ts";
import { deadLetterCases } from "./dead-letters.ts";
import { dedupCases } from "./dedup.ts";
import { delayCases } from "./delay.ts";
import { enqueueCases } from "./enqueue.ts";
import { enqueueManyCases } from "./enqueue-many.ts";
import { getCases } from "./get.ts";
import { giveBackCases } from "./give-back.ts";
import { heartbeatCases } from "./heartbeat.ts";
import { leaseCases } from "./lease.ts";
import { maxPriorityCases } from "./max-priority.ts";
import { priorityCases } from "./priority.ts";
import { queueCases } from "./queues.ts";
import { removeCases } from "./remove.ts";
import { replayCases } from "./replay.ts";
import { retryCases } from "./retry.ts";
import { settleCases } from "./settle.ts";
import { staleCases } from "./stale.ts";
import { statsCases } from "./stats.ts";
import { stressCases } from "./stress.ts";

/** The cases of `JobQueue`. */
export const jobCases: readonly ConformanceCase[] = [
  ...enqueueCases,
  ...enqueueManyCases,
  ...claimCases,
  ...claimWaitCases,
  ...leaseCases,
  ...heartbeatCases,
  ...settleCases,
  ...giveBackCases,
  ...staleCases,
  ...retryCases,
  ...deadLetterCases,
  ...replayCases,
  ...dedupCases,
  ...priorityCases,
  ...maxPriorityCases,
  ...delayCases,
  ...statsCases,
  ...getCases,
  ...removeCases,
  ...queueCases,
  ...stressCases,
];
