import {
  BusError,
  type ClaimedJob,
  type ClaimOptions,
  type CloseReport,
  type DeadLetter,
  type EnqueueOptions,
  type EnqueueResult,
  isBusError,
  type Job,
  type JobQueue,
  type QueuedJob,
  type QueueStats,
} from "@busbar/core";
import {
  checkName,
  DEFAULT_MAX_ATTEMPTS,
  jobNumber,
  MAX_PRIORITY,
  type Owned,
  type ResolvedJob,
  resolveClaimOptions,
  resolveJob,
  resolveTimeout,
} from "@busbar/core/adapter";
import type { ConsumerInfo, StreamInfo } from "@nats-io/jetstream";
import type { NatsContext } from "./context.ts";
import { NatsDeadLetters } from "./dead-letters.ts";
import { isFiller, storeFiller } from "./filler.ts";
import { HeldJobs } from "./held-jobs.ts";
import { JobClaims } from "./job-claims.ts";
import { dedupKeyOf, type JobTools, maxAttemptsOf } from "./job-delivery.ts";
import { Ledger } from "./ledger.ts";
import { priorityOfSubject, Queues, type QueueState } from "./queue-state.ts";
import { encodeHeaders, field, H, numberField, userHeaders } from "./wire/headers.ts";
import type { StoredMessage } from "./wire/jetstream-api.ts";

/** How often the counts of the server are asked for until they agree; 55 ms in all. */
const MAX_LOOKS = 11;
/** How many jobs of one `enqueueMany` are under way at a time. */
const MAX_UNDER_WAY = 1_024;

/** Queues of jobs on work-queue streams; see `Queues` for the layout. */
export class NatsJobQueue implements JobQueue, Owned {
  readonly deadLetters: NatsDeadLetters;
  readonly #context: NatsContext;
  readonly #queues: Queues;
  readonly #ledger: Ledger;
  readonly #claims: JobClaims;
  readonly #held: HeldJobs;

  constructor(context: NatsContext) {
    this.#context = context;
    this.#queues = new Queues(context, (stream) => this.#claims.abandon(stream));
    this.#held = new HeldJobs(context.link.clock);
    this.#ledger = new Ledger(context);
    this.deadLetters = new NatsDeadLetters(
      context,
      "job",
      (letter, stored, replayId) => this.#revive(letter, stored, replayId),
      async (queue, sequence) => {
        await context.api.deleteMessage(context.names.jobStream(queue), sequence);
      },
    );
    const tools: JobTools = {
      link: context.link,
      ledger: this.#ledger,
      deadLetters: this.deadLetters,
      epoch: () => this.#queues.epoch,
      exists: (queue, sequence) => context.api.hasMessage(context.names.jobStream(queue), sequence),
      isRemoved: (queue, storedAtMs) => storedAtMs <= this.#queues.get(queue).removedUpToMs,
      held: this.#held,
    };
    context.link.onReconnect(() => this.#held.reassert(context.config.reconnectWaitMs));
    context.lifecycle.add(this);
    this.#claims = new JobClaims(context, this.#queues, tools);
  }

  enqueue(queue: string, job: Job, options: EnqueueOptions = {}): Promise<EnqueueResult> {
    try {
      const resolved = this.#resolve(queue, job);
      return this.#send(queue, resolved, resolveTimeout(options.timeoutMs), options.signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async enqueueMany(
    queue: string,
    jobs: readonly Job[],
    options: EnqueueOptions = {},
  ): Promise<EnqueueResult[]> {
    this.#check(queue);
    const resolved = jobs.map((job) => this.#resolve(queue, job));
    const timeoutMs = resolveTimeout(options.timeoutMs);
    const results: (EnqueueResult | undefined)[] = resolved.map(() => undefined);
    let failure: { readonly error: unknown } | undefined;
    let next = 0;
    // Each lane sends the next job as soon as its last one is acknowledged: a sliding window.
    const lane = async (): Promise<void> => {
      while (next < resolved.length && !failure) {
        const index = next++;
        try {
          results[index] = await this.#send(
            queue,
            resolved[index] as ResolvedJob,
            timeoutMs,
            options.signal,
          );
        } catch (error) {
          failure ??= { error };
        }
      }
    };
    for (const priority of new Set(resolved.map((job) => job.priority))) {
      await this.#queues.ensureLevel(this.#queues.get(queue), priority);
    }
    await Promise.all(Array.from({ length: Math.min(MAX_UNDER_WAY, resolved.length) }, lane));
    if (failure) throw partly(failure.error, queue, results);
    return results as EnqueueResult[];
  }

  async claim(queue: string, options: ClaimOptions): Promise<ClaimedJob[]> {
    this.#check(queue);
    const resolved = resolveClaimOptions(options);
    resolved.signal?.throwIfAborted();
    return this.#claims.claim(queue, resolved);
  }

  async get(queue: string, id: string): Promise<QueuedJob | undefined> {
    const { stream } = this.#check(queue);
    const sequence = jobNumber(id);
    if (sequence === undefined) return undefined;
    const [stored, dead] = await Promise.all([
      this.#context.api.byLeader(stream, sequence),
      this.deadLetters.get(queue, id),
    ]);
    // A crash between the dead letter and the settle leaves both: the dead letter stands.
    if (!stored || dead || isFiller(stored.headers)) return undefined;
    const { headers } = stored;
    return {
      id,
      queue,
      payload: stored.data,
      headers: userHeaders(headers),
      dedupKey: dedupKeyOf(headers),
      priority: priorityOfSubject(stored.subject),
      maxAttempts: maxAttemptsOf(headers),
      enqueuedAtMs: stored.timeMs,
    };
  }

  async remove(queue: string, id: string): Promise<boolean> {
    const state = this.#check(queue);
    const sequence = jobNumber(id);
    if (sequence === undefined) return false;
    const { api, link } = this.#context;
    if (!link.features.v2_10) {
      const stored = await api.byLeader(state.stream, sequence);
      if (!stored || isFiller(stored.headers)) return false;
      await storeFiller(this.#context, this.#ledger, state, stored);
    }
    const removed = await api.deleteMessage(state.stream, sequence, true);
    const [entry, dead] = await Promise.all([
      this.#ledger.read("job", queue, sequence),
      this.deadLetters.get(queue, id),
    ]);
    if (entry) await this.#ledger.remove(entry);
    if (removed) await this.#recount(state);
    return removed && !dead;
  }

  async stats(queue: string): Promise<QueueStats> {
    const state = this.#check(queue);
    await this.#queues.ensureQueue(state);
    await this.#queues.ensureLoaded(state);
    const [{ info, levels, consumers }, entries, dead, paused] = await Promise.all([
      this.#counts(state),
      this.#ledger.list("job", queue),
      this.deadLetters.count(queue),
      this.#queues.readPaused(state),
    ]);
    let waiting = 0;
    let delivered = 0;
    const seenUpTo = new Map<number, number>();
    for (const [index, consumer] of consumers.entries()) {
      waiting += consumer?.num_pending ?? 0;
      delivered += consumer?.num_ack_pending ?? 0;
      seenUpTo.set(levels[index] as number, consumer?.delivered.stream_seq ?? 0);
    }
    // To the server a job that was given back is still delivered, and a delayed one that nobody was
    // handed yet is as good as any: the ledger tells them apart.
    const now = await this.#ledger.nowMs();
    let delayed = 0;
    let delayedUnseen = 0;
    let givenBack = 0;
    const first = info?.state.first_seq ?? 0;
    for (const { freeAtMs, priority = 0, sequence, isFiller: isNone } of entries) {
      const seen = (seenUpTo.get(priority) ?? 0) >= sequence;
      if (isNone && !seen) waiting -= 1;
      // What was purged while a worker had it may be given back all the same.
      if (freeAtMs === undefined || sequence < first) continue;
      if (freeAtMs > now) {
        delayed += 1;
        if (!seen) delayedUnseen += 1;
      } else if (seen) givenBack += 1;
    }
    return {
      ready: Math.max(0, waiting - delayedUnseen + givenBack),
      delayed,
      leased: Math.max(0, delivered - (delayed - delayedUnseen) - givenBack),
      dead,
      paused,
    };
  }

  /**
   * What the server counts. A consumer hears of a stored job a moment after its enqueue was acknowledged
   * (measured on 2.10 and 2.15, one time in 450 while others enqueue): asked again until it has.
   */
  async #counts(state: QueueState): Promise<{
    readonly info: StreamInfo | undefined;
    readonly levels: readonly number[];
    /** Of the levels. */
    readonly consumers: readonly (ConsumerInfo | undefined)[];
  }> {
    const { api, link } = this.#context;
    for (let look = 1; ; look++) {
      // The stream first: what it has, the consumers know a little later.
      const info = await api.streamInfo(state.stream);
      // Others may come into use meanwhile.
      const { levels } = state;
      const consumers = await this.#queues.consumers(state, levels);
      let known = 0;
      for (const consumer of consumers) {
        known += (consumer?.num_pending ?? 0) + (consumer?.num_ack_pending ?? 0);
      }
      if (known >= (info?.state.messages ?? 0) || look === MAX_LOOKS) {
        return { info, levels, consumers };
      }
      await link.clock.sleep(look);
    }
  }

  async pause(queue: string): Promise<void> {
    await this.#queues.setPaused(this.#check(queue), true);
  }

  async resume(queue: string): Promise<void> {
    await this.#queues.setPaused(this.#check(queue), false);
  }

  async purge(queue: string): Promise<number> {
    const state = this.#check(queue);
    await this.#queues.ensureQueue(state);
    const { api, link } = this.#context;
    const entries = link.features.v2_10 ? [] : await this.#ledger.list("job", queue);
    const purged = await api.purge(state.stream);
    await this.#ledger.purge("job", queue);
    await this.#recount(state);
    return purged - entries.filter((entry) => entry.isFiller).length;
  }

  async deleteQueue(queue: string): Promise<boolean> {
    const state = this.#check(queue);
    const existed = await this.#queues.delete(state);
    await this.deadLetters.purge(queue);
    await this.#ledger.purge("job", queue);
    return existed;
  }

  /** Waits for the jobs in hand; waiting claims end by the signal of the lifecycle. */
  async stop(drainMs: number): Promise<CloseReport> {
    const abandoned = await this.#held.drain(drainMs);
    await this.#claims.close();
    this.#queues.close();
    return { abandoned };
  }

  #check(queue: string): QueueState {
    this.#context.lifecycle.checkOpen();
    checkName("queue", queue);
    return this.#queues.get(queue);
  }

  /**
   * Servers before 2.10 go on counting what was taken out of a stream, and leave a pull without an
   * answer for it, until somebody asks for the consumer's state.
   */
  async #recount(state: QueueState): Promise<void> {
    if (this.#context.link.features.v2_10) return;
    await this.#queues.ensureLoaded(state);
    await this.#queues.consumers(state, state.levels);
  }

  #resolve(queue: string, job: Job): ResolvedJob {
    this.#check(queue);
    return resolveJob(job, queue, this.#context.capabilities.maxPayloadBytes);
  }

  #send(
    queue: string,
    job: ResolvedJob,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<EnqueueResult> {
    const { api, names } = this.#context;
    const state = this.#queues.get(queue);
    const { dedupKey, maxAttempts, priority } = job;
    const delayed = job.delayMs > 0 || job.runAtMs !== undefined;
    const fields: [string, string | number][] = [];
    if (dedupKey !== undefined) fields.push([H.msgId, dedupKey]);
    if (maxAttempts !== DEFAULT_MAX_ATTEMPTS) fields.push([H.maxAttempts, maxAttempts]);
    if (job.delayMs > 0) fields.push([H.delay, Math.ceil(job.delayMs)]);
    else if (job.runAtMs !== undefined) fields.push([H.runAt, job.runAtMs]);
    const send = async (): Promise<EnqueueResult> => {
      const ack = await api.publish({
        subject: names.jobSubject(queue, priority),
        payload: job.payload,
        headers: encodeHeaders(job.headers, fields),
        timeoutMs,
        what: `enqueue to ${queue}`,
        idempotent: dedupKey !== undefined,
        signal,
      });
      if (delayed && !ack.duplicate) await this.#noteDelay(queue, ack.sequence, job);
      return { id: String(ack.sequence), duplicate: ack.duplicate };
    };
    return state.made.has(priority) ? send() : this.#queues.ensureLevel(state, priority).then(send);
  }

  /** For the statistics: a delayed job that nobody was handed yet looks like any other. */
  async #noteDelay(queue: string, sequence: number, job: ResolvedJob): Promise<void> {
    const now = await this.#ledger.nowMs();
    const freeAtMs = job.runAtMs ?? now + job.delayMs;
    if (freeAtMs <= now) return;
    const { priority } = job;
    await this.#ledger.writeFirst("job", queue, sequence, { uncounted: 0, freeAtMs, priority });
  }

  async #revive(letter: DeadLetter, stored: StoredMessage, replayId: string): Promise<boolean> {
    const { headers } = stored.message;
    const queue = letter.owner;
    const priority = Math.min(MAX_PRIORITY, numberField(headers, H.priority) ?? 0);
    const dedupKey = field(headers, H.dedupKey);
    const maxAttempts = numberField(headers, H.maxAttempts);
    await this.#queues.ensureLevel(this.#queues.get(queue), priority);
    await this.#context.api.publish({
      subject: this.#context.names.jobSubject(queue, priority),
      payload: letter.payload,
      headers: encodeHeaders(letter.headers, [
        [H.msgId, replayId],
        ...(dedupKey === undefined ? [] : ([[H.dedupKey, dedupKey]] as const)),
        ...(maxAttempts === undefined ? [] : ([[H.maxAttempts, maxAttempts]] as const)),
      ]),
      timeoutMs: 5_000,
      what: `replay to ${queue}`,
      idempotent: true,
    });
    return true;
  }
}

function partly(
  error: unknown,
  queue: string,
  results: readonly (EnqueueResult | undefined)[],
): unknown {
  if (!isBusError(error)) return error;
  const done = results.filter((result) => result !== undefined).length;
  return new BusError(
    error.code,
    `${done} of ${results.length} jobs enqueued to ${queue}: ${error.message}`,
    {
      cause: error,
      details: { ...error.details, results },
    },
  );
}
