import type { Bus } from "@busbar/core";
import type { TenantRegistry } from "../../src/index.ts";
import { laneQueue } from "../../src/tasks/lanes.ts";

/** Takes all tasks of tenant `a` out of the queue. @returns their ticks */
export async function submittedIn(bus: Bus, registry: TenantRegistry): Promise<number[]> {
  const lane = laneQueue("q", (await registry.get("a"))?.storageId ?? "");
  const ticks: number[] = [];
  for (;;) {
    const jobs = await bus.jobs.claim(lane, { workerId: "w", max: 100 });
    if (jobs.length === 0) return ticks.sort((a, b) => a - b);
    for (const job of jobs) {
      ticks.push(Number(job.headers["schedule-tick"]));
      await job.ack({ confirm: true });
    }
  }
}
