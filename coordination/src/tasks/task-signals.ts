import { type Bus, type Listener, toText } from "@busbar/core";
import type { JsonValue } from "../tenants/tenant.ts";
import type { FinalStatus } from "./task-record.ts";

/** What happens to a task, told live: whoever was not listening has missed it. */
export type TaskEvent =
  | { readonly type: "progress"; readonly attempt: number; readonly value: JsonValue }
  | { readonly type: "log"; readonly attempt: number; readonly line: string }
  | { readonly type: "retrying"; readonly attempt: number; readonly delayMs: number }
  | { readonly type: "ended"; readonly status: FinalStatus };

/** Lines and reports of a task that wait for a slow reader; the oldest are dropped. */
const MAX_BUFFERED = 1_024;

/** The live messages about single tasks of a queue. */
export class TaskSignals {
  readonly #bus: Bus;
  readonly #queue: string;

  constructor(bus: Bus, queue: string) {
    this.#bus = bus;
    this.#queue = queue;
  }

  /** Tells what happened. Never rejects: whoever misses it looks by itself. */
  async tell(lane: string, id: string, event: TaskEvent): Promise<void> {
    await this.#bus.pubsub
      .notify(this.#subject(lane, id), JSON.stringify(event))
      .catch(() => undefined);
  }

  /** What is told of a task from now on. */
  listen(lane: string, id: string, signal?: AbortSignal): Promise<Listener> {
    const options = { maxBuffered: MAX_BUFFERED, ...(signal && { signal }) };
    return this.#bus.pubsub.listen(this.#subject(lane, id), options);
  }

  #subject(lane: string, id: string): string {
    return `tasks.${this.#queue}.told.${lane}.${id}`;
  }
}

/** The event in a live message; `undefined` if it is none. */
export function toTaskEvent(payload: Uint8Array): TaskEvent | undefined {
  try {
    return JSON.parse(toText(payload)) as TaskEvent;
  } catch {
    return undefined;
  }
}
