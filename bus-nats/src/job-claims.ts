import { BusError, type ClaimedJob } from "@busbar/core";
import { DEFAULT_JOB_LEASE_MS, type ResolvedClaimOptions, within } from "@busbar/core/adapter";
import type { Msg } from "@nats-io/transport-node";
import { leaseVerb, NatsClaimedJob } from "./claimed-job.ts";
import type { NatsContext } from "./context.ts";
import { isFiller } from "./filler.ts";
import { quietMoment } from "./held-jobs.ts";
import {
  attemptsOf,
  buryJob,
  dropIfGone,
  giveBack,
  type JobDelivery,
  type JobTools,
  settleJob,
} from "./job-delivery.ts";
import { priorityOfSubject, queueOfSubject, type Queues, type QueueState } from "./queue-state.ts";
import { ACK, type DeliveryInfo, nakAfter, parseAckSubject } from "./wire/ack-subject.ts";
import { H, numberField } from "./wire/headers.ts";
import { Wake } from "./wake.ts";
import { Puller, WaitingPull } from "./wire/pull.ts";

/** Longest single wait at the server; a longer claim waits several times. */
const MAX_PULL_WAIT_MS = 30_000;
/** A default lease is trusted without asking again if the pull took no longer than this. */
const FRESH_MS = 1_000;
/** How long the end of the bus waits for the ends of claims. */
const LAST_CLAIMS_MS = 500;
/** How long the end of a waiting pull may be under way. */
const PULL_GRACE_MS = 250;
/** Pause after a wait that ended at once, such as while JetStream starts. */
const RETRY_MS = 100;
/**
 * A consumer may hear of a stored message a moment after its publisher got the acknowledgement. How
 * long a claim waits for a job that the stream says is there.
 */
const LINGER_MS = 100;

interface Pulled {
  readonly raw: Msg;
  /** When the server was asked: the lease began later than that. */
  readonly askedAt: number;
}

/**
 * Hands out jobs. A claim takes what is ready, from the highest priority down; if nothing is, it
 * waits at the consumers of all priorities at once.
 *
 * A delivery becomes a claim only here: jobs whose time has not come go back with a delay, exhausted
 * ones go to the dead letters, and whatever the caller cannot be given goes back at once without
 * using up an attempt.
 */
export class JobClaims {
  readonly #context: NatsContext;
  readonly #queues: Queues;
  readonly #tools: JobTools;
  readonly #puller: Puller;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(context: NatsContext, queues: Queues, tools: JobTools) {
    this.#context = context;
    this.#queues = queues;
    this.#tools = tools;
    this.#puller = new Puller(context.link, (raw) => {
      // If the bus closes meanwhile: the server hands it out again after the ack wait.
      giveBack(this.#tools, queueOfSubject(raw.subject), raw).catch(() => undefined);
    });
    context.link.onDisconnect(() => this.#puller.disconnected());
  }

  /** Implements `JobQueue.claim`. */
  async claim(queue: string, options: ResolvedClaimOptions): Promise<ClaimedJob[]> {
    const claiming = this.#claim(queue, options);
    this.#underWay.add(claiming);
    try {
      return await claiming;
    } finally {
      this.#underWay.delete(claiming);
    }
  }

  async #claim(queue: string, options: ResolvedClaimOptions): Promise<ClaimedJob[]> {
    const { clock } = this.#context.link;
    const state = this.#queues.get(queue);
    let deadline = clock.monotonic() + options.waitMs;
    let lingered = false;
    const wake = new Wake(this.#context, options.signal);
    try {
      for (;;) {
        await this.#ready(state, deadline, wake);
        wake.throwIfAborted();
        const jobs = state.paused ? [] : await this.#claimReady(state, options, wake);
        if (jobs.length === 0 && clock.monotonic() >= deadline && !lingered && !state.paused) {
          lingered = true;
          if (await this.#hasUndelivered(state, options)) deadline = clock.monotonic() + LINGER_MS;
        }
        const leftMs = deadline - clock.monotonic();
        if (jobs.length === 0 && leftMs > 0 && !wake.aborted) {
          const pulled = await this.#wait(state, options, leftMs, wake);
          if (pulled.length === 0) continue;
          if (state.paused) {
            await giveBack(this.#tools, queue, ...pulled.map(({ raw }) => raw));
            continue;
          }
          jobs.push(...(await this.#admit(state, pulled, options)));
          // There may be more by now.
          const max = options.max - jobs.length;
          if (jobs.length > 0 && max > 0) {
            jobs.push(...(await this.#claimReady(state, { ...options, max }, wake)));
          }
          if (jobs.length === 0) continue;
        }
        if (!wake.aborted) return inOrder(jobs);
        await giveBack(this.#tools, queue, ...inOrder(jobs).map((job) => job.relinquish()));
        wake.throwIfAborted();
      }
    } finally {
      wake.close();
    }
  }

  /** Whether the stream has more jobs than its consumers have handed out. */
  async #hasUndelivered(state: QueueState, options: ResolvedClaimOptions): Promise<boolean> {
    const { api, names } = this.#context;
    const { queue, stream } = state;
    const [info, consumers] = await Promise.all([
      api.streamInfo(stream, names.jobSubject(queue, "*")),
      this.#queues.consumers(state, allowedLevels(state, options)),
    ]);
    let undelivered = 0;
    for (const [subject, jobs] of Object.entries(info?.state.subjects ?? {})) {
      if (priorityOfSubject(subject) <= options.maxPriority) undelivered += jobs;
    }
    for (const consumer of consumers) undelivered -= consumer?.num_ack_pending ?? 0;
    return undelivered > 0;
  }

  /** A queue was deleted: what is being asked of its consumers may never be answered. */
  abandon(stream: string): void {
    this.#puller.abandon(stream);
  }

  /**
   * Ends the pulls, after the claims that the end of the bus has woken: a pull that is left to the server
   * may take the next job with it (see `forgetStalePulls`).
   */
  async close(): Promise<void> {
    await within(this.#context.link.clock, Promise.allSettled(this.#underWay), LAST_CLAIMS_MS);
    this.#puller.close();
  }

  /** The queue's state is known and the server is there, or the time is over. */
  async #ready(state: QueueState, deadline: number, wake: Wake): Promise<void> {
    const { link, lifecycle } = this.#context;
    while (!link.connected) {
      const leftMs = deadline - link.clock.monotonic();
      if (leftMs <= 0) {
        throw new BusError("DISCONNECTED", `claim from queue ${state.queue}: the server is away`, {
          details: { outcome: "notSent" },
        });
      }
      await wake.wait(leftMs);
      wake.throwIfAborted();
    }
    lifecycle.checkOpen();
    // Again if the queue was deleted meanwhile: what was read is of the old one.
    do await this.#queues.ensureLoaded(state);
    while (state.loaded === undefined && link.connected);
  }

  /** What is ready now, highest priority first. */
  async #claimReady(
    state: QueueState,
    options: ResolvedClaimOptions,
    wake: Wake,
  ): Promise<NatsClaimedJob[]> {
    const { clock } = this.#context.link;
    const jobs: NatsClaimedJob[] = [];
    const levels = (): readonly number[] => allowedLevels(state, options);
    let version = state.version;
    for (let index = 0; index < levels().length && jobs.length < options.max && !wake.aborted; ) {
      const priority = levels()[index] as number;
      const want = options.max - jobs.length;
      const askedAt = clock.monotonic();
      const batch = await this.#puller.pull(state.stream, `p${priority}`, want);
      const pulled = batch.map((raw) => ({ raw, askedAt }));
      if (state.version !== version && (state.paused || (levels()[0] as number) > priority)) {
        // A pause, or a higher priority that came into use meanwhile: these have to wait.
        await giveBack(this.#tools, state.queue, ...batch);
        if (state.paused) break;
        version = state.version;
        index = 0;
        continue;
      }
      jobs.push(...(await this.#admit(state, pulled, options)));
      // A full batch of which not all were handed out may have more behind it.
      if (batch.length < want) index += 1;
    }
    return jobs;
  }

  /** Waits for one job, a change, an abort, or the time. */
  async #wait(
    state: QueueState,
    options: ResolvedClaimOptions,
    leftMs: number,
    wake: Wake,
  ): Promise<Pulled[]> {
    const { link } = this.#context;
    // It has to wait somewhere: what other tools send has priority 0, if they say nothing else.
    if (state.levels.length === 0) await this.#queues.ensureLevel(state, 0);
    const waitMs = Math.min(leftMs, MAX_PULL_WAIT_MS);
    const askedAt = link.clock.monotonic();
    const pulled: Pulled[] = [];
    const stopListening = state.onChange(() => wake.now());
    let ended = 0;
    const { stream } = state;
    const levels = allowedLevels(state, options);
    const pulls = (state.paused || !link.connected ? [] : levels).map(
      (priority) =>
        new WaitingPull(
          this.#context,
          { stream, consumer: `p${priority}`, waitMs },
          {
            message: (raw) => {
              pulled.push({ raw, askedAt });
              wake.now();
            },
            end: () => {
              ended += 1;
              if (ended === levels.length) wake.now();
            },
          },
        ),
    );
    // The server ends the pulls itself.
    await wake.wait(pulls.length > 0 ? waitMs + PULL_GRACE_MS : waitMs);
    stopListening();
    await Promise.all(pulls.map((pull) => pull.cancel()));
    const tookMs = link.clock.monotonic() - askedAt;
    if (pulled.length === 0 && ended > 0 && tookMs < RETRY_MS && waitMs > RETRY_MS) {
      // Nobody answered: the queue may be gone, or JetStream not ready yet.
      state.loaded = undefined;
      state.made.clear();
      this.#context.provisioner.forget(state.stream);
      await wake.wait(RETRY_MS);
    }
    return pulled;
  }

  /** Makes claims of deliveries; what cannot be one goes where it belongs. */
  async #admit(
    state: QueueState,
    pulled: readonly Pulled[],
    options: ResolvedClaimOptions,
  ): Promise<NatsClaimedJob[]> {
    const now = this.#context.link.clock.monotonic();
    const wanted = pulled.slice(0, options.max);
    const fast = wanted.map((one) => this.#admitFast(state, one, options, now));
    const slow = wanted.map((one, index) =>
      fast[index] === undefined ? this.#admitSlowly(state, one, options) : undefined,
    );
    const surplus = pulled.slice(options.max).map(({ raw }) => raw);
    await giveBack(this.#tools, state.queue, ...surplus);
    const jobs: NatsClaimedJob[] = [];
    for (const [index, job] of fast.entries()) {
      const admitted = job ?? (await slow[index]);
      if (admitted) jobs.push(admitted);
    }
    return jobs;
  }

  /** The common case needs no question: a first delivery, due now, with the default lease. */
  #admitFast(
    state: QueueState,
    { raw, askedAt }: Pulled,
    options: ResolvedClaimOptions,
    now: number,
  ): NatsClaimedJob | undefined {
    if (options.leaseMs !== DEFAULT_JOB_LEASE_MS || now - askedAt > FRESH_MS) return undefined;
    const info = parseAckSubject(raw.reply as string);
    if (info.deliveries !== 1) return undefined;
    const { headers } = raw;
    if (headers && (isFiller(headers) || dueAtMs(raw, info) > 0)) return undefined;
    const delivery: JobDelivery = { queue: state.queue, raw, info, entry: undefined };
    return new NatsClaimedJob(this.#tools, delivery, {
      leaseMs: options.leaseMs,
      startedAt: askedAt,
    });
  }

  async #admitSlowly(
    state: QueueState,
    { raw, askedAt }: Pulled,
    options: ResolvedClaimOptions,
  ): Promise<NatsClaimedJob | undefined> {
    const { link } = this.#context;
    const { queue } = state;
    try {
      let delivery = await this.#inspect(queue, raw);
      if (!delivery) return undefined;
      const { attempt, maxAttempts } = attemptsOf(delivery);
      if (attempt > maxAttempts) {
        await buryJob(this.#tools, delivery, "max attempts", maxAttempts);
        return undefined;
      }
      if (delivery.entry?.freeAtMs !== undefined) {
        const { uncounted, sequence } = delivery.entry;
        const entry = await this.#tools.ledger.write("job", queue, sequence, { uncounted });
        delivery = { ...delivery, entry };
      }
      if (options.leaseMs !== DEFAULT_JOB_LEASE_MS) await quietMoment(link.clock);
      const startedAt = link.clock.monotonic();
      const fresh = options.leaseMs === DEFAULT_JOB_LEASE_MS && startedAt - askedAt <= FRESH_MS;
      if (fresh) {
        return new NatsClaimedJob(this.#tools, delivery, {
          leaseMs: options.leaseMs,
          startedAt: askedAt,
        });
      }
      // The lease of this one delivery, counted by the server from when it takes this in.
      await settleJob(link, delivery, leaseVerb(options.leaseMs));
      return new NatsClaimedJob(this.#tools, delivery, { leaseMs: options.leaseMs, startedAt });
    } catch (error) {
      // Not handed out: the server gives it to somebody when the ack wait is over.
      link.status.emit({
        type: "warning",
        code: "claim-deferred",
        message: `a job of queue ${queue} could not be claimed: ${(error as Error).message}`,
      });
      return undefined;
    }
  }

  /** What is known of a delivery; `undefined` if it is not due yet, dead already or no job. */
  async #inspect(queue: string, raw: Msg): Promise<JobDelivery | undefined> {
    const { link } = this.#context;
    const { ledger, deadLetters } = this.#tools;
    const info = parseAckSubject(raw.reply as string);
    const dueMs = dueAtMs(raw, info);
    const again = info.deliveries > 1;
    const isNone = isFiller(raw.headers);
    const [entry, dead] = await Promise.all([
      again || dueMs > 0 || isNone ? ledger.read("job", queue, info.streamSequence) : undefined,
      // A crash between the dead letter and the settle leaves both: the dead letter stands.
      again ? deadLetters.get(queue, String(info.streamSequence)) : undefined,
    ]);
    const delivery: JobDelivery = { queue, raw, info, entry };
    if (dead || isNone) {
      await settleJob(link, delivery, ACK);
      if (entry) await ledger.remove(entry);
      return undefined;
    }
    const now = dueMs > 0 ? await ledger.nowMs() : 0;
    if (dueMs > now) {
      const written = await ledger.write("job", queue, info.streamSequence, {
        uncounted: (entry?.uncounted ?? 0) + 1,
        freeAtMs: dueMs,
        priority: priorityOfSubject(raw.subject),
      });
      await Promise.all([
        settleJob(link, delivery, nakAfter(dueMs - now + 1)),
        dropIfGone(this.#tools, queue, written),
      ]);
      return undefined;
    }
    return delivery;
  }
}

/** The priorities that a claim wants, highest first. */
function allowedLevels(
  { levels }: QueueState,
  { maxPriority }: ResolvedClaimOptions,
): readonly number[] {
  return levels.filter((priority) => priority <= maxPriority);
}

/** When a delayed job may be handed out, by the server's clock; 0 if it was never delayed. */
function dueAtMs(raw: Msg, info: DeliveryInfo): number {
  const delayMs = numberField(raw.headers, H.delay);
  return delayMs === undefined
    ? (numberField(raw.headers, H.runAt) ?? 0)
    : info.storedAtMs + delayMs;
}

function inOrder(jobs: NatsClaimedJob[]): NatsClaimedJob[] {
  if (jobs.length < 2) return jobs;
  return jobs.sort((a, b) => b.priority - a.priority || Number(a.id) - Number(b.id));
}
