import type { Headers, Reply } from "@busbar/core";
import { noResponders, remoteError, type RpcOutcome, timeoutError } from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import { Deadline } from "./engine/deadlines.ts";
import type { PendingRequests, Waiting } from "./pending-requests.ts";

/** A request that was checked. */
export interface CheckedRequest {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: Headers;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Who gets what comes back. */
export interface ReplySink {
  /** A reply; `true` if it was the last one that is wanted. */
  reply(reply: Reply): boolean;
  /** It is over with an error. */
  error(error: unknown): void;
  /** The time is over. */
  timeOver(error: Error): void;
}

/** What an exchange lives on. */
export interface ExchangeContext {
  readonly context: BusContext;
  readonly pending: PendingRequests;
}

/**
 * A request and what comes back: *waiting* -> enough replies, an error, the time, a signal, or the
 * end of the bus -> *over*. What comes later is dropped, and nothing stays behind.
 */
export class Exchange extends Deadline implements Waiting {
  readonly #subject: string;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #parts: ExchangeContext;
  /** Forgotten at the end: a handler that never returns must not hold the caller's memory. */
  #sink: ReplySink | undefined;

  /** Sends. @throws BusError `NO_RESPONDERS` */
  constructor(request: CheckedRequest, parts: ExchangeContext, sink: ReplySink) {
    super();
    const { context, pending } = parts;
    const { subject, payload, headers, timeoutMs, signal } = request;
    this.#subject = subject;
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
    this.#parts = parts;
    this.#sink = sink;
    const responders = context.namespace.responders.select(subject);
    if (responders.length === 0) throw noResponders(subject);
    pending.add(this);
    context.deadlines.set(this, context.nowMs + timeoutMs);
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    const answer = (outcome: RpcOutcome): void => this.#answered(outcome);
    for (const respond of responders) {
      respond({ subject, payload: new Uint8Array(payload), headers, answer });
    }
  }

  /** Ends it: what still comes is dropped. */
  end(): ReplySink | undefined {
    const sink = this.#sink;
    if (sink === undefined) return undefined;
    this.#sink = undefined;
    const { context, pending } = this.#parts;
    pending.remove(this);
    context.deadlines.clear(this);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    return sink;
  }

  fail(error: unknown): void {
    this.end()?.error(error);
  }

  expire(): void {
    this.end()?.timeOver(timeoutError(`the request to ${this.#subject}`, this.#timeoutMs));
  }

  readonly #onAbort = (): void => {
    this.fail(this.#signal?.reason);
  };

  #answered(outcome: RpcOutcome): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    if (!outcome.ok) {
      this.fail(remoteError(this.#subject, outcome.code, outcome.message));
      return;
    }
    const payload = new Uint8Array(outcome.payload);
    if (sink.reply({ payload, headers: outcome.headers })) this.end();
  }
}
