import type { Bus } from "@busbar/core";
import { fileJobs, fileRecords, indexTotals } from "./definitions.ts";

/** Removes what a run made. */
export async function clean(bus: Bus): Promise<void> {
  await bus.pubsub.deleteDurable("follower");
  await bus.jobs.deleteQueue(fileJobs.queue);
  await bus.kv.deleteBucket(fileRecords.bucket);
  await bus.kv.deleteBucket(indexTotals.bucket);
}
