import type { ClaimedJob, ClaimOptions, JobQueue } from "@busbar/core";
import { onJobs } from "./contracts.ts";
import type { Mutant, Open, World } from "./mutant.ts";
import { without } from "./override.ts";

/** Mistakes with `maxPriority`. */
export const limitedClaims: readonly Mutant[] = [
  {
    id: "max-priority-ignored",
    title: "A claim takes jobs of any priority, whatever its maxPriority",
    contract: "jobs",
    killedBy: ["JQ-PRIO-007", "JQ-PRIO-008"],
    wrap: (world) =>
      onClaims(world, (jobs, queue, options) => jobs.claim(queue, without(options, "maxPriority"))),
  },
  {
    id: "max-priority-exclusive",
    title: "A claim takes jobs below its maxPriority only",
    contract: "jobs",
    killedBy: ["JQ-PRIO-007", "JQ-PRIO-008"],
    wrap: (world) =>
      onClaims(world, async (jobs, queue, options) => {
        const maxPriority = (options.maxPriority ?? 10) - 1;
        return maxPriority < 0 ? [] : jobs.claim(queue, { ...options, maxPriority });
      }),
  },
  {
    id: "max-priority-looked-at-late",
    title: "A claim takes what comes and naks what is above its maxPriority",
    contract: "jobs",
    killedBy: ["JQ-PRIO-007", "JQ-PRIO-011"],
    wrap: (world) =>
      sorting(
        world,
        () => true,
        (job) => job.nak(),
      ),
  },
  {
    id: "max-priority-of-fresh-jobs",
    title: "maxPriority holds for jobs that nobody had yet",
    contract: "jobs",
    killedBy: ["JQ-PRIO-012"],
    wrap: (world) =>
      sorting(
        world,
        ({ attempt }) => attempt === 1,
        (job) => job.giveBack(),
      ),
  },
  {
    id: "max-priority-not-while-waiting",
    title: "A claim that waits takes the first job that comes, whatever its maxPriority",
    contract: "jobs",
    killedBy: ["JQ-PRIO-009", "JQ-PRIO-010"],
    wrap: (world) =>
      onClaims(world, async (jobs, queue, options) => {
        const ready = await jobs.claim(queue, { ...options, waitMs: 0 });
        return ready.length > 0 ? ready : jobs.claim(queue, without(options, "maxPriority"));
      }),
  },
  {
    id: "max-priority-as-given",
    title: "A maxPriority that is not allowed is taken for the nearest that is",
    contract: "jobs",
    killedBy: ["JQ-PRIO-013"],
    wrap: (world) =>
      onClaims(world, (jobs, queue, options) => {
        const nearest = Math.trunc(Math.min(9, Math.max(0, Number(options.maxPriority ?? 9) || 0)));
        return jobs.claim(queue, { ...options, maxPriority: nearest });
      }),
  },
];

function onClaims(
  world: World,
  claim: (jobs: JobQueue, queue: string, options: ClaimOptions) => Promise<ClaimedJob[]>,
): Open {
  return onJobs(world, (jobs) => ({ claim: (queue, options) => claim(jobs, queue, options) }));
}

/** Claims without a limit; what is above it, and `isSent` back, goes back in the end. */
function sorting(
  world: World,
  isSent: (job: ClaimedJob) => boolean,
  sendBack: (job: ClaimedJob) => Promise<void>,
): Open {
  return onClaims(world, async (jobs, queue, options) => {
    const { maxPriority = 9, max = 1 } = options;
    const all = await jobs.claim(queue, { ...without(options, "maxPriority"), max: 100 });
    const isAbove = (job: ClaimedJob): boolean => job.priority > maxPriority && isSent(job);
    const fitting = all.filter((job) => !isAbove(job));
    for (const job of all.filter(isAbove)) await sendBack(job);
    for (const job of fitting.slice(max)) await job.giveBack();
    return fitting.slice(0, max);
  });
}
