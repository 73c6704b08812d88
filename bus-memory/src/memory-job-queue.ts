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
import {
  checkName,
  jobNumber,
  type ResolvedJob,
  resolveClaimOptions,
  resolveJob,
  resolveTimeout,
} from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import { copyOf } from "./engine/arena.ts";
import type { Queue } from "./engine/queue.ts";
import type { JobTerm } from "./engine/job-term.ts";
import { MemoryClaimedJob } from "./memory-claimed-job.ts";
import { MemoryDeadLetters } from "./memory-dead-letters.ts";
import { PendingClaim } from "./pending-claim.ts";
import { WorkerHand } from "./worker-hand.ts";

/** Job queues on a namespace. */
export class MemoryJobQueue implements JobQueue {
  readonly deadLetters: DeadLetters;
  readonly #context: BusContext;
  readonly #hand: WorkerHand;
  readonly #pending = new Set<PendingClaim>();

  constructor(context: BusContext) {
    const { namespace, lifecycle } = context;
    this.#context = context;
    this.#hand = new WorkerHand(context);
    this.deadLetters = new MemoryDeadLetters(context, "queue", (name) => namespace.findQueue(name));
    lifecycle.add(this.#hand);
    lifecycle.signal.addEventListener("abort", () => {
      for (const claim of this.#pending) claim.close();
    });
  }

  async enqueue(queue: string, job: Job, options?: EnqueueOptions): Promise<EnqueueResult> {
    const existing = this.#find(queue);
    checkEnqueue(options);
    const checked = resolveJob(job, queue, this.#context.config.maxPayloadBytes);
    const found = existing ?? this.#context.namespace.useQueue(queue);
    const result = this.#add(found, checked);
    found.dispatch();
    return result;
  }

  async enqueueMany(
    queue: string,
    jobs: readonly Job[],
    options?: EnqueueOptions,
  ): Promise<EnqueueResult[]> {
    const existing = this.#find(queue);
    checkEnqueue(options);
    const { maxPayloadBytes } = this.#context.config;
    const resolved = jobs.map((job) => resolveJob(job, queue, maxPayloadBytes));
    if (resolved.length === 0) return [];
    const found = existing ?? this.#context.namespace.useQueue(queue);
    const results = resolved.map((job) => this.#add(found, job));
    found.dispatch();
    return results;
  }

  async claim(queue: string, options: ClaimOptions): Promise<ClaimedJob[]> {
    const existing = this.#find(queue);
    const { leaseMs, max, maxPriority, waitMs, signal } = resolveClaimOptions(options);
    signal?.throwIfAborted();
    const found = existing ?? this.#context.namespace.useQueue(queue);
    const request = { max, maxPriority, leaseMs, holder: this.#hand };
    const claims = found.claim(request);
    if (claims.length > 0 || waitMs === 0) return this.#hold(found, claims, leaseMs);
    const hold = (granted: JobTerm[]): ClaimedJob[] => this.#hold(found, granted, leaseMs);
    const wanted = { queue: found, request, waitMs, signal, hold };
    return new PendingClaim(this.#context, this.#pending, wanted).wait();
  }

  async get(queue: string, id: string): Promise<QueuedJob | undefined> {
    const existing = this.#find(queue);
    const number = jobNumber(id);
    const job = number === undefined ? undefined : existing?.find(number);
    if (job === undefined) return undefined;
    const { headers, dedupKey, priority, maxAttempts, enqueuedAtMs } = job;
    const payload = copyOf(job);
    return { id, queue, payload, headers, dedupKey, priority, maxAttempts, enqueuedAtMs };
  }

  async remove(queue: string, id: string): Promise<boolean> {
    const existing = this.#find(queue);
    const number = jobNumber(id);
    return number !== undefined && existing !== undefined && existing.remove(number);
  }

  async stats(queue: string): Promise<QueueStats> {
    return this.#use(queue).stats;
  }

  async pause(queue: string): Promise<void> {
    this.#use(queue).pause();
  }

  async resume(queue: string): Promise<void> {
    this.#use(queue).resume();
  }

  async purge(queue: string): Promise<number> {
    return this.#use(queue).purge();
  }

  async deleteQueue(queue: string): Promise<boolean> {
    this.#find(queue);
    return this.#context.namespace.deleteQueue(queue);
  }

  /** The bus is closed: leases that somebody watches are given up. */
  end(): void {
    this.#hand.end();
  }

  #find(queue: string): Queue | undefined {
    this.#context.enter();
    const found = this.#context.namespace.findQueue(queue);
    if (found === undefined) checkName("queue", queue);
    return found;
  }

  #use(queue: string): Queue {
    return this.#find(queue) ?? this.#context.namespace.useQueue(queue);
  }

  #add(queue: Queue, job: ResolvedJob): EnqueueResult {
    const { payload, headers, dedupKey, priority, maxAttempts, delayMs, runAtMs } = job;
    const enqueuedAtMs = this.#context.engine.clock.now();
    return queue.enqueue(
      payload,
      { headers, dedupKey, priority, maxAttempts, enqueuedAtMs },
      runAtMs === undefined ? delayMs : runAtMs - enqueuedAtMs,
    );
  }

  #hold(queue: Queue, claims: readonly JobTerm[], leaseMs: number): ClaimedJob[] {
    const parts = { context: this.#context, hand: this.#hand, queue };
    this.#hand.take(claims.length);
    return claims.map((claim) => new MemoryClaimedJob(claim, leaseMs, parts));
  }
}

function checkEnqueue(options: EnqueueOptions | undefined): void {
  if (options === undefined) return;
  if (options.timeoutMs !== undefined) resolveTimeout(options.timeoutMs);
  options.signal?.throwIfAborted();
}
