import type { Bus } from "../bus.ts";
import type {
  ClaimedJob,
  ClaimOptions,
  EnqueueOptions,
  EnqueueResult,
  Job,
  JobGiveBackOptions,
  JobLease,
  JobNakOptions,
} from "../job-queue.ts";
import type { Headers } from "../payload.ts";
import type { AckOptions } from "../pubsub.ts";
import type { JobDefinition } from "./define.ts";
import { invalidReason, type OnInvalid, RETRY_MS, report } from "./invalid.ts";
import { Port } from "./port.ts";
import type { SchemaInput, SchemaOutput, StandardSchemaV1 } from "./standard-schema.ts";

/** A {@link Job} without its payload. */
export type JobOptions = Omit<Job, "payload">;

/** Options of {@link TypedQueue.enqueue}: of the job and of the call. */
export interface TypedEnqueueOptions extends JobOptions, EnqueueOptions {}

/** A job for {@link TypedQueue.enqueueMany}. */
export interface TypedJob<Value> extends JobOptions {
  /** What it is about. */
  readonly value: Value;
}

/** Options of {@link TypedQueue.claim}. */
export interface TypedClaimOptions extends ClaimOptions {
  /** Told of jobs that were refused. */
  readonly onInvalid?: OnInvalid<ClaimedJob>;
}

/** A {@link ClaimedJob} with its value. */
export interface TypedClaimedJob<Value> extends ClaimedJob {
  /** What the schema made of the payload. */
  readonly value: Value;
}

/**
 * The jobs of one definition on a bus.
 *
 * A job whose payload does not fit never reaches the worker: it is dead-lettered with the reason
 * `invalid payload: ...` and told to `onInvalid`. If the schema throws instead of judging,
 * `onInvalid` gets `INTERNAL` and the job is naked for a second, which uses up an attempt.
 */
export interface TypedQueue<Schema extends StandardSchemaV1> {
  /** What it was made of. */
  readonly definition: JobDefinition<Schema>;
  /**
   * Checks and adds a job. With a schema that answers at once jobs keep the order of the calls.
   * @throws BusError `INVALID_ARGUMENT` with `details.issues`, before anything is sent; and as
   *   {@link JobQueue.enqueue}
   */
  enqueue(value: SchemaInput<Schema>, options?: TypedEnqueueOptions): Promise<EnqueueResult>;
  /** Checks all, then adds all, as {@link JobQueue.enqueueMany}. The error names the first bad one. */
  enqueueMany(
    jobs: readonly TypedJob<SchemaInput<Schema>>[],
    options?: EnqueueOptions,
  ): Promise<EnqueueResult[]>;
  /**
   * Takes up to `max` jobs, as {@link JobQueue.claim}. Where all of them were refused it claims
   * again, so that an empty array still means that none was ready; its wait then begins again too.
   */
  claim(options: TypedClaimOptions): Promise<TypedClaimedJob<SchemaOutput<Schema>>[]>;
}

export class BusQueue<Schema extends StandardSchemaV1> implements TypedQueue<Schema> {
  readonly definition: JobDefinition<Schema>;
  readonly #bus: Bus;
  readonly #port: Port<Schema>;

  constructor(bus: Bus, definition: JobDefinition<Schema>) {
    this.#bus = bus;
    this.definition = definition;
    this.#port = new Port(definition.schema, definition.codec, `the jobs of ${definition.queue}`);
  }

  async enqueue(
    value: SchemaInput<Schema>,
    options: TypedEnqueueOptions = {},
  ): Promise<EnqueueResult> {
    const { timeoutMs, signal, ...rest } = options;
    const { queue } = this.definition;
    const payload = await this.#port.encode(value, `the value for queue ${queue}`);
    return this.#bus.jobs.enqueue(
      queue,
      { ...rest, payload },
      { ...(timeoutMs === undefined ? {} : { timeoutMs }), ...(signal ? { signal } : {}) },
    );
  }

  async enqueueMany(
    jobs: readonly TypedJob<SchemaInput<Schema>>[],
    options?: EnqueueOptions,
  ): Promise<EnqueueResult[]> {
    const { queue } = this.definition;
    const checked = await Promise.all(
      jobs.map(async ({ value, ...rest }, index) => {
        const payload = await this.#port.encode(value, `value ${index} for queue ${queue}`);
        return { ...rest, payload };
      }),
    );
    return this.#bus.jobs.enqueueMany(queue, checked, options);
  }

  async claim(options: TypedClaimOptions): Promise<TypedClaimedJob<SchemaOutput<Schema>>[]> {
    const { onInvalid, ...rest } = options;
    for (;;) {
      const claimed = await this.#bus.jobs.claim(this.definition.queue, rest);
      const checked = await Promise.all(claimed.map((job) => this.#convert(job, onInvalid)));
      const good = checked.filter((job) => job !== undefined);
      if (good.length > 0 || claimed.length === 0) return good;
    }
  }

  async #convert(
    job: ClaimedJob,
    onInvalid: OnInvalid<ClaimedJob> | undefined,
  ): Promise<TypedClaimedJob<SchemaOutput<Schema>> | undefined> {
    const decoded = await this.#port.decode(job.payload, `job ${job.id} of queue ${job.queue}`);
    if (decoded.ok) return new CheckedJob(job, decoded.value);
    const settled =
      decoded.error.code === "INTERNAL"
        ? job.nak({ delayMs: RETRY_MS, reason: "the schema failed" })
        : job.deadLetter(invalidReason(decoded.error));
    // If this does not get through, the job comes again and is refused again.
    await settled.catch(() => undefined);
    report(onInvalid, decoded.error, job);
    return undefined;
  }
}

class CheckedJob<Value> implements TypedClaimedJob<Value> {
  readonly value: Value;
  readonly #inner: ClaimedJob;

  constructor(inner: ClaimedJob, value: Value) {
    this.#inner = inner;
    this.value = value;
  }

  get id(): string {
    return this.#inner.id;
  }

  get queue(): string {
    return this.#inner.queue;
  }

  get payload(): Uint8Array {
    return this.#inner.payload;
  }

  get headers(): Headers {
    return this.#inner.headers;
  }

  get dedupKey(): string | undefined {
    return this.#inner.dedupKey;
  }

  get priority(): number {
    return this.#inner.priority;
  }

  get attempt(): number {
    return this.#inner.attempt;
  }

  get maxAttempts(): number {
    return this.#inner.maxAttempts;
  }

  get fence(): number {
    return this.#inner.fence;
  }

  get enqueuedAtMs(): number {
    return this.#inner.enqueuedAtMs;
  }

  get lease(): JobLease {
    return this.#inner.lease;
  }

  heartbeat(options?: { readonly leaseMs?: number }): Promise<void> {
    return this.#inner.heartbeat(options);
  }

  ack(options?: AckOptions): Promise<void> {
    return this.#inner.ack(options);
  }

  nak(options?: JobNakOptions): Promise<void> {
    return this.#inner.nak(options);
  }

  giveBack(options?: JobGiveBackOptions): Promise<void> {
    return this.#inner.giveBack(options);
  }

  deadLetter(reason: string): Promise<void> {
    return this.#inner.deadLetter(reason);
  }
}
