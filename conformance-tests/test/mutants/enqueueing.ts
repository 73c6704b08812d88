import type { ClaimedJob, EnqueueResult, Job, JobQueue } from "@busbar/core";
import { onClaimedJobs, onJobs } from "./contracts.ts";
import type { Mutant, Open, World } from "./mutant.ts";
import { override, without } from "./override.ts";

const MAX_PRIORITY = 9;

/** Mistakes with jobs on their way into a queue, and with the order in which they come out. */
export const enqueueing: readonly Mutant[] = [
  {
    id: "priority-inverted",
    title: "Lower priorities are handed out first",
    contract: "jobs",
    killedBy: ["JQ-PRIO-001"],
    wrap: (world) => {
      const shown = (job: ClaimedJob): Partial<ClaimedJob> => ({
        priority: MAX_PRIORITY - job.priority,
      });
      const open = onEnqueue(world, (job) => ({
        ...job,
        priority: MAX_PRIORITY - (job.priority ?? 0),
      }));
      return onClaimedJobs({ ...world, open }, shown);
    },
  },
  {
    id: "batch-sorted-by-time",
    title: "The jobs of a claim are sorted by time, and by id as text where times are equal",
    contract: "jobs",
    killedBy: ["JQ-MANY-006"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        claim: async (queue, options) => {
          const claimed = await jobs.claim(queue, options);
          return claimed.toSorted(
            (a, b) =>
              b.priority - a.priority || a.enqueuedAtMs - b.enqueuedAtMs || (a.id < b.id ? -1 : 1),
          );
        },
      })),
  },
  {
    id: "last-in-first-out",
    title: "Of the jobs of one enqueueMany the last is handed out first",
    contract: "jobs",
    killedBy: ["JQ-MANY-001"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        enqueueMany: async (queue, many, options) =>
          (await jobs.enqueueMany(queue, many.toReversed(), options)).toReversed(),
      })),
  },
  {
    id: "many-one-by-one",
    title: "enqueueMany checks each job when its turn has come",
    contract: "jobs",
    killedBy: ["JQ-MANY-002"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        enqueueMany: async (queue, many, options) => {
          const results: EnqueueResult[] = [];
          for (const job of many) results.push(await jobs.enqueue(queue, job, options));
          return results;
        },
      })),
  },
  {
    id: "job-delay-ignored",
    title: "A delayed job is handed out at once",
    contract: "jobs",
    killedBy: ["JQ-DELAY-001"],
    wrap: (world) => onEnqueue(world, (job) => without(job, "delayMs")),
  },
  {
    id: "job-delay-in-seconds",
    title: "A delay is cut to whole seconds: a delayed job comes early",
    contract: "jobs",
    killedBy: ["JQ-DELAY-001"],
    wrap: (world) =>
      onEnqueue(world, (job) =>
        job.delayMs === undefined
          ? job
          : { ...job, delayMs: Math.floor(job.delayMs / 1_000) * 1_000 },
      ),
  },
  {
    id: "run-at-is-a-delay",
    title: "runAtMs is ignored",
    contract: "jobs",
    killedBy: ["JQ-DELAY-002"],
    wrap: (world) => onEnqueue(world, (job) => without(job, "runAtMs")),
  },
  {
    id: "dedup-forgotten",
    title: "A dedup key is not sent: every enqueue makes a job",
    contract: "jobs",
    killedBy: ["JQ-DEDUP-001"],
    wrap: (world) => onEnqueue(world, (job) => without(job, "dedupKey")),
  },
  {
    id: "dedup-looked-up-first",
    title: "A dedup key is looked up, then remembered when the job is made: two at a time both are",
    contract: "jobs",
    killedBy: ["JQ-DEDUP-002"],
    wrap: (world) => {
      const seen = new Map<string, string>();
      return onJobs(world, (jobs, namespace) => ({
        enqueue: async (queue, job, options) => {
          const { dedupKey, ...rest } = job;
          if (dedupKey === undefined) return jobs.enqueue(queue, job, options);
          const id = seen.get(`${namespace} ${queue} ${dedupKey}`);
          if (id !== undefined) return { id, duplicate: true };
          const result = await jobs.enqueue(queue, rest, options);
          seen.set(`${namespace} ${queue} ${dedupKey}`, result.id);
          return result;
        },
      }));
    },
  },
  {
    id: "dedup-of-all-queues",
    title: "A dedup key counts in all queues",
    contract: "jobs",
    killedBy: ["JQ-DEDUP-005"],
    wrap: (world) => withKnownKeys(world, (namespace, _queue, key) => `${namespace} ${key}`),
  },
  {
    id: "dedup-of-all-namespaces",
    title: "A dedup key counts in all namespaces",
    contract: "jobs",
    killedBy: ["LC-SHARE-004"],
    wrap: (world) => withKnownKeys(world, (_namespace, queue, key) => `${queue} ${key}`),
  },
  {
    id: "dedup-window-slides",
    title: "The dedup window begins again with every double",
    contract: "jobs",
    killedBy: ["JQ-DEDUP-008"],
    wrap: withSlidingWindow,
  },
  {
    id: "dedup-forgets-finished-jobs",
    title: "A dedup key is forgotten when its job is acked",
    contract: "jobs",
    killedBy: ["JQ-DEDUP-003"],
    wrap: (world) => {
      const rounds = new Map<string, number>();
      const suffix = /~\d+$/;
      const open = onJobs(world, (jobs) => ({
        enqueue: (queue, job, options) => {
          const round = rounds.get(`${queue} ${job.dedupKey}`);
          const own = round === undefined ? {} : { dedupKey: `${job.dedupKey}~${round}` };
          return jobs.enqueue(queue, { ...job, ...own }, options);
        },
      }));
      return onClaimedJobs({ ...world, open }, (job) => {
        const dedupKey = job.dedupKey?.replace(suffix, "");
        const ack: ClaimedJob["ack"] = async (options) => {
          await job.ack(options);
          const key = `${job.queue} ${dedupKey}`;
          if (dedupKey !== undefined) rounds.set(key, (rounds.get(key) ?? 0) + 1);
        };
        return { ack, dedupKey };
      });
    },
  },
  {
    id: "job-headers-lost",
    title: "Headers of a job are not stored",
    contract: "jobs",
    killedBy: ["JQ-ENQ-001"],
    wrap: (world) => onEnqueue(world, (job) => without(job, "headers")),
  },
  {
    id: "job-ids-of-the-bus",
    title: "Each bus numbers its jobs by itself",
    contract: "jobs",
    killedBy: ["JQ-ENQ-009"],
    wrap: (world) =>
      onJobs(world, (jobs) => {
        let count = 0;
        return {
          enqueue: async (queue, job, options) => {
            const result = await jobs.enqueue(queue, job, options);
            return result.duplicate ? result : { ...result, id: String(++count) };
          },
        };
      }),
  },
  {
    id: "dedup-key-used-up-by-refusal",
    title: "A dedup key is remembered before it is known whether the job is made: it is lost then",
    contract: "jobs",
    killedBy: ["JQ-DEDUP-010"],
    wrap: (world) => {
      const taken = new Set<string>();
      return onJobs(world, (jobs, namespace) => ({
        enqueue: async (queue, job, options) => {
          const key = `${namespace} ${queue} ${job.dedupKey}`;
          if (taken.has(key)) return { id: "1", duplicate: true };
          try {
            return await jobs.enqueue(queue, job, options);
          } catch (error) {
            if (job.dedupKey !== undefined) taken.add(key);
            throw error;
          }
        },
      }));
    },
  },
  {
    id: "dedup-of-the-bus",
    title: "Each bus remembers its own dedup keys: two buses make two jobs",
    contract: "jobs",
    killedBy: ["JQ-DEDUP-002"],
    wrap: (world) =>
      onJobs(world, (jobs) => {
        const made = new Map<string, Promise<EnqueueResult>>();
        return {
          enqueue: async (queue, job, options) => {
            if (job.dedupKey === undefined) return jobs.enqueue(queue, job, options);
            const key = `${queue} ${job.dedupKey}`;
            const first = made.get(key);
            if (first) return { ...(await first), duplicate: true };
            const result = jobs.enqueue(queue, without(job, "dedupKey"), options);
            made.set(key, result);
            return result;
          },
        };
      }),
  },
];

function onEnqueue(world: World, change: (job: Job) => Job): Open {
  return onJobs(world, (jobs) => ({
    enqueue: (queue, job, options) => jobs.enqueue(queue, change(job), options),
    enqueueMany: (queue, many, options) => jobs.enqueueMany(queue, many.map(change), options),
  }));
}

/** Answers from a memory of its own before the queue is asked. */
function withKnownKeys(
  world: World,
  keyOf: (namespace: string, queue: string, dedupKey: string) => string,
): Open {
  const known = new Map<string, string>();
  return onJobs(world, (jobs, namespace) => ({
    enqueue: async (queue, job, options) => {
      const { dedupKey } = job;
      if (dedupKey === undefined) return jobs.enqueue(queue, job, options);
      const key = keyOf(namespace, queue, dedupKey);
      const id = known.get(key);
      if (id !== undefined) return { id, duplicate: true };
      const result = await jobs.enqueue(queue, job, options);
      known.set(key, result.id);
      return result;
    },
  }));
}

function withSlidingWindow(world: World): Open {
  const known = new Map<string, { readonly id: string; untilMs: number }>();
  return async (options) => {
    const bus = await world.open(options);
    const { dedupWindowMs } = bus.capabilities;
    const enqueue: JobQueue["enqueue"] = async (queue, job, enqueueing) => {
      const { dedupKey } = job;
      if (dedupKey === undefined) return bus.jobs.enqueue(queue, job, enqueueing);
      const key = `${options.namespace} ${queue} ${dedupKey}`;
      const untilMs = world.clock.monotonic() + dedupWindowMs;
      const first = known.get(key);
      if (first && first.untilMs > world.clock.monotonic()) {
        first.untilMs = untilMs;
        return { id: first.id, duplicate: true };
      }
      const result = await bus.jobs.enqueue(queue, job, enqueueing);
      known.set(key, { id: result.id, untilMs });
      return result;
    };
    return override(bus, { jobs: override(bus.jobs, { enqueue }) });
  };
}
