import type {
  ClaimedJob,
  ClaimOptions,
  DeadLetters,
  EnqueueOptions,
  EnqueueResult,
  Job,
  JobQueue,
  QueuedJob,
  QueueStats,
} from "@busbar/core";
import { DEFAULT_JOB_LEASE_MS, DEFAULT_TIMEOUT_MS } from "@busbar/core/adapter";
import type { MemoryClaimedJob } from "../memory-claimed-job.ts";
import { digest, owned, shown } from "./digest.ts";
import type { Call, Link } from "./link.ts";
import { leftMs, SimClaimedJob } from "./sim-claimed-job.ts";
import { SimDeadLetters } from "./sim-dead-letters.ts";

/** Job queues over a {@link Link}. */
export class SimJobQueue implements JobQueue {
  readonly deadLetters: DeadLetters;
  readonly #link: Link;
  readonly #inner: JobQueue;

  constructor(link: Link, inner: JobQueue) {
    this.#link = link;
    this.#inner = inner;
    this.deadLetters = new SimDeadLetters(link, inner.deadLetters);
  }

  enqueue(queue: string, job: Job, options?: EnqueueOptions): Promise<EnqueueResult> {
    const own = this.#own(job);
    const call = {
      op: "jobs.enqueue",
      about: queue,
      data: this.#link.recorder.isWatched ? this.#facts(own) : {},
      timeoutMs: options?.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      again: job?.dedupKey === undefined ? undefined : ("inDoubt" as const),
    };
    return this.#link.request(call, () => this.#inner.enqueue(queue, own, options), enqueued);
  }

  enqueueMany(
    queue: string,
    jobs: readonly Job[],
    options?: EnqueueOptions,
  ): Promise<EnqueueResult[]> {
    const own = Array.isArray(jobs) ? jobs.map((job: Job) => this.#own(job)) : jobs;
    const call = {
      op: "jobs.enqueueMany",
      about: queue,
      data: this.#link.recorder.isWatched ? { jobs: own.map((job) => this.#facts(job)) } : {},
      timeoutMs: options?.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    };
    return this.#link.request(
      call,
      () => this.#inner.enqueueMany(queue, own, options),
      (results) => ({ jobs: results.map(enqueued) }),
    );
  }

  async claim(queue: string, options: ClaimOptions): Promise<ClaimedJob[]> {
    const { workerId, leaseMs, max, maxPriority, waitMs = 0 } = options ?? {};
    const call = {
      op: "jobs.claim",
      about: queue,
      data: { workerId, leaseMs, max, maxPriority, waitMs },
      timeoutMs: waitMs + DEFAULT_TIMEOUT_MS,
      again: "afterBreak" as const,
    };
    const jobs = await this.#link.request(
      call,
      this.#link.waiting(options, (left) => this.#inner.claim(queue, left)),
      (claimed) => ({ jobs: claimed.map(({ id, attempt, fence }) => ({ id, attempt, fence })) }),
    );
    return jobs.map((job) => {
      const { name, recorder } = this.#link;
      recorder.delivered(name, "job", queue, () => ({
        id: job.id,
        attempt: job.attempt,
        fence: job.fence,
        maxAttempts: job.maxAttempts,
        priority: job.priority,
        leaseMs: leaseMs ?? DEFAULT_JOB_LEASE_MS,
        leftMs: leftMs(job, this.#link),
        payload: digest(job.payload),
        headers: shown(job.headers),
      }));
      return new SimClaimedJob(this.#link, job as MemoryClaimedJob);
    });
  }

  get(queue: string, id: string): Promise<QueuedJob | undefined> {
    return this.#link.request(this.#call("get", queue, { id }), () => this.#inner.get(queue, id));
  }

  remove(queue: string, id: string): Promise<boolean> {
    return this.#link.request(
      // Whoever asks again may find what he has done himself.
      { ...this.#call("remove", queue, { id }), again: undefined },
      () => this.#inner.remove(queue, id),
      (removed) => ({ removed }),
    );
  }

  stats(queue: string): Promise<QueueStats> {
    return this.#link.request(this.#call("stats", queue), () => this.#inner.stats(queue));
  }

  pause(queue: string): Promise<void> {
    return this.#link.request(this.#call("pause", queue), () => this.#inner.pause(queue));
  }

  resume(queue: string): Promise<void> {
    return this.#link.request(this.#call("resume", queue), () => this.#inner.resume(queue));
  }

  purge(queue: string): Promise<number> {
    return this.#link.request(this.#call("purge", queue), () => this.#inner.purge(queue));
  }

  deleteQueue(queue: string): Promise<boolean> {
    const call = this.#call("deleteQueue", queue);
    return this.#link.request(call, () => this.#inner.deleteQueue(queue));
  }

  #call(method: string, queue: string, data: Call["data"] = {}): Call {
    return {
      op: `jobs.${method}`,
      about: queue,
      data,
      timeoutMs: DEFAULT_TIMEOUT_MS,
      again: "afterBreak",
    };
  }

  #own(job: Job): Job {
    if (typeof job !== "object" || job === null) return job;
    const payload = owned(this.#link, job.payload);
    return payload === job.payload ? job : { ...job, payload };
  }

  #facts(job: Job): Readonly<Record<string, unknown>> {
    const { payload, headers, dedupKey, priority, maxAttempts, delayMs } = job;
    return {
      payload: digest(payload),
      headers: shown(headers),
      dedupKey,
      priority,
      maxAttempts,
      delayMs,
    };
  }
}

function enqueued({ id, duplicate }: EnqueueResult): Readonly<Record<string, unknown>> {
  return { id, duplicate };
}
