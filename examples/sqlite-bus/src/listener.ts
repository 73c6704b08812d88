import type { Listener, ListenOptions, LiveMessage } from "@busbar/core";
import { checkInteger, checkName, Mailbox, type Owned } from "@busbar/core/adapter";
import { type BusContext, toHeaders } from "./context.ts";
import type { PostOffice, Route } from "./post-office.ts";

const DEFAULT_MAX_BUFFERED = 1_024;

/** A route of live messages into a bounded mailbox. */
export class SqliteListener implements Listener, Owned {
  readonly #context: BusContext;
  readonly #inbox: Mailbox<LiveMessage>;
  readonly #signal: AbortSignal | undefined;
  readonly #route: Route;
  #dropped = 0;
  #isClosed = false;

  constructor(context: BusContext, post: PostOffice, pattern: string, options: ListenOptions) {
    const { group, signal, maxBuffered = DEFAULT_MAX_BUFFERED } = options;
    if (group !== undefined) checkName("group", group);
    checkInteger("maxBuffered", maxBuffered, 1, Number.MAX_SAFE_INTEGER);
    this.#context = context;
    this.#signal = signal;
    this.#inbox = new Mailbox({ maxItems: maxBuffered, onDrop: () => this.#onDrop(pattern) });
    this.#route = post.open("live", { pattern, group }, ({ subject, payload, headers }) => {
      this.#inbox.push({ subject, payload, headers: toHeaders(headers) });
    });
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    context.lifecycle.add(this);
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
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#context.lifecycle.remove(this);
    this.#inbox.end();
    this.#route.close();
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
