import type { ClaimedJob, JobQueue } from "@busbar/core";
import { onClaimedJobs, onJobs } from "./contracts.ts";
import type { Mutant, Open, World } from "./mutant.ts";
import { overlooking, override, without } from "./override.ts";

const MAX_ATTEMPTS = 1_000;

/** Mistakes with claims, their leases and their settles. */
export const claiming: readonly Mutant[] = [
  {
    id: "job-ack-lost",
    title: "An ack of a job resolves and is never sent",
    contract: "jobs",
    killedBy: ["JQ-ACK-001"],
    wrap: (world) => onClaimedJobs(world, () => ({ ack: async () => undefined })),
  },
  {
    id: "job-nak-delay-ignored",
    title: "nak({ delayMs }) of a job makes it ready at once",
    contract: "jobs",
    killedBy: ["JQ-NAK-002"],
    wrap: (world) =>
      onClaimedJobs(world, (job) => ({
        nak: (options = {}) => job.nak(without(options, "delayMs")),
      })),
  },
  {
    id: "job-nak-waits-for-lease",
    title: "A job that is given back is handed out when its lease would have ended",
    contract: "jobs",
    killedBy: ["JQ-NAK-001"],
    wrap: (world) => onClaimedJobs(world, () => ({ nak: async () => undefined })),
  },
  {
    id: "stale-job-ack-accepted",
    title: "An ack after the lease is accepted and ends the job of the next worker",
    contract: "jobs",
    killedBy: ["JQ-STALE-002", "JQ-STALE-003"],
    wrap: (world) => {
      const latest = new Map<string, ClaimedJob>();
      return onClaimedJobs(world, (job, namespace) => {
        const key = `${namespace} ${job.queue} ${job.id}`;
        latest.set(key, job);
        const instead = async (): Promise<void> => {
          const current = latest.get(key);
          if (current !== job) await current?.ack();
        };
        return { ack: (options) => overlooking("LEASE_LOST", job.ack(options), instead) };
      });
    },
  },
  {
    id: "second-job-settle-accepted",
    title: "A second settle of a job resolves",
    contract: "jobs",
    killedBy: ["JQ-ACK-003"],
    wrap: (world) =>
      onClaimedJobs(world, (job) => {
        const settle = (work: Promise<void>): Promise<void> =>
          overlooking("ALREADY_SETTLED", work, () => undefined);
        return {
          ack: (options) => settle(job.ack(options)),
          nak: (options) => settle(job.nak(options)),
          deadLetter: (reason) => settle(job.deadLetter(reason)),
        };
      }),
  },
  {
    id: "job-heartbeat-does-nothing",
    title: "heartbeat() of a job resolves and renews nothing",
    contract: "jobs",
    killedBy: ["JQ-BEAT-001"],
    wrap: (world) => onClaimedJobs(world, () => ({ heartbeat: async () => undefined })),
  },
  {
    id: "heartbeat-lease-ignored",
    title: "heartbeat({ leaseMs }) renews for the time of the claim",
    contract: "jobs",
    killedBy: ["JQ-BEAT-002"],
    wrap: (world) => onClaimedJobs(world, (job) => ({ heartbeat: () => job.heartbeat() })),
  },
  {
    id: "lease-of-the-queue",
    title: "The lease of a claim is that of the queue, not the one that it asked for",
    contract: "jobs",
    killedBy: ["JQ-LEASE-003"],
    wrap: (world) => withLease(world, () => 30_000),
  },
  {
    id: "claimed-while-leased",
    title: "A job is handed to a second worker when half of its lease is over",
    contract: "jobs",
    killedBy: ["JQ-LEASE-001"],
    wrap: (world) => withLease(world, (leaseMs) => Math.max(50, leaseMs / 2)),
  },
  {
    id: "short-leases-rounded-up",
    title: "A lease of less than a second is a second",
    contract: "jobs",
    killedBy: ["JQ-LEASE-005"],
    wrap: (world) => withLease(world, (leaseMs) => Math.max(1_000, leaseMs)),
  },
  {
    id: "job-lost-too-late",
    title: "lost of a job fires a second after the end of its lease",
    contract: "jobs",
    killedBy: ["JQ-LEASE-008"],
    wrap: (world) =>
      onClaimedJobs(world, (job) => {
        let late: AbortController | undefined;
        const watch = (): AbortSignal => {
          const controller = new AbortController();
          const { lost } = job.lease;
          const fire = (): void => {
            world.clock.setTimer(() => controller.abort(lost.reason), 1_000);
          };
          if (lost.aborted) controller.abort(lost.reason);
          else lost.addEventListener("abort", fire, { once: true });
          late = controller;
          return controller.signal;
        };
        const lease: ClaimedJob["lease"] = {
          get expiresAtMs() {
            return job.lease.expiresAtMs;
          },
          get lost() {
            return late?.signal ?? watch();
          },
        };
        return { lease };
      }),
  },
  {
    id: "attempts-not-counted",
    title: "Every attempt is the first one: a job never runs out of them",
    contract: "jobs",
    killedBy: ["JQ-RETRY-001"],
    wrap: (world) => {
      const open = onJobs(world, (jobs) => ({
        enqueue: (queue, job, options) =>
          jobs.enqueue(queue, { ...job, maxAttempts: MAX_ATTEMPTS }, options),
      }));
      return onClaimedJobs({ ...world, open }, () => ({ attempt: 1 }));
    },
  },
  {
    id: "max-attempts-of-the-queue",
    title: "All jobs have the default of attempts",
    contract: "jobs",
    killedBy: ["JQ-RETRY-004"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        enqueue: (queue, job, options) => jobs.enqueue(queue, without(job, "maxAttempts"), options),
      })),
  },
  {
    id: "job-fence-is-the-attempt",
    title: "The fence of a job is its attempt: a replay begins again with 1",
    contract: "jobs",
    killedBy: ["JQ-FENCE-002"],
    wrap: (world) => onClaimedJobs(world, ({ attempt }) => ({ fence: attempt })),
  },
  {
    id: "job-fence-constant",
    title: "All claims of a job have one fence",
    contract: "jobs",
    killedBy: ["JQ-FENCE-001"],
    wrap: (world) => onClaimedJobs(world, ({ id }) => ({ fence: Number(id) || 1 })),
  },
  {
    id: "expired-jobs-starve",
    title: "A job whose lease ended is found only by a claim that finds nothing fresh",
    contract: "jobs",
    killedBy: ["JQ-LEASE-006"],
    wrap: withStarvation,
  },
  {
    id: "claim-takes-one",
    title: "A claim of many gives one job at most",
    contract: "jobs",
    killedBy: ["JQ-CLAIM-002"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        claim: (queue, options) => jobs.claim(queue, { ...options, max: 1 }),
      })),
  },
  {
    id: "claim-waits-for-max",
    title: "A claim of many waits until there are so many, or its wait is over",
    contract: "jobs",
    killedBy: ["JQ-CLAIM-003"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        claim: async (queue, options) => {
          const { max = 1, waitMs = 0 } = options;
          const claimed = await jobs.claim(queue, options);
          const untilMs = world.clock.monotonic() + waitMs;
          while (claimed.length < max && world.clock.monotonic() < untilMs) {
            const left = { max: max - claimed.length, waitMs: untilMs - world.clock.monotonic() };
            claimed.push(...(await jobs.claim(queue, { ...options, ...left })));
          }
          return claimed;
        },
      })),
  },
  {
    id: "claim-outlives-its-wait",
    title: "A claim whose wait is over goes on at the server, and takes the next job",
    contract: "jobs",
    killedBy: ["JQ-WAIT-003"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        claim: async (queue, options) => {
          const claimed = await jobs.claim(queue, options);
          if (claimed.length === 0 && options.waitMs) {
            const ghost = jobs.claim(queue, { ...options, waitMs: 1_000 });
            ghost.catch(() => undefined);
          }
          return claimed;
        },
      })),
  },
  {
    id: "abort-loses-jobs",
    title: "A claim that is aborted goes on at the server, and takes the next job",
    contract: "jobs",
    killedBy: ["JQ-WAIT-004"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        claim: async (queue, options) => {
          const { signal, ...rest } = options;
          if (!signal) return jobs.claim(queue, options);
          signal.throwIfAborted();
          const claimed = jobs.claim(queue, rest);
          claimed.catch(() => undefined);
          const aborted = new Promise<never>((_resolve, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason), { once: true });
          });
          return Promise.race([claimed, aborted]);
        },
      })),
  },
  {
    id: "claim-timer-left",
    title: "The timer of a waiting claim goes on when the claim has its job",
    contract: "jobs",
    killedBy: ["JQ-WAIT-001"],
    wrap: (world) =>
      onJobs(world, (jobs) => ({
        claim: (queue, options) => {
          if (options.waitMs) world.clock.setTimer(() => undefined, options.waitMs);
          return jobs.claim(queue, options);
        },
      })),
  },
  {
    id: "lost-timer-left",
    title: "The timer behind lost goes on when the job is settled",
    contract: "jobs",
    killedBy: ["JQ-LEASE-013"],
    wrap: (world) =>
      onClaimedJobs(world, (job) => ({
        lease: {
          get expiresAtMs() {
            return job.lease.expiresAtMs;
          },
          get lost() {
            const leftMs = Math.max(0, job.lease.expiresAtMs - world.clock.now());
            world.clock.setTimer(() => undefined, leftMs);
            return job.lease.lost;
          },
        },
      })),
  },
  {
    id: "job-expiry-as-claimed",
    title: "expiresAtMs of a job does not follow its heartbeats",
    contract: "jobs",
    killedBy: ["JQ-BEAT-001"],
    wrap: (world) =>
      onClaimedJobs(world, (job) => {
        const { expiresAtMs } = job.lease;
        return { lease: override(job.lease, { expiresAtMs }) };
      }),
  },
];

/** Claims with another lease than the worker asked for, and was told. */
function withLease(world: World, change: (leaseMs: number) => number): Open {
  return onJobs(world, (jobs) => ({
    claim: (queue, options) =>
      jobs.claim(queue, { ...options, leaseMs: change(options.leaseMs ?? 30_000) }),
  }));
}

/** What was left by its worker goes back as long as there is something else. */
function withStarvation(world: World): Open {
  const settled = new Set<string>();
  return onJobs(world, (jobs, namespace) => {
    const keyOf = ({ queue, id, attempt }: ClaimedJob): string =>
      JSON.stringify([namespace, queue, id, attempt]);
    const claim: JobQueue["claim"] = async (queue, options) => {
      const claimed = await jobs.claim(queue, options);
      const isLeft = (job: ClaimedJob): boolean =>
        job.attempt > 1 && !settled.has(keyOf(override(job, { attempt: job.attempt - 1 })));
      const left = claimed.filter(isLeft);
      const others = claimed.filter((job) => !isLeft(job));
      const { ready } = await jobs.stats(queue);
      if (left.length > 0 && others.length + ready > 0) {
        const rest = await jobs.claim(queue, { ...options, max: left.length, waitMs: 0 });
        for (const job of left) await job.nak();
        return [...others, ...rest];
      }
      return claimed.map((job) =>
        override(job, {
          nak: async (settling) => {
            await job.nak(settling);
            settled.add(keyOf(job));
          },
        }),
      );
    };
    return { claim };
  });
}
