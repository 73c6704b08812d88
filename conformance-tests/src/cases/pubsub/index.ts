import type { ConformanceCase } from "../../case.ts";
import { ackCases } from "./ack.ts";
import { dataCases } from "./data.ts";
import { deadLetterAdminCases } from "./dead-letter-admin.ts";
import { deadLetterCases } from "./dead-letters.ts";
import { dedupCases } from "./dedup.ts";
import { durableCases } from "./durable.ts";
import { flowCases } from "./flow.ts";
import { liveCases } from "./live.ts";
import { nakCases } from "./nak.ts";
import { nameCases } from "./names.ts";
import { publishCases } from "./publish.ts";
import { staleCases } from "./stale.ts";
import { stressCases } from "./stress.ts";
import { subscribeCases } from "./subscribe.ts";
import { wildcardCases } from "./wildcard.ts";

/** All cases of `Pubsub`. */
export const pubsubCases: readonly ConformanceCase[] = [
  ...publishCases,
  ...dedupCases,
  ...dataCases,
  ...subscribeCases,
  ...durableCases,
  ...nameCases,
  ...wildcardCases,
  ...ackCases,
  ...nakCases,
  ...staleCases,
  ...flowCases,
  ...deadLetterCases,
  ...deadLetterAdminCases,
  ...liveCases,
  ...stressCases,
];
