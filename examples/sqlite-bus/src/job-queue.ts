import type {
  ClaimedJob,
  ClaimOptions,
  CloseReport,
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
  closedError,
  jobNumber,
  type Owned,
  resolveClaimOptions,
  type ResolvedClaimOptions,
  resolveJob,
  resolveTimeout,
} from "@busbar/core/adapter";
import { SqliteClaimedJob } from "./claimed-job.ts";
import { type BusContext, toHeaders } from "./context.ts";
import { SqliteDeadLetters } from "./dead-letters.ts";
import { Hand } from "./hand.ts";
import {
  addJob,
  buryJobs,
  countJobs,
  deleteQueue,
  findJob,
  findQueue,
  leaseJobs,
  nextDueMs,
  purgeQueue,
  type QueueRow,
  removeJob,
  reviveJob,
  useQueue,
} from "./queue.ts";

const EMPTY: QueueStats = Object.freeze({
  ready: 0,
  delayed: 0,
  leased: 0,
  dead: 0,
  paused: false,
});

/** Job queues of one namespace. */
export class SqliteJobQueue implements JobQueue, Owned {
  readonly deadLetters: DeadLetters;
  readonly #context: BusContext;
  readonly #hand: Hand<SqliteClaimedJob>;

  constructor(context: BusContext) {
    this.#context = context;
    this.#hand = new Hand(context.clock);
    this.deadLetters = new SqliteDeadLetters(context, {
      kind: "queue",
      find: (name) => findQueue(context, name)?.id,
      bury: (queue, nowMs) => buryJobs(context, queue, nowMs),
      revive: (queue, letter) => reviveJob(context, queue, letter),
      revived: (name) => this.#wake(name),
    });
    context.lifecycle.add(this);
  }

  async enqueue(queue: string, job: Job, options?: EnqueueOptions): Promise<EnqueueResult> {
    const [result] = await this.enqueueMany(queue, [job], options);
    return result as EnqueueResult;
  }

  async enqueueMany(
    queue: string,
    jobs: readonly Job[],
    options: EnqueueOptions = {},
  ): Promise<EnqueueResult[]> {
    this.#enter(queue);
    resolveTimeout(options.timeoutMs);
    options.signal?.throwIfAborted();
    const { maxPayloadBytes } = this.#context.config;
    const checked = jobs.map((job) => resolveJob(job, queue, maxPayloadBytes));
    return this.#change(queue, () => {
      const row = useQueue(this.#context, queue);
      return checked.map((job) => addJob(this.#context, row, job));
    });
  }

  async claim(queue: string, options: ClaimOptions): Promise<ClaimedJob[]> {
    this.#enter(queue);
    const resolved = resolveClaimOptions(options);
    resolved.signal?.throwIfAborted();
    const { jobs } = this.#take(queue, resolved);
    return jobs.length > 0 || resolved.waitMs === 0 ? jobs : this.#wait(queue, resolved);
  }

  async get(queue: string, id: string): Promise<QueuedJob | undefined> {
    const number = jobNumber(id) ?? 0;
    const job = this.#with(queue, undefined, (row) => findJob(this.#context, row, number));
    return (
      job && {
        id,
        queue,
        payload: job.payload,
        headers: toHeaders(job.headers),
        dedupKey: job.dedup_key ?? undefined,
        priority: job.priority,
        maxAttempts: job.max_attempts,
        enqueuedAtMs: job.enqueued_ms,
      }
    );
  }

  async remove(queue: string, id: string): Promise<boolean> {
    const number = jobNumber(id) ?? 0;
    return this.#with(queue, false, (row) => removeJob(this.#context, row, number));
  }

  async stats(queue: string): Promise<QueueStats> {
    return this.#with(queue, EMPTY, (row) => countJobs(this.#context, row));
  }

  async pause(queue: string): Promise<void> {
    this.#setPaused(queue, 1);
  }

  async resume(queue: string): Promise<void> {
    this.#setPaused(queue, 0);
  }

  async purge(queue: string): Promise<number> {
    return this.#with(queue, 0, (row) => purgeQueue(this.#context, row));
  }

  async deleteQueue(queue: string): Promise<boolean> {
    return this.#with(queue, false, (row) => {
      deleteQueue(this.#context, row);
      return true;
    });
  }

  async stop(drainMs: number): Promise<CloseReport> {
    return { abandoned: await this.#hand.empty(drainMs) };
  }

  /** The bus is closed: nobody can settle any more. */
  end(): void {
    for (const job of this.#hand.drain()) job.abandon();
  }

  #enter(queue: string): void {
    this.#context.enter();
    checkName("queue", queue);
  }

  #take(
    queue: string,
    { max, maxPriority, leaseMs }: ResolvedClaimOptions,
  ): { readonly jobs: ClaimedJob[]; readonly againInMs: number } {
    const takenAtMs = this.#context.clock.monotonic();
    return this.#context.file.write(() => {
      const row = useQueue(this.#context, queue);
      if (row.paused) return { jobs: [], againInMs: Number.POSITIVE_INFINITY };
      const leased = leaseJobs(this.#context, row, { max, maxPriority, leaseMs });
      const settled = (): void => this.#wake(queue);
      const origin = { queue: row, hand: this.#hand, settled };
      const claim = { leaseMs, takenAtMs };
      const jobs = leased.map((job) => new SqliteClaimedJob(this.#context, origin, job, claim));
      const againInMs = jobs.length > 0 ? 0 : nextDueMs(this.#context, row, maxPriority);
      return { jobs, againInMs };
    });
  }

  /** Tries again at every change, until there is a job, the time is over, or a signal ends it. */
  #wait(queue: string, options: ResolvedClaimOptions): Promise<ClaimedJob[]> {
    const { clock, lifecycle } = this.#context;
    const { waitMs, signal } = options;
    return new Promise((resolve, reject) => {
      // At once, not a turn later: nothing may be taken for somebody who does not wait any more.
      const end = (): void => {
        taking.stop();
        timer.cancel();
        lifecycle.signal.removeEventListener("abort", onClose);
        signal?.removeEventListener("abort", onAbort);
      };
      const finish = (jobs: ClaimedJob[]): void => {
        end();
        resolve(jobs);
      };
      const fail = (error: unknown): void => {
        end();
        reject(error);
      };
      const onClose = (): void => fail(closedError("the bus"));
      const onAbort = (): void => fail(signal?.reason);
      const timer = clock.setTimer(() => finish([]), waitMs);
      const taking = this.#context.retry([this.#topic(queue)], () => {
        const { jobs, againInMs } = this.#take(queue, options);
        if (jobs.length > 0) finish(jobs);
        return againInMs;
      });
      lifecycle.signal.addEventListener("abort", onClose);
      signal?.addEventListener("abort", onAbort);
      taking.run();
    });
  }

  #setPaused(queue: string, paused: 0 | 1): void {
    this.#enter(queue);
    this.#change(queue, () => {
      const { id } = useQueue(this.#context, queue);
      this.#context.file.run("UPDATE queue SET paused = ? WHERE id = ?", paused, id);
    });
  }

  /** Runs `work` on a queue that exists, in a transaction. */
  #with<T>(queue: string, otherwise: T, work: (row: QueueRow) => T): T {
    this.#enter(queue);
    return this.#context.file.write(() => {
      const row = findQueue(this.#context, queue);
      return row === undefined ? otherwise : work(row);
    });
  }

  #change<T>(queue: string, work: () => T): T {
    const result = this.#context.file.write(work);
    this.#wake(queue);
    return result;
  }

  #wake(queue: string): void {
    this.#context.file.hub.wake(this.#topic(queue));
  }

  #topic(queue: string): string {
    return this.#context.topic("jobs", queue);
  }
}
