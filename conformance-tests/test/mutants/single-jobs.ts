import type { Job, QueuedJob } from "@busbar/core";
import { onClaimedJobs, onJobs } from "./contracts.ts";
import type { Mutant, Open, World } from "./mutant.ts";
import { override } from "./override.ts";

/** Mistakes with one job that is looked at or taken out of its queue. */
export const singleJobs: readonly Mutant[] = [
  {
    id: "get-only-ready",
    title: "get does not find a job that somebody has or had",
    contract: "jobs",
    killedBy: ["JQ-GET-003"],
    wrap: (world) =>
      withClaimed(world, (claimed) => (jobs) => ({
        get: async (queue, id) => (claimed.has(`${queue} ${id}`) ? undefined : jobs.get(queue, id)),
      })),
  },
  {
    id: "get-finds-the-dead",
    title: "get finds a job that is dead",
    contract: "jobs",
    killedBy: ["JQ-GET-004", "JQ-GET-005"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        get: async (queue, id) => {
          const letter = await jobs.deadLetters.get(queue, id);
          const rest = { dedupKey: undefined, priority: 0, maxAttempts: 5 };
          if (!letter) return jobs.get(queue, id);
          return { ...letter, ...rest, queue, enqueuedAtMs: letter.publishedAtMs };
        },
      })),
  },
  {
    id: "get-without-headers",
    title: "get leaves out the headers",
    contract: "jobs",
    killedBy: ["JQ-GET-001"],
    wrap: (world) => onFound(world, () => ({ headers: {} })),
  },
  {
    id: "get-of-its-own-time",
    title: "enqueuedAtMs of get is the time of the call",
    contract: "jobs",
    killedBy: ["JQ-GET-001"],
    wrap: (world) => onFound(world, () => ({ enqueuedAtMs: world.clock.now() + 1 })),
  },
  {
    id: "get-payload-as-text",
    title: "The payload of get has been a text on its way",
    contract: "jobs",
    killedBy: ["JQ-GET-002"],
    wrap: (world) =>
      onFound(world, ({ payload }) => ({
        payload: new Uint8Array(Buffer.from(Buffer.from(payload).toString())),
      })),
  },
  {
    id: "get-ignores-the-queue",
    title: "get takes ids to be unique over all queues",
    contract: "jobs",
    killedBy: ["JQ-GET-007"],
    wrap: (world) => {
      const queues = new Map<string, string>();
      return onJobs(world, (jobs) => ({
        enqueue: async (queue, job, options) => {
          const result = await jobs.enqueue(queue, job, options);
          queues.set(result.id, queue);
          return result;
        },
        get: (queue, id) => jobs.get(queues.get(id) ?? queue, id),
      }));
    },
  },
  {
    id: "get-by-claim",
    title: "get claims the job and gives it back",
    contract: "jobs",
    killedBy: ["JQ-GET-008"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        get: async (queue, id) => {
          for (const job of await jobs.claim(queue, { workerId: "get", max: 100 })) await job.nak();
          return jobs.get(queue, id);
        },
      })),
  },
  {
    id: "get-gives-its-own-bytes",
    title: "All who get a job get the same bytes, not a copy",
    contract: "jobs",
    killedBy: ["JQ-GET-009"],
    wrap: (world) => {
      const known = new Map<string, Uint8Array>();
      return onFound(world, ({ queue, id, payload }) => {
        const key = `${queue} ${id}`;
        known.set(key, known.get(key) ?? payload);
        return { payload: known.get(key) as Uint8Array };
      });
    },
  },
  {
    id: "ids-are-read-as-numbers",
    title: "get and remove take what begins with a number for that number",
    contract: "jobs",
    killedBy: ["JQ-GET-006", "JQ-REMOVE-004"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        get: (queue, id) => jobs.get(queue, String(Math.abs(Number.parseInt(id, 10)))),
        remove: (queue, id) => jobs.remove(queue, String(Math.abs(Number.parseInt(id, 10)))),
      })),
  },
  {
    id: "remove-spares-leased",
    title: "remove does not find a job that somebody has or had",
    contract: "jobs",
    killedBy: ["JQ-REMOVE-002"],
    wrap: (world) =>
      withClaimed(world, (claimed) => (jobs) => ({
        remove: async (queue, id) => !claimed.has(`${queue} ${id}`) && jobs.remove(queue, id),
      })),
  },
  {
    id: "remove-spares-delayed",
    title: "A job that was removed while it was delayed is handed out when it is due",
    contract: "jobs",
    killedBy: ["JQ-REMOVE-003"],
    wrap: (world) => {
      const delayed = new Set<string>();
      return onJobs(world, (jobs) => ({
        enqueue: async (queue, job, options) => {
          const result = await jobs.enqueue(queue, job, options);
          if (job.delayMs) delayed.add(`${queue} ${result.id}`);
          return result;
        },
        remove: async (queue, id) => delayed.delete(`${queue} ${id}`) || jobs.remove(queue, id),
      }));
    },
  },
  {
    id: "remove-always-there",
    title: "remove says of every job that it was there",
    contract: "jobs",
    killedBy: ["JQ-REMOVE-001", "JQ-REMOVE-004"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        remove: async (queue, id) => {
          await jobs.remove(queue, id);
          return true;
        },
      })),
  },
  {
    id: "remove-not-atomic",
    title: "remove looks whether the job is there, and removes it then",
    contract: "jobs",
    killedBy: ["JQ-REMOVE-006"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        remove: async (queue, id) => {
          const found = await jobs.get(queue, id);
          await jobs.remove(queue, id);
          return found !== undefined;
        },
      })),
  },
  {
    id: "remove-takes-the-dead",
    title: "remove takes dead letters too",
    contract: "jobs",
    killedBy: ["JQ-REMOVE-004"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        remove: async (queue, id) =>
          (await jobs.remove(queue, id)) || jobs.deadLetters.discard(queue, id),
      })),
  },
  {
    id: "remove-takes-the-one-before",
    title: "With the last job the one before it is not found any more",
    contract: "jobs",
    killedBy: ["JQ-REMOVE-009", "JQ-REMOVE-012"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        remove: async (queue, id) => {
          await jobs.remove(queue, String(Number(id) - 2));
          return jobs.remove(queue, id);
        },
      })),
  },
  {
    id: "removed-job-comes-back",
    title:
      "A leased job that was removed comes back when its worker settles it otherwise than by ack",
    contract: "jobs",
    killedBy: ["JQ-REMOVE-007"],
    wrap: withReturn,
  },
  {
    id: "remove-forgets-the-key",
    title: "With a removed job its dedup key is forgotten",
    contract: "jobs",
    killedBy: ["JQ-REMOVE-008"],
    wrap: withForgottenKeys,
  },
  {
    id: "remove-resumes",
    title: "remove lets a paused queue go on",
    contract: "jobs",
    killedBy: ["JQ-REMOVE-010"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        remove: async (queue, id) => {
          await jobs.resume(queue);
          return jobs.remove(queue, id);
        },
      })),
  },
];

type Changing = Parameters<typeof onJobs>[1];

/** Knows which jobs were claimed, by `queue id`. */
function withClaimed(world: World, begin: (claimed: ReadonlySet<string>) => Changing): Open {
  const claimed = new Set<string>();
  const open = onClaimedJobs(world, ({ queue, id }) => {
    claimed.add(`${queue} ${id}`);
    return {};
  });
  return onJobs({ ...world, open }, begin(claimed));
}

/** What `get` finds. */
function onFound(world: World, change: (job: QueuedJob) => Partial<QueuedJob>): Open {
  return onJobs(world, (jobs) => ({
    get: async (queue, id) => {
      const job = await jobs.get(queue, id);
      return job && { ...job, ...change(job) };
    },
  }));
}

function withReturn(world: World): Open {
  const removed = new Set<string>();
  return onJobs(world, (jobs) => ({
    remove: async (queue, id) => {
      const isThere = await jobs.remove(queue, id);
      if (isThere) removed.add(`${queue} ${id}`);
      return isThere;
    },
    claim: async (queue, options) =>
      (await jobs.claim(queue, options)).map((job) => {
        const back = async (settled: Promise<void>): Promise<void> => {
          await settled;
          const { payload } = job;
          if (removed.delete(`${queue} ${job.id}`)) await jobs.enqueue(queue, { payload });
        };
        return override(job, {
          nak: (own) => back(job.nak(own)),
          giveBack: (own) => back(job.giveBack(own)),
        });
      }),
  }));
}

function withForgottenKeys(world: World): Open {
  const keys = new Map<string, string>();
  const forgotten = new Set<string>();
  return onJobs(world, (jobs) => ({
    enqueue: async (queue, job, options) => {
      const { dedupKey, ...rest } = job;
      const key = `${queue} ${dedupKey}`;
      const sent: Job = forgotten.has(key) ? rest : job;
      const result = await jobs.enqueue(queue, sent, options);
      keys.set(`${queue} ${result.id}`, key);
      return result;
    },
    remove: async (queue, id) => {
      forgotten.add(keys.get(`${queue} ${id}`) ?? "");
      return jobs.remove(queue, id);
    },
  }));
}
