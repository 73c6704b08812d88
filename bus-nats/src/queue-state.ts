import { errorCode } from "@busbar/core";
import type { NatsContext } from "./context.ts";
import type { Subscription as NatsSub } from "@nats-io/transport-node";
import type { ConsumerConfig, ConsumerInfo, StreamConfig } from "@nats-io/jetstream";
import { DEFAULT_JOB_LEASE_MS } from "@busbar/core/adapter";
import { API, apiCode } from "./errors.ts";
import { H } from "./wire/headers.ts";
import { fieldsOnly, nanos } from "./wire/jetstream-api.ts";

/** What this bus knows of one queue. */
export class QueueState {
  readonly queue: string;
  readonly stream: string;
  /** Priorities that have a consumer, highest first. */
  levels: readonly number[] = [];
  /** Grows with every change that a waiting claim has to know of. */
  version = 0;
  paused = false;
  /** Grows whenever `paused` is heard of: a slower reading of the stored record is older. */
  pauseNews = 0;
  /** Whether jobs of a priority can be sent without asking the server anything. */
  readonly made: Set<number> = new Set();
  /**
   * Jobs stored no later than that, by the server's clock, went with a queue of this name that was
   * deleted. Another one may have their sequences by now: nothing is said of them to the server.
   */
  removedUpToMs = 0;
  /** Set once pause and priorities were read; a claim waits for it. */
  loaded: Promise<void> | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(queue: string, stream: string) {
    this.queue = queue;
    this.stream = stream;
  }

  /** Calls `wake` at the next change. Returns how to stop that. */
  onChange(wake: () => void): () => void {
    this.#waiting.add(wake);
    return () => this.#waiting.delete(wake);
  }

  /** Something changed: every waiting claim looks again. */
  changed(): void {
    this.version += 1;
    for (const wake of this.#waiting) wake();
  }

  /** Adds a priority that came into use. */
  addLevel(priority: number): void {
    if (this.levels.includes(priority)) return;
    this.levels = [...this.levels, priority].sort((a, b) => b - a);
    this.changed();
  }

  /** Forgets everything: the queue was deleted, or the server came back. */
  reset(): void {
    this.made.clear();
    this.loaded = undefined;
    this.changed();
  }
}

interface EpochRecord {
  readonly epoch: number;
  /** Ids of the servers that were seen, the newest last. */
  readonly servers: readonly string[];
}

const MAKE_ATTEMPTS = 5;
const MAKE_PAUSE_MS = 50;
/** A cluster has a few servers; each start makes a new id. */
const SERVERS_KEPT = 32;
const CONSUMER = /^p(?<priority>\d)$/;

/**
 * The queues that this bus uses: their streams, the consumers of the priorities in use, and whether
 * they are paused.
 *
 * Each queue is a work-queue stream, so that a settled job is gone for good. Each priority in use is
 * one consumer; most queues have one. Who takes a priority into use, pauses or deletes a queue says so
 * on the control subject, which every bus hears before any job that was enqueued after it.
 */
export class Queues {
  readonly #context: NatsContext;
  readonly #states = new Map<string, QueueState>();
  #subscription: NatsSub | undefined;
  #epoch = 0;
  #epochRead: Promise<void> | undefined;
  readonly #onDeleted: (stream: string) => void;

  /** `onDeleted` is told the stream of a queue that was deleted, by whomever. */
  constructor(context: NatsContext, onDeleted: (stream: string) => void) {
    this.#context = context;
    this.#onDeleted = onDeleted;
    context.link.onReconnect(() => {
      this.#epochRead = undefined;
      for (const state of this.#states.values()) state.reset();
    });
  }

  /** How often the server was started since the first claim of the namespace. */
  get epoch(): number {
    return this.#epoch;
  }

  /** What is known of a queue; nothing is asked. */
  get(queue: string): QueueState {
    let state = this.#states.get(queue);
    if (!state) {
      state = new QueueState(queue, this.#context.names.jobStream(queue));
      this.#states.set(queue, state);
    }
    return state;
  }

  /** Makes sure that jobs of this priority have somewhere to go and are seen by claims. */
  async ensureLevel(state: QueueState, priority: number): Promise<void> {
    if (state.made.has(priority)) return;
    const { names, link } = this.#context;
    this.#listen();
    await this.#makeConsumer(state, priority);
    state.addLevel(priority);
    // Before the first job of this priority: whoever gets that one has heard this.
    link.outbox.publish(names.controlSubject(state.queue, `level.${priority}`));
    state.made.add(priority);
  }

  /**
   * Makes sure that the queue exists. It needs no consumer for that: each one costs the server memory, and
   * work for every job that is settled, also one of another priority.
   */
  ensureQueue(state: QueueState): Promise<void> {
    this.#listen();
    return this.#ensureStream(state);
  }

  /** Makes the consumer of a priority; again if the queue is being deleted meanwhile. */
  async #makeConsumer(state: QueueState, priority: number): Promise<void> {
    const { api, names, link, provisioner } = this.#context;
    const name = `p${priority}`;
    for (let attempt = 1; ; attempt++) {
      await this.#ensureStream(state);
      try {
        await api.createConsumer(state.stream, {
          name,
          durable_name: name,
          filter_subject: names.jobSubject(state.queue, priority),
          ack_policy: "explicit" as ConsumerConfig["ack_policy"],
          deliver_policy: "all" as ConsumerConfig["deliver_policy"],
          ack_wait: nanos(DEFAULT_JOB_LEASE_MS),
          max_deliver: -1,
          max_ack_pending: -1,
          max_waiting: 8_192,
        });
        return;
      } catch (error) {
        const code = apiCode(error);
        const gone = code === API.streamNotFound || code === API.consumerCreateFailed;
        if (!gone || attempt === MAKE_ATTEMPTS) throw error;
        provisioner.forget(state.stream);
        await link.clock.sleep(MAKE_PAUSE_MS);
      }
    }
  }

  /** Reads what claims need to know, once it has consumers, and again after a reconnect. */
  ensureLoaded(state: QueueState): Promise<void> {
    // No bus has sent a job; another tool may have done so since.
    if (state.levels.length === 0) state.loaded = undefined;
    state.loaded ??= this.#load(state).catch((error: unknown) => {
      state.loaded = undefined;
      throw error;
    });
    return state.loaded;
  }

  /** What the server tells of the consumers of some priorities, in their order. */
  consumers(
    { stream }: QueueState,
    levels: readonly number[],
  ): Promise<readonly (ConsumerInfo | undefined)[]> {
    const { api } = this.#context;
    return Promise.all(levels.map((priority) => api.consumerInfo(stream, `p${priority}`)));
  }

  /** Sets or clears the pause, for everybody and for ever. */
  async setPaused(state: QueueState, paused: boolean): Promise<void> {
    const { api, names } = this.#context;
    await this.ensureQueue(state);
    await this.#ensureControl();
    await api.publish({
      subject: names.controlSubject(state.queue, "pause"),
      payload: paused ? "1" : "0",
      timeoutMs: 5_000,
      what: `${paused ? "pause" : "resume"} queue ${state.queue}`,
      idempotent: true,
    });
    state.pauseNews += 1;
    state.paused = paused;
    state.changed();
  }

  /** Whether the queue is paused, by the stored record. */
  async readPaused(state: QueueState): Promise<boolean> {
    const { api, names } = this.#context;
    await this.#ensureControl();
    const record = await api.lastOn(
      names.controlStream,
      names.controlSubject(state.queue, "pause"),
    );
    return record?.message.string() === "1";
  }

  /** Removes a queue. @returns false if it did not exist. */
  async delete(state: QueueState): Promise<boolean> {
    const { api, names, link, provisioner } = this.#context;
    const info = await api.streamInfo(state.stream);
    const lastStored = info?.state.last_ts ?? "";
    const existed = await api.deleteStream(state.stream);
    await this.#ensureControl();
    await api.purge(names.controlStream, names.controlSubject(state.queue, ">"));
    link.outbox.publish(names.controlSubject(state.queue, "deleted"), lastStored);
    provisioner.forget(state.stream);
    this.#forget(state, lastStored);
    return existed;
  }

  /** Stops listening. */
  close(): void {
    this.#subscription?.unsubscribe();
  }

  async #load(state: QueueState): Promise<void> {
    const { api, names } = this.#context;
    await this.ensureQueue(state);
    // Heard from now on; what was before is read.
    await this.#context.link.flush(`queue ${state.queue}`);
    await this.#ensureEpoch();
    const { pauseNews } = state;
    const [consumers, info, paused] = await Promise.all([
      api.consumerNames(state.stream),
      api.streamInfo(state.stream, names.jobSubject(state.queue, "*")),
      this.readPaused(state),
    ]);
    for (const name of consumers) {
      const priority = CONSUMER.exec(name)?.groups?.["priority"];
      if (priority !== undefined) state.addLevel(Number(priority));
    }
    // Jobs that another tool published on a priority nobody used before.
    for (const subject of Object.keys(info?.state.subjects ?? {})) {
      const priority = Number(subject.slice(subject.lastIndexOf(".") + 1));
      if (Number.isInteger(priority) && !state.levels.includes(priority)) {
        await this.ensureLevel(state, priority);
      }
    }
    if (state.pauseNews === pauseNews) state.paused = paused;
  }

  #ensureEpoch(): Promise<void> {
    this.#epochRead ??= this.#readEpoch().catch((error: unknown) => {
      this.#epochRead = undefined;
      throw error;
    });
    return this.#epochRead;
  }

  /** Whoever meets a server that the record does not name yet begins a new epoch. */
  async #readEpoch(): Promise<void> {
    const { api, names, link } = this.#context;
    await this.#ensureControl();
    for (;;) {
      const record = await api.lastOn(names.controlStream, names.epochSubject);
      const known = record?.message.json<EpochRecord>() ?? { epoch: -1, servers: [] };
      if (known.servers.includes(link.serverId)) {
        this.#epoch = known.epoch;
        return;
      }
      const next: EpochRecord = {
        epoch: known.epoch + 1,
        servers: [...known.servers, link.serverId].slice(-SERVERS_KEPT),
      };
      try {
        await api.publish({
          subject: names.epochSubject,
          payload: JSON.stringify(next),
          headers: fieldsOnly([[H.expectedLastSubjectSequence, record?.sequence ?? 0]]),
          timeoutMs: 5_000,
          what: "epoch of the server",
          idempotent: true,
        });
      } catch (error) {
        // Somebody else was first: read again.
        if (errorCode(error) !== "CONFLICT") throw error;
      }
    }
  }

  #listen(): void {
    const { link, names } = this.#context;
    this.#subscription ??= link.connection.subscribe(names.controlSubjects, {
      callback: (error, message) => {
        if (!error) this.#onControl(message.subject, message.string());
      },
    });
  }

  #onControl(subject: string, payload: string): void {
    // busbar.<namespace>.ctl.<queue>.<what>[.<priority>]
    const [queue = "", what, priority] = subject.split(".").slice(3);
    const state = this.#states.get(queue.replaceAll("=", "."));
    if (!state) return;
    if (what === "level") state.addLevel(Number(priority));
    else if (what === "pause") {
      state.pauseNews += 1;
      state.paused = payload === "1";
      state.changed();
    } else if (what === "deleted") {
      this.#context.provisioner.forget(state.stream);
      this.#forget(state, payload);
    }
  }

  /** The queue was deleted; `lastStored` is when its last job was stored. */
  #forget(state: QueueState, lastStored: string): void {
    state.removedUpToMs = Math.max(state.removedUpToMs, Date.parse(lastStored) || 0);
    state.levels = [];
    state.paused = false;
    state.reset();
    this.#onDeleted(state.stream);
  }

  #ensureStream(state: QueueState): Promise<void> {
    const { names, provisioner } = this.#context;
    return provisioner.ensure({
      name: state.stream,
      subjects: [names.jobSubject(state.queue, "*")],
      retention: "workqueue" as StreamConfig["retention"],
    });
  }

  #ensureControl(): Promise<void> {
    const { names, provisioner } = this.#context;
    return provisioner.ensure({
      name: names.controlStream,
      subjects: [names.controlSubjects],
      max_msgs_per_subject: 1,
    });
  }
}

/** The user's name of a queue in a job's subject. */
export function queueOfSubject(subject: string): string {
  return (subject.split(".")[3] ?? "").replaceAll("=", ".");
}

/** The priority in a job's subject. */
export function priorityOfSubject(subject: string): number {
  return Number(subject.slice(subject.lastIndexOf(".") + 1));
}
