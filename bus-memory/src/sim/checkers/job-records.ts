import type { TraceEvent } from "../trace.ts";
import type { JobSettle } from "./executions.ts";
import {
  contentOf,
  type EnqueuedFacts,
  type EnqueueFacts,
  isRefused,
  type JobFacts,
} from "./facts.ts";
import type { Losses } from "./losses.ts";
import { Origins } from "./origins.ts";

/** What is known of a job. */
export interface JobRecord {
  readonly queue: string;
  readonly id: string;
  /** Between which times it was enqueued. */
  fromMs: number;
  toMs: number;
  /** `undefined` as long as only its id is known. */
  content: string | undefined;
  maxAttempts: number | undefined;
  /** Whether an enqueue was answered with its id. */
  isTold: boolean;
  /** Whether it may stand for two that are alike: one that a crash has lost, and one after it. */
  mayBeTwo: boolean;
  /** Whether somebody may have removed it. */
  isExcused: boolean;
  /** When somebody was told that it is removed. */
  removedAtMs: number;
  /** Grows with every job. */
  readonly ordinal: number;
  executions: number;
  replays: number;
  /** How it was settled for good, confirmed by the server. */
  done:
    | {
        readonly fence: number;
        readonly settle: JobSettle;
        readonly fromMs: number;
        readonly toMs: number;
      }
    | undefined;
}

interface OpenCall {
  readonly queue: string;
  readonly op: string;
  readonly atMs: number;
  readonly jobs: readonly EnqueueFacts[];
  /** What `remove` is about. */
  readonly record?: JobRecord | undefined;
  /** How often the queue was emptied before. */
  readonly removals: number;
}

interface QueueRecords {
  readonly jobs: Map<string, JobRecord>;
  /** How often it was emptied, and what may have been removed at the last time. */
  removals: number;
  removedUpTo: number;
}

const DEFAULT_MAX_ATTEMPTS = 5;
const ENQUEUES: ReadonlySet<string> = new Set(["jobs.enqueue", "jobs.enqueueMany"]);
const REMOVALS: ReadonlySet<string> = new Set([
  "jobs.purge",
  "jobs.deleteQueue",
  "deadLetters.purge",
]);

/** The jobs of a run, as enqueues and deliveries make them known. */
export class JobRecords {
  readonly #losses: Losses;
  readonly #origins = new Origins();
  readonly #calls = new Map<number, OpenCall>();
  readonly #queues = new Map<string, QueueRecords>();
  /** Lost jobs whose id was given again: some may still be under way. */
  readonly #lost = new Set<string>();
  readonly #counts = { jobs: 0, unknown: 0, lostWrites: 0 };

  constructor(losses: Losses) {
    this.#losses = losses;
  }

  /** Jobs that were made, enqueues of unknown outcome, jobs that a crash may have lost. */
  get counts(): Readonly<Record<string, number>> {
    return this.#counts;
  }

  get(queue: string, id: string): JobRecord | undefined {
    return this.#queues.get(queue)?.jobs.get(id);
  }

  /** A crash has cost so many jobs. */
  missing(count: number): void {
    this.#counts.lostWrites += count;
  }

  /** All of them; what calls without an end may have removed is excused. */
  *byQueue(): Iterable<readonly [string, readonly JobRecord[]]> {
    for (const { op, queue } of this.#calls.values()) if (REMOVALS.has(op)) this.#emptied(queue);
    for (const [queue, { jobs, removedUpTo }] of this.#queues) {
      if (jobs.size === 0) continue;
      const records = [...jobs.values()];
      for (const record of records) record.isExcused ||= record.ordinal <= removedUpTo;
      yield [queue, records];
    }
  }

  /** The server has crashed, and may have lost writes. */
  crashed(): void {
    this.#origins.crashed();
  }

  /** An operation on queues or dead letters begins. */
  called({ op, about: queue, call, atMs, data }: TraceEvent): undefined {
    if (op === "deadLetters.replay" || op === "deadLetters.discard") {
      const record = this.get(queue, data["id"] as string);
      if (record === undefined) return;
      if (op === "deadLetters.discard") record.isExcused = true;
      record.replays += 1;
      record.done = undefined;
      return;
    }
    const { removals } = this.#queue(queue);
    if (op === "jobs.remove") {
      const record = this.get(queue, data["id"] as string);
      if (record) record.isExcused = true;
      this.#calls.set(call, { queue, op, atMs, jobs: [], removals, record });
    } else if (ENQUEUES.has(op)) {
      const jobs = (data["jobs"] ?? [data]) as readonly EnqueueFacts[];
      this.#origins.sent(
        call,
        jobs.map((job) => contentOf(queue, job)),
      );
      this.#calls.set(call, { queue, op, atMs, jobs, removals });
    } else if (REMOVALS.has(op)) {
      this.#calls.set(call, { queue, op, atMs, jobs: [], removals });
    }
  }

  /** It has its result, or failed. @returns what is wrong */
  ended(event: TraceEvent): string | undefined {
    const open = this.#calls.get(event.call);
    if (open === undefined) return undefined;
    this.#calls.delete(event.call);
    const { op, queue, record } = open;
    if (op === "jobs.remove") {
      if (record && event.data["removed"] === true) record.removedAtMs = event.atMs;
      return undefined;
    }
    if (REMOVALS.has(op)) {
      if (event.type === "result" || !isRefused(event)) this.#emptied(queue);
      return undefined;
    }
    if (event.type === "result") return this.#enqueued(open, event);
    if (isRefused(event)) return phantom(queue, this.#origins.refused(event.call));
    this.#counts.unknown += open.jobs.length;
    this.#origins.unknown(event.call);
    return undefined;
  }

  /** A job is handed out. @returns its record, what is wrong, or nothing if it was lost meanwhile */
  delivered(
    queue: string,
    id: string,
    what: { readonly content: string; readonly facts: JobFacts; readonly atMs: number },
  ): JobRecord | string | undefined {
    const { content, atMs } = what;
    const known = this.get(queue, id);
    if (known?.content === content) return known;
    if (this.#lost.has(`${id}\n${content}`)) return undefined;
    const isOther = known !== undefined && this.mayBeLost(known);
    if (known?.content !== undefined && !isOther) return changed(queue, id);
    // A server that loses a job may give its id to the next one.
    const window = { fromMs: Number.NEGATIVE_INFINITY, toMs: atMs };
    const record = known && !isOther ? known : this.#add(queue, id, window);
    record.content = content;
    if (this.#origins.arrived(`${queue}/${id}`, content)) return record;
    return `job ${id} of queue ${queue} was delivered, but no process enqueued it (what world.bus does is not seen)`;
  }

  #enqueued(open: OpenCall, { call, atMs, data }: TraceEvent): string | undefined {
    const { queue, jobs, removals } = open;
    const answers = (data["jobs"] ?? [data]) as readonly EnqueuedFacts[];
    const contents = this.#origins.contents(call);
    for (const [index, { id, duplicate }] of answers.entries()) {
      const record = this.#told(open, { id, duplicate, content: contents[index], atMs });
      if (typeof record === "string") return record;
      record.isTold = true;
      record.isExcused ||= this.#queue(queue).removals !== removals;
      if (!duplicate) record.maxAttempts = jobs[index]?.maxAttempts ?? DEFAULT_MAX_ATTEMPTS;
    }
    const ids = answers.map(({ id, duplicate }) => (duplicate ? undefined : `${queue}/${id}`));
    return phantom(queue, this.#origins.made(call, ids));
  }

  /** The record of a job that an answer names, or what is wrong. */
  #told(
    { queue, atMs: fromMs }: OpenCall,
    answer: EnqueuedFacts & { readonly content: string | undefined; readonly atMs: number },
  ): JobRecord | string {
    const { id, duplicate, content, atMs } = answer;
    const known = this.get(queue, id);
    const isOther = known !== undefined && this.mayBeLost(known);
    if (duplicate) return known ?? this.#add(queue, id, { fromMs, toMs: atMs });
    if (known && !isOther) {
      if (known.isTold && known.maxAttempts !== undefined) {
        return `queue ${queue}: two enqueues were answered with the id ${id}`;
      }
      if (known.content !== undefined && known.content !== content) return changed(queue, id);
    }
    // It may have been delivered before its enqueue was answered.
    const isSame = known && (!isOther || known.content === content);
    const record = isSame ? known : this.#add(queue, id, { fromMs, toMs: atMs });
    record.content = content;
    this.#lost.delete(`${id}\n${content}`);
    record.fromMs = fromMs;
    record.toMs = isOther ? atMs : Math.min(record.toMs, atMs);
    record.mayBeTwo ||= isOther && record === known;
    return record;
  }

  /** Whether a crash may have lost it. */
  mayBeLost({ fromMs, toMs }: JobRecord): boolean {
    return this.#losses.write(fromMs, toMs);
  }

  #queue(name: string): QueueRecords {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = { jobs: new Map(), removals: 0, removedUpTo: 0 };
      this.#queues.set(name, queue);
    }
    return queue;
  }

  #add(
    queue: string,
    id: string,
    window: { readonly fromMs: number; readonly toMs: number },
  ): JobRecord {
    const before = this.get(queue, id);
    if (before?.content !== undefined) this.#lost.add(`${id}\n${before.content}`);
    if (before?.isTold) this.#counts.lostWrites += 1;
    this.#counts.jobs += 1;
    const record: JobRecord = {
      queue,
      id,
      ...window,
      content: undefined,
      maxAttempts: undefined,
      isTold: false,
      mayBeTwo: false,
      isExcused: false,
      removedAtMs: Number.POSITIVE_INFINITY,
      ordinal: this.#counts.jobs,
      executions: 0,
      replays: 0,
      done: undefined,
    };
    this.#queue(queue).jobs.set(id, record);
    return record;
  }

  #emptied(name: string): void {
    const queue = this.#queue(name);
    queue.removals += 1;
    queue.removedUpTo = this.#counts.jobs;
  }
}

function changed(queue: string, id: string): string {
  return `job ${id} of queue ${queue} was delivered with another payload or other headers than it was enqueued with`;
}

function phantom(queue: string, content: string | undefined): string | undefined {
  if (content === undefined) return undefined;
  return `queue ${queue}: more jobs were delivered than enqueued with the payload ${content.split("\n")[1]}`;
}
