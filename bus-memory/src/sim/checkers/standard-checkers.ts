import type { CountingChecker } from "../checker.ts";
import { linearizableKv } from "./linearizable-kv.ts";
import { noLostJobs } from "./no-lost-jobs.ts";
import { noLostMessages } from "./no-lost-messages.ts";
import { oneHolderPerFence } from "./one-holder-per-fence.ts";
import { orderPerSubject } from "./order-per-subject.ts";

/**
 * New ones of all checkers that need no options, for one run: {@link noLostJobs},
 * {@link noLostMessages}, {@link orderPerSubject}, {@link oneHolderPerFence}, {@link linearizableKv}.
 */
export function standardCheckers(): readonly CountingChecker[] {
  return [noLostJobs(), noLostMessages(), orderPerSubject(), oneHolderPerFence(), linearizableKv()];
}
