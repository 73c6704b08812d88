import { type Headers, type Listener, type ListenOptions, type LiveMessage } from "@busbar/core";
import { checkInteger, checkName, Mailbox, type Owned } from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import type { LiveTarget } from "./engine/message-hub.ts";
import type { Route } from "./engine/router.ts";

const DEFAULT_MAX_BUFFERED = 1_024;

/** Calls what it is given when a message has reached the program, or never. */
export type Carry = (arrive: () => void) => void;

const atOnce: Carry = (arrive) => arrive();

/** A route of live messages into a bounded mailbox. */
export class MemoryListener implements Listener, Owned {
  readonly #context: BusContext;
  readonly #route: Route<LiveTarget>;
  readonly #signal: AbortSignal | undefined;
  readonly #inbox: Mailbox<LiveMessage>;
  #dropped = 0;

  /** `carry` brings a message to the program; without it the program has it at once. */
  constructor(
    context: BusContext,
    pattern: string,
    options: ListenOptions & { readonly carry?: Carry | undefined },
  ) {
    const { group, signal, maxBuffered = DEFAULT_MAX_BUFFERED } = options;
    if (group !== undefined) checkName("group", group);
    checkInteger("maxBuffered", maxBuffered, 1, Number.MAX_SAFE_INTEGER);
    this.#context = context;
    this.#signal = signal;
    this.#inbox = new Mailbox({ maxItems: maxBuffered, onDrop: () => this.#onDrop(pattern) });
    const { carry = atOnce } = options;
    const target = (subject: string, payload: Uint8Array, headers: Headers): void => {
      const message = { subject, payload: new Uint8Array(payload), headers };
      carry(() => this.#inbox.push(message));
    };
    this.#route = { pattern, group, target };
    context.namespace.hub.live.add(this.#route);
    context.lifecycle.add(this);
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  get dropped(): number {
    return this.#dropped;
  }

  [Symbol.asyncIterator](): AsyncIterator<LiveMessage, undefined> {
    return {
      next: () => this.#inbox.next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  async close(): Promise<void> {
    this.#context.namespace.hub.live.remove(this.#route);
    this.#context.lifecycle.remove(this);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#inbox.drain();
    this.#inbox.end();
  }

  async stop(): Promise<{ abandoned: number }> {
    await this.close();
    return { abandoned: 0 };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #onAbort = (): void => {
    void this.close();
  };

  #onDrop(pattern: string): void {
    this.#dropped += 1;
    // Told at 1, 2, 4, 8, ...: a flood must not become a flood of statuses.
    if ((this.#dropped & (this.#dropped - 1)) !== 0) return;
    const what = `the listener on ${pattern}`;
    this.#context.status.emit({ type: "slow", what, dropped: this.#dropped });
  }
}
