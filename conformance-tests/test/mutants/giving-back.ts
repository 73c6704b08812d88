import { onClaimedJobs, onJobs } from "./contracts.ts";
import type { Mutant } from "./mutant.ts";
import { overlooking, override } from "./override.ts";

/** Mistakes with jobs that are given back without an attempt. */
export const givingBack: readonly Mutant[] = [
  {
    id: "give-back-burns-an-attempt",
    title: "giveBack uses up an attempt, and is dead after the last one",
    contract: "jobs",
    killedBy: ["JQ-BACK-001", "JQ-BACK-003", "JQ-BACK-004"],
    wrap: (world) => onClaimedJobs(world, (job) => ({ giveBack: (options) => job.nak(options) })),
  },
  {
    id: "give-back-begins-anew",
    title: "A job that is given back has all its attempts again",
    contract: "jobs",
    killedBy: ["JQ-BACK-004"],
    wrap: (world) => {
      const before = new Map<string, number>();
      return onClaimedJobs(world, (job) => {
        const attempt = job.attempt - (before.get(job.id) ?? 0);
        const giveBack = async (): Promise<void> => {
          before.set(job.id, job.attempt - 1);
          await job.giveBack();
        };
        return { attempt, giveBack };
      });
    },
  },
  {
    id: "give-back-delay-ignored",
    title: "giveBack({ delayMs }) makes the job ready at once",
    contract: "jobs",
    killedBy: ["JQ-BACK-002", "JQ-BACK-008"],
    wrap: (world) => onClaimedJobs(world, (job) => ({ giveBack: () => job.giveBack() })),
  },
  {
    id: "give-back-waits-for-lease",
    title: "A job that is given back is handed out when its lease would have ended",
    contract: "jobs",
    killedBy: ["JQ-BACK-001", "JQ-BACK-007"],
    wrap: (world) => onClaimedJobs(world, () => ({ giveBack: async () => undefined })),
  },
  {
    id: "give-back-to-the-end",
    title: "A job that is given back goes behind all others",
    contract: "jobs",
    killedBy: ["JQ-BACK-005"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        claim: async (queue, options) =>
          (await jobs.claim(queue, options)).map((job) =>
            override(job, {
              giveBack: async () => {
                await job.ack();
                await jobs.enqueue(queue, { payload: job.payload, priority: job.priority });
              },
            }),
          ),
      })),
  },
  {
    id: "give-back-keeps-the-fence",
    title: "The fence of a job that was given back is that of its last claim",
    contract: "jobs",
    killedBy: ["JQ-BACK-001"],
    wrap: (world) => {
      const fences = new Map<string, number>();
      return onClaimedJobs(world, (job) => ({
        fence: fences.get(job.id) ?? job.fence,
        giveBack: async (options) => {
          await job.giveBack(options);
          fences.set(job.id, fences.get(job.id) ?? job.fence);
        },
      }));
    },
  },
  {
    id: "give-back-after-the-end",
    title: "giveBack resolves although the job was settled, or its lease is over",
    contract: "jobs",
    killedBy: ["JQ-ACK-003", "JQ-STALE-001", "JQ-STALE-002"],
    wrap: (world) =>
      onClaimedJobs(world, (job) => ({
        giveBack: (options) =>
          overlooking(
            "LEASE_LOST",
            overlooking("ALREADY_SETTLED", job.giveBack(options), () => undefined),
            () => undefined,
          ),
      })),
  },
  {
    id: "give-back-takes-any-delay",
    title: "giveBack takes a delay that is not allowed for none",
    contract: "jobs",
    killedBy: ["JQ-BACK-006"],
    wrap: (world) =>
      onClaimedJobs(world, (job) => ({
        giveBack: ({ delayMs = 0 } = {}) =>
          job.giveBack({ delayMs: delayMs > 0 && delayMs < 1e9 ? delayMs : 0 }),
      })),
  },
];
