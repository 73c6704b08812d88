import type { JobQueue } from "@busbar/core";
import { onBus, onClaimedJobs, onDeadLetters, onJobs } from "./contracts.ts";
import { countedByPage, shownLetters } from "./letters.ts";
import type { Mutant, Open, World } from "./mutant.ts";
import { override } from "./override.ts";

/** Mistakes with dead jobs, and with queues as a whole. */
export const queues: readonly Mutant[] = [
  {
    id: "dead-job-lost",
    title: "deadLetter() ends a job and keeps nothing",
    contract: "jobs",
    killedBy: ["JQ-DLQ-001"],
    wrap: (world) => onClaimedJobs(world, (job) => ({ deadLetter: () => job.ack() })),
  },
  {
    id: "dead-job-lost-on-expiry",
    title: "A job whose last lease ends leaves no dead letter",
    contract: "jobs",
    killedBy: ["JQ-RETRY-001"],
    wrap: (world) =>
      onDeadLetters(world, "jobs", (letters) =>
        shownLetters(letters, (letter) => (letter.reason === "max attempts" ? [] : [letter])),
      ),
  },
  {
    id: "dead-job-doubled-on-crash",
    title: "A job that killed its worker has two dead letters",
    contract: "jobs",
    killedBy: ["JQ-RETRY-001"],
    wrap: (world) =>
      onDeadLetters(world, "jobs", (letters) =>
        shownLetters(letters, (letter) =>
          letter.reason === "max attempts"
            ? [letter, { ...letter, id: `${letter.id}-2` }]
            : [letter],
        ),
      ),
  },
  {
    id: "dead-job-not-settled",
    title: "deadLetter() stores the record and forgets to end the job",
    contract: "jobs",
    killedBy: ["JQ-DLQ-001"],
    wrap: (world) =>
      onClaimedJobs(world, (job) => ({ deadLetter: (reason) => job.nak({ reason }) })),
  },
  {
    id: "dead-job-without-reason",
    title: "A dead letter of a job does not say why",
    contract: "jobs",
    killedBy: ["JQ-DLQ-001"],
    wrap: (world) =>
      onDeadLetters(world, "jobs", (letters) =>
        shownLetters(letters, (letter) => [{ ...letter, reason: "" }]),
      ),
  },
  {
    id: "dead-job-without-headers",
    title: "A dead letter of a job has no headers",
    contract: "jobs",
    killedBy: ["JQ-DLQ-001"],
    wrap: (world) =>
      onDeadLetters(world, "jobs", (letters) =>
        shownLetters(letters, (letter) => [{ ...letter, headers: {} }]),
      ),
  },
  {
    id: "replay-keeps-attempts",
    title: "A replayed job goes on with its attempts where it died",
    contract: "jobs",
    killedBy: ["JQ-REPLAY-001"],
    wrap: withKeptAttempts,
  },
  {
    id: "replay-not-atomic",
    title: "replay reads the record, enqueues it, and removes it then",
    contract: "jobs",
    killedBy: ["JQ-REPLAY-005"],
    wrap: (world) =>
      onDeadLetters(world, "jobs", (letters, { jobs }) => ({
        replay: async (owner, id) => {
          const letter = await letters.get(owner, id);
          if (!letter) return false;
          const { payload, headers } = letter;
          await jobs.enqueue(owner, { payload, headers });
          await letters.discard(owner, id);
          return true;
        },
      })),
  },
  {
    id: "pause-of-the-bus",
    title: "Only the bus that paused a queue knows of it",
    contract: "jobs",
    killedBy: ["JQ-PAUSE-004"],
    wrap: (world) =>
      onJobs(world, (jobs) => {
        const paused = new Set<string>();
        const stats: JobQueue["stats"] = async (queue) => ({
          ...(await jobs.stats(queue)),
          paused: paused.has(queue),
        });
        return {
          stats,
          pause: async (queue) => void paused.add(queue),
          resume: async (queue) => void paused.delete(queue),
          claim: async (queue, options) => (paused.has(queue) ? [] : jobs.claim(queue, options)),
        };
      }),
  },
  {
    id: "paused-queue-hands-out",
    title: "A paused queue says that it is paused, and hands out",
    contract: "jobs",
    killedBy: ["JQ-PAUSE-001"],
    wrap: (world) => {
      const paused = new Set<string>();
      return onJobs(world, (jobs, namespace) => ({
        pause: async (queue) => void paused.add(`${namespace} ${queue}`),
        resume: async (queue) => void paused.delete(`${namespace} ${queue}`),
        stats: async (queue) => ({
          ...(await jobs.stats(queue)),
          paused: paused.has(`${namespace} ${queue}`),
        }),
      }));
    },
  },
  {
    id: "pause-spares-waiting-claims",
    title: "A claim that waited before the pause gets what is enqueued after it",
    contract: "jobs",
    killedBy: ["JQ-PAUSE-002"],
    wrap: withPauseAtTheBeginning,
  },
  {
    id: "purge-leaves-delayed",
    title: "purge leaves the delayed jobs",
    contract: "jobs",
    killedBy: ["JQ-PURGE-001"],
    wrap: (world) => {
      const delayed = new Map<string, Parameters<JobQueue["enqueue"]>[1][]>();
      return onJobs(world, (jobs, namespace) => ({
        enqueue: (queue, job, options) => {
          const key = `${namespace} ${queue}`;
          if (job.delayMs) delayed.set(key, [...(delayed.get(key) ?? []), job]);
          return jobs.enqueue(queue, job, options);
        },
        purge: async (queue) => {
          const left = delayed.get(`${namespace} ${queue}`) ?? [];
          const purged = await jobs.purge(queue);
          for (const job of left) await jobs.enqueue(queue, job);
          return purged - left.length;
        },
      }));
    },
  },
  {
    id: "purge-takes-dead-letters",
    title: "purge removes the dead letters too",
    contract: "jobs",
    killedBy: ["JQ-PURGE-001"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        purge: async (queue) => {
          await jobs.deadLetters.purge(queue);
          return jobs.purge(queue);
        },
      })),
  },
  {
    id: "stats-count-leased-as-ready",
    title: "Jobs in the hands of workers are counted as ready too",
    contract: "jobs",
    killedBy: ["JQ-STATS-001"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        stats: async (queue) => {
          const stats = await jobs.stats(queue);
          return { ...stats, ready: stats.ready + stats.leased };
        },
      })),
  },
  {
    id: "stats-count-naked-as-leased",
    title: "A job that waits for the delay of its nak is counted as leased",
    contract: "jobs",
    killedBy: ["JQ-STATS-004"],
    wrap: (world) => {
      let naked = 0;
      const open = onJobs(world, (jobs) => ({
        stats: async (queue) => {
          const stats = await jobs.stats(queue);
          const moved = Math.min(naked, stats.delayed);
          return { ...stats, delayed: stats.delayed - moved, leased: stats.leased + moved };
        },
      }));
      return onClaimedJobs({ ...world, open }, (job) => ({
        nak: async (options) => {
          await job.nak(options);
          if (options?.delayMs) naked += 1;
        },
      }));
    },
  },
  {
    id: "delete-queue-keeps-dead-letters",
    title: "deleteQueue leaves the dead letters",
    contract: "jobs",
    killedBy: ["JQ-QUEUE-001"],
    wrap: (world) => {
      const kept = new Map<string, number>();
      return onJobs(world, (jobs, namespace) => ({
        deleteQueue: async (queue) => {
          const key = `${namespace} ${queue}`;
          const { dead } = await jobs.stats(queue);
          kept.set(key, (kept.get(key) ?? 0) + dead);
          return jobs.deleteQueue(queue);
        },
        stats: async (queue) => {
          const stats = await jobs.stats(queue);
          return { ...stats, dead: stats.dead + (kept.get(`${namespace} ${queue}`) ?? 0) };
        },
      }));
    },
  },
  {
    id: "dead-jobs-counted-by-page",
    title: "count of dead letters is that of the first page",
    contract: "jobs",
    killedBy: ["JQ-DLQ-008"],
    wrap: (world) => onDeadLetters(world, "jobs", countedByPage),
  },
  {
    id: "dead-jobs-purged-by-page",
    title: "purge of dead letters removes the first page",
    contract: "jobs",
    killedBy: ["JQ-DLQ-008"],
    wrap: (world) =>
      onDeadLetters(world, "jobs", (letters) => ({
        purge: async (owner) => {
          const { entries } = await letters.list(owner);
          for (const { id } of entries) await letters.discard(owner, id);
          return entries.length;
        },
      })),
  },
  {
    id: "dead-job-of-the-time-of-death",
    title: "publishedAtMs of a dead letter is the time at which its job died",
    contract: "jobs",
    killedBy: ["JQ-DLQ-009"],
    wrap: (world) =>
      onDeadLetters(world, "jobs", (letters) =>
        shownLetters(letters, (letter) => [{ ...letter, publishedAtMs: letter.deadAtMs }]),
      ),
  },
  {
    id: "dead-jobs-are-messages",
    title: "The dead letter of a job is a message too: who subscribes to everything has it",
    contract: "jobs",
    killedBy: ["PS-SUB-012"],
    wrap: (world) =>
      onBus(world, ({ pubsub, jobs }) => ({
        jobs: override(jobs, {
          claim: async (queue, options) =>
            (await jobs.claim(queue, options)).map((job) =>
              override(job, {
                deadLetter: async (reason) => {
                  await job.deadLetter(reason);
                  await pubsub.publish(`dead.${queue}`, job.payload);
                },
              }),
            ),
        }),
      })),
  },
];

/** Attempts are counted on over a replay. */
function withKeptAttempts(world: World): Open {
  const kept = new Map<string, number>();
  const open = onDeadLetters(world, "jobs", (letters) => ({
    replay: async (owner, id) => {
      const letter = await letters.get(owner, id);
      const isThere = await letters.replay(owner, id);
      if (letter && isThere) kept.set(`${owner} ${id}`, letter.attempts);
      return isThere;
    },
  }));
  return onClaimedJobs({ ...world, open }, (job) => ({
    attempt: job.attempt + (kept.get(`${job.queue} ${job.id}`) ?? 0),
  }));
}

/** Whether a queue is paused is looked at when a claim begins, and not again. */
function withPauseAtTheBeginning(world: World): Open {
  const paused = new Set<string>();
  return onJobs(world, (jobs, namespace) => ({
    pause: async (queue) => void paused.add(`${namespace} ${queue}`),
    resume: async (queue) => void paused.delete(`${namespace} ${queue}`),
    stats: async (queue) =>
      override(await jobs.stats(queue), { paused: paused.has(`${namespace} ${queue}`) }),
    claim: async (queue, options) => {
      if (!paused.has(`${namespace} ${queue}`)) return jobs.claim(queue, options);
      const untilMs = world.clock.monotonic() + (options.waitMs ?? 0);
      while (paused.has(`${namespace} ${queue}`)) {
        if (world.clock.monotonic() >= untilMs) return [];
        await world.clock.sleep(1);
      }
      const waitMs = Math.max(0, untilMs - world.clock.monotonic());
      return jobs.claim(queue, { ...options, waitMs });
    },
  }));
}
