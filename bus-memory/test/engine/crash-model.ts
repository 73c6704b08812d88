/** What a model is told of the simulated server: constants of the property test. */
export const ACK_WAIT_MS = 2_000;
export const MAX_DELIVERIES = 3;
export const LEASE_MS = 1_500;
export const MAX_ATTEMPTS = 3;
export const DEDUP_MS = 5_000;
export const HISTORY = 2;

/** Something that happened to one message of one durable, or to one job. */
export interface Event {
  readonly type: "take" | "settle" | "retry" | "giveUp" | "bury" | "replay" | "purge";
  readonly atMs: number;
  /** Of a retry. */
  readonly delayMs?: number;
}

/** Where it is after the events that were kept. */
export interface Place {
  /** "worn": its last take was left. It is dead as soon as the server comes upon it. */
  state: "ready" | "left" | "worn" | "delayed" | "held" | "done" | "dead";
  untilMs: number;
  count: number;
}

/** Follows one message of one durable, or one job, from the events alone. */
export function follow(
  events: readonly Event[],
  start: { readonly readyAtMs: number; readonly holdMs: number; readonly max: number },
  nowMs: number,
): Place {
  const place: Place = { state: "delayed", untilMs: start.readyAtMs, count: 0 };
  const advance = (toMs: number): void => {
    if (place.untilMs > toMs) return;
    if (place.state === "delayed") place.state = "ready";
    if (place.state === "held") place.state = place.count >= start.max ? "worn" : "left";
  };
  for (const { type, atMs, delayMs = 0 } of events) {
    advance(atMs);
    if (type === "take") {
      place.count += 1;
      place.state = "held";
      place.untilMs = atMs + start.holdMs;
    } else if (type === "settle") {
      place.state = "done";
    } else if (type === "retry") {
      place.state = place.count >= start.max ? "dead" : "delayed";
      place.untilMs = atMs + delayMs;
    } else if (type === "giveUp" || type === "bury") {
      place.state = "dead";
    } else if (type === "replay") {
      place.state = "ready";
      place.count = 0;
    } else if (place.state !== "dead") {
      place.state = "done";
    }
    advance(atMs);
  }
  advance(nowMs);
  return place;
}

/** One message. */
export interface ModelMessage {
  readonly atMs: number;
  readonly subject: string;
  readonly text: string;
  readonly messageId: string | undefined;
  /** By durable. */
  readonly events: Record<string, Event[]>;
}

/** One job. */
export interface ModelJob {
  readonly id: string;
  readonly atMs: number;
  readonly delayMs: number;
  readonly text: string;
  readonly dedupKey: string | undefined;
  events: Event[];
}

/** One write to a bucket; without a value a removal. */
export interface ModelWrite {
  readonly atMs: number;
  readonly key: string;
  readonly value: string | undefined;
  readonly ttlMs: number;
}

/** What is kept of a write. */
export interface ModelEntry extends ModelWrite {
  readonly revision: number;
}

/**
 * A server as a list of what happened to it. Its state is worked out from the whole list each time,
 * so a crash needs no undo: it strikes what was lost from the list.
 */
export class CrashModel {
  messages: ModelMessage[] = [];
  jobs: ModelJob[] = [];
  writes: ModelWrite[] = [];

  /** What is on disk, or cannot be undone any more. */
  readonly #final = new WeakSet<object>();

  /** It cannot be lost any more. */
  makeFinal(change: object): void {
    this.#final.add(change);
  }

  /** Strikes out what was made less than so many milliseconds ago. */
  crash(nowMs: number, lost: { readonly settlesMs: number; readonly writesMs: number }): void {
    const isKept = (change: { readonly atMs: number }, windowMs: number): boolean =>
      this.#final.has(change) || nowMs - change.atMs >= windowMs;
    const keep = (events: readonly Event[]): Event[] =>
      events.filter((event) => {
        if (event.type === "settle") return isKept(event, lost.settlesMs);
        return event.type !== "giveUp" || isKept(event, lost.writesMs);
      });
    this.messages = this.messages.filter((message) => isKept(message, lost.writesMs));
    this.jobs = this.jobs.filter((job) => isKept(job, lost.writesMs));
    this.writes = this.writes.filter((write) => isKept(write, lost.writesMs));
    for (const message of this.messages) {
      for (const [durable, events] of Object.entries(message.events)) {
        message.events[durable] = keep(events);
      }
      Object.values(message.events)
        .flat()
        .forEach((event) => this.makeFinal(event));
    }
    for (const job of this.jobs) {
      job.events = keep(job.events);
      job.events.forEach((event) => this.makeFinal(event));
    }
    [...this.messages, ...this.jobs, ...this.writes].forEach((change) => this.makeFinal(change));
  }

  /** A message on its way through a durable. */
  message({ events, atMs }: ModelMessage, durable: string, nowMs: number): Place {
    const start = { readyAtMs: atMs, holdMs: ACK_WAIT_MS, max: MAX_DELIVERIES };
    return follow(events[durable] ?? [], start, nowMs);
  }

  /** A job. */
  job({ events, atMs, delayMs }: ModelJob, nowMs: number): Place {
    const start = { readyAtMs: atMs + delayMs, holdMs: LEASE_MS, max: MAX_ATTEMPTS };
    return follow(events, start, nowMs);
  }

  /** What is kept of a key, oldest first. */
  history(key: string, nowMs: number): ModelEntry[] {
    let kept: ModelEntry[] = [];
    const expire = (atMs: number): void => {
      const isOver = ({ ttlMs, atMs: fromMs }: ModelEntry): boolean =>
        ttlMs > 0 && fromMs + ttlMs <= atMs;
      const last = kept.at(-1);
      kept = last && isOver(last) ? [] : kept.filter((entry) => !isOver(entry));
    };
    this.writes.forEach((write, index) => {
      if (write.key !== key) return;
      expire(write.atMs);
      // A value with a TTL of its own takes the past of its key with it.
      const past = write.ttlMs > 0 ? [] : kept;
      kept = [...past, { ...write, revision: index + 1 }].slice(-HISTORY);
    });
    expire(nowMs);
    return kept;
  }
}
