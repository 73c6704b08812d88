import { type Bus, typedBus } from "@busbar/core";
import { fileIndexed } from "./definitions.ts";

/** The name of its position. */
export const DURABLE = "follower";

/**
 * Follows the events with a durable position, which outlives it: who stops and comes back later goes
 * on where it stopped, and misses nothing of what happened in between.
 */
export class Follower {
  readonly #bus: Bus;
  readonly #seen = new Set<string>();
  readonly #onEvent: (seen: number) => void;
  #following: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;

  /** Events that came a second time. */
  duplicates = 0;

  constructor(bus: Bus, onEvent: (seen: number) => void) {
    this.#bus = bus;
    this.#onEvent = onEvent;
  }

  /** How many events it has seen, each counted once. */
  get seen(): number {
    return this.#seen.size;
  }

  /** Begins, or goes on where it stopped. */
  async start(): Promise<void> {
    const stop = new AbortController();
    const subscription = await typedBus(this.#bus)
      .topic(fileIndexed)
      .subscribe({ durable: DURABLE, signal: stop.signal });
    const follow = async (): Promise<void> => {
      for await (const message of subscription) {
        if (this.#seen.has(message.value.path)) this.duplicates += 1;
        this.#seen.add(message.value.path);
        await message.ack({ confirm: true });
        this.#onEvent(this.#seen.size);
        if (stop.signal.aborted) break;
      }
    };
    this.#following = { stop, ended: follow() };
  }

  /** Stops after the event that is in its hands. */
  async stop(): Promise<void> {
    this.#following?.stop.abort();
    await this.#following?.ended;
  }
}
