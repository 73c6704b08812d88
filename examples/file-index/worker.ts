import { type Bus, errorCode, type TypedClaimedJob, typedBus, type TypedTopic } from "@busbar/core";
import { fileIndexed, fileJobs } from "./definitions.ts";
import { measure } from "./files.ts";
import { keyOf, Totals } from "./totals.ts";

/** How long a claimed job is its worker's. Short, so that what a dead one held comes back soon. */
export const LEASE_MS = 1_500;
const BATCH = 8;
const RETRY_MS = 200;

/** What a worker tells of its work. */
export type WorkerEvent =
  | { readonly type: "claimed"; readonly attempts: readonly number[] }
  | {
      readonly type: "indexed";
      readonly path: string;
      /** False if somebody had counted it before, and died before it could settle the job. */
      readonly counted: boolean;
      /** False if it had been announced before. */
      readonly announced: boolean;
      /** How many races for the totals were lost on the way. */
      readonly conflicts: number;
    }
  | { readonly type: "failed"; readonly path: string; readonly attempt: number }
  | { readonly type: "leaseLost"; readonly path: string }
  /** It hangs, with so many jobs in its hands. */
  | { readonly type: "hung"; readonly holding: number };

export interface WorkerOptions {
  readonly name: string;
  /** The folder that the paths of the jobs are relative to. */
  readonly root: string;
  readonly onEvent: (event: WorkerEvent) => void;
  /** Ends the worker between two jobs. */
  readonly signal: AbortSignal;
  /** From then on the worker hangs in the worst place: the file is counted, the job not settled. */
  readonly hang: AbortSignal;
}

type Claimed = TypedClaimedJob<{ readonly path: string }>;

/** Claims jobs and does them, until told to stop. */
export async function runWorker(bus: Bus, options: WorkerOptions): Promise<void> {
  const { name, onEvent, signal } = options;
  const queue = typedBus(bus).job(fileJobs);
  const work = new FileWork(bus, options);
  while (!signal.aborted) {
    const claim = { workerId: name, leaseMs: LEASE_MS, max: BATCH, waitMs: 1_000, signal };
    const jobs = await queue.claim(claim).catch((error: unknown) => {
      if (signal.aborted) return [];
      throw error;
    });
    if (jobs.length === 0) continue;
    onEvent({ type: "claimed", attempts: jobs.map((job) => job.attempt) });
    using held = new HeldJobs(jobs);
    for (const job of jobs) await work.do(job, held);
  }
}

/** The jobs of a batch that are not settled. It renews their leases, so that work may take long. */
class HeldJobs implements Disposable {
  readonly #jobs: Set<Claimed>;
  readonly #renewal: NodeJS.Timeout;

  constructor(jobs: readonly Claimed[]) {
    this.#jobs = new Set(jobs);
    this.#renewal = setInterval(() => {
      // One that cannot be renewed is lost; its settle will say so.
      for (const job of this.#jobs) job.heartbeat().catch(() => this.#jobs.delete(job));
    }, LEASE_MS / 3);
  }

  get size(): number {
    return this.#jobs.size;
  }

  /** The job is settled, or about to be. */
  delete(job: Claimed): void {
    this.#jobs.delete(job);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#renewal);
  }
}

class FileWork {
  readonly #options: WorkerOptions;
  readonly #totals: Totals;
  readonly #events: TypedTopic<typeof fileIndexed.schema>;

  constructor(bus: Bus, options: WorkerOptions) {
    this.#options = options;
    this.#totals = new Totals(bus);
    this.#events = typedBus(bus).topic(fileIndexed);
  }

  /** Does one of the jobs that the worker holds. */
  async do(job: Claimed, held: HeldJobs): Promise<void> {
    try {
      await this.#index(job, held);
      held.delete(job);
      await job.ack({ confirm: true });
    } catch (error) {
      held.delete(job);
      await this.#giveBack(job, error);
    }
  }

  async #giveBack(job: Claimed, error: unknown): Promise<void> {
    const { onEvent } = this.#options;
    const { path } = job.value;
    try {
      if (isOver(error)) throw error;
      const reason = error instanceof Error ? error.message.slice(0, 256) : "it failed";
      await job.nak({ delayMs: RETRY_MS, reason });
      onEvent({ type: "failed", path, attempt: job.attempt });
    } catch (lost) {
      if (!isOver(lost)) throw lost;
      // Somebody else has the job by now: nothing is left to do here.
      onEvent({ type: "leaseLost", path });
    }
  }

  async #index(job: Claimed, held: HeldJobs): Promise<void> {
    const { root, onEvent, hang } = this.#options;
    const { path } = job.value;
    const conflictsBefore = this.#totals.conflicts;
    const record = await measure(root, path);
    const counted = await this.#totals.add(record);
    // With a message id a file is announced once, also if its job is done twice.
    const { duplicate } = await this.#events.publish(record, { messageId: keyOf(path) });
    const conflicts = this.#totals.conflicts - conflictsBefore;
    onEvent({ type: "indexed", path, counted, announced: !duplicate, conflicts });
    if (hang.aborted) {
      onEvent({ type: "hung", holding: held.size });
      held[Symbol.dispose]();
      await new Promise(() => undefined);
    }
  }
}

/** Whether an error says that the job is not ours any more. */
function isOver(error: unknown): boolean {
  return errorCode(error) === "LEASE_LOST" || errorCode(error) === "ALREADY_SETTLED";
}
