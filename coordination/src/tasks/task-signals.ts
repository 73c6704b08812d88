import { type Bus, type Listener, toText } from "@busbar/core";
import type { JsonValue } from "../tenants/tenant.ts";
import type { FinalStatus } from "./task-record.ts";

/** What happens to a task, told live: whoever was not listening has missed it. */
export type TaskEvent =
  | { readonly type: "progress"; readonly attempt: number; readonly value: JsonValue }
  | { readonly type: "log"; readonly attempt: number; readonly line: string }
  | { readonly type: "retrying"; readonly attempt: number; readonly delayMs: number }
  | { readonly type: "ended"; readonly status: FinalStatus };

/** Called with what happens to a task, in order; with `undefined` once no more can be heard. */
export type TaskListener = (event: TaskEvent | undefined) => void;

type Told = readonly [id: string, event: TaskEvent];

/** Messages that wait for a slow process; the oldest are dropped. */
const MAX_BUFFERED = 1_024;

/**
 * The live messages about single tasks of a queue: one subject for each lane. What happens at once shares a
 * message, and one listener serves all who wait for tasks of a lane in this process.
 */
export class TaskSignals {
  readonly #bus: Bus;
  readonly #queue: string;
  /** What is to be told at the end of this turn, by lane. */
  readonly #told = new Map<string, Told[]>();
  readonly #lanes = new Map<string, LaneListening>();

  constructor(bus: Bus, queue: string) {
    this.#bus = bus;
    this.#queue = queue;
  }

  /** Tells what happened. Never fails: whoever misses it looks by itself. */
  tell(lane: string, id: string, event: TaskEvent): void {
    const waiting = this.#told.get(lane);
    if (waiting !== undefined) {
      waiting.push([id, event]);
      return;
    }
    const told: Told[] = [[id, event]];
    this.#told.set(lane, told);
    queueMicrotask(() => {
      this.#told.delete(lane);
      this.#bus.pubsub.notify(this.#subject(lane), JSON.stringify(told)).catch(() => undefined);
    });
  }

  /** Calls `listener` with what happens to a task from now on. @returns what ends that */
  async listen(lane: string, id: string, listener: TaskListener): Promise<() => void> {
    let listening = this.#lanes.get(lane);
    if (listening === undefined) {
      const opening = this.#bus.pubsub.listen(this.#subject(lane), { maxBuffered: MAX_BUFFERED });
      const made = new LaneListening(opening, () => {
        if (this.#lanes.get(lane) === made) this.#lanes.delete(lane);
      });
      this.#lanes.set(lane, made);
      listening = made;
    }
    const stop = listening.add(id, listener);
    await listening.ready;
    return stop;
  }

  #subject(lane: string): string {
    // Longer than what the pools listen to, so that they are not told.
    return `tasks.${this.#queue}.told.${lane}.all`;
  }
}

/** States: *open* -> nobody listens any more, or the bus ends it -> *closed*. */
class LaneListening {
  /** Resolves when everything is heard from then on. */
  readonly ready: Promise<void>;
  readonly #opening: Promise<Listener>;
  readonly #onClosed: () => void;
  readonly #listeners = new Map<string, Set<TaskListener>>();

  constructor(opening: Promise<Listener>, onClosed: () => void) {
    this.#opening = opening;
    this.#onClosed = onClosed;
    this.ready = opening.then((live) => {
      void this.#read(live);
    });
    this.ready.catch(() => this.#close());
  }

  add(id: string, listener: TaskListener): () => void {
    const listeners = this.#listeners.get(id) ?? new Set();
    this.#listeners.set(id, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(id);
      if (this.#listeners.size === 0) this.#close();
    };
  }

  async #read(live: Listener): Promise<void> {
    try {
      for await (const { payload } of live) {
        for (const [id, event] of parse(payload)) this.#tell(id, event);
      }
    } catch {
      // Those who wait look by themselves.
    }
    this.#close();
    for (const id of this.#listeners.keys()) this.#tell(id, undefined);
  }

  #tell(id: string, event: TaskEvent | undefined): void {
    for (const listener of this.#listeners.get(id) ?? []) listener(event);
  }

  #close(): void {
    this.#onClosed();
    this.#opening.then((live) => live.close()).catch(() => undefined);
  }
}

function parse(payload: Uint8Array): readonly Told[] {
  try {
    return JSON.parse(toText(payload)) as readonly Told[];
  } catch {
    return [];
  }
}
