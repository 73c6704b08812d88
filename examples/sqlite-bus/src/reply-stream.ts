import type { Clock, Headers, Reply, RequestManyOptions, Timer } from "@busbar/core";
import {
  checkDuration,
  checkInteger,
  closedError,
  Mailbox,
  remoteError,
} from "@busbar/core/adapter";
import { toHeaders } from "./context.ts";
import type { Holdable } from "./hand.ts";
import type { Parcel } from "./post-office.ts";

const MAX_STALL_MS = 315_360_000_000;

/** A request that was checked. */
export interface CheckedRequest {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: Headers;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** What a request says besides its payload. */
export interface RequestNote {
  /** The route that waits for replies. */
  readonly replyTo: number;
  /** Which request of that route it is. */
  readonly id: number;
  /** How long the caller waits, in milliseconds. */
  readonly timeoutMs: number;
}

/** What a reply says besides its payload. */
export type Answer =
  | { readonly id: number; readonly ok: true }
  | { readonly id: number; readonly ok: false; readonly code: string; readonly message: string };

/** What a {@link ReplyStream} needs of its contract. */
export interface ReplyStreamParts {
  check(): CheckedRequest;
  /** Sends. @throws BusError `NO_RESPONDERS` */
  send(request: CheckedRequest, stream: ReplyStream): void;
  /** Nothing is waited for any more. */
  over(stream: ReplyStream): void;
}

/**
 * The replies to one request, as they come. It is sent with the first `next()`.
 *
 * States: *new* -> sent -> *waiting* -> enough replies, an error, the time, the stall, a signal, or
 * the end of the bus -> *over*: what comes later is dropped.
 */
export class ReplyStream implements AsyncIterator<Reply, undefined>, Holdable {
  id = 0;
  deadlineMs = 0;
  readonly #clock: Clock;
  readonly #options: RequestManyOptions;
  readonly #parts: ReplyStreamParts;
  readonly #inbox = new Mailbox<Reply>();
  #request: CheckedRequest | undefined;
  #timer: Timer | undefined;
  #stall: Timer | undefined;
  #count = 0;

  constructor(clock: Clock, options: RequestManyOptions, parts: ReplyStreamParts) {
    this.#clock = clock;
    this.#options = options;
    this.#parts = parts;
  }

  async next(): Promise<IteratorResult<Reply, undefined>> {
    if (this.#request === undefined && !this.#inbox.ended) {
      try {
        this.#start();
      } catch (error) {
        this.#end();
        throw error;
      }
    }
    return this.#inbox.next();
  }

  async return(): Promise<IteratorResult<Reply, undefined>> {
    this.#end();
    this.#inbox.drain();
    return { done: true, value: undefined };
  }

  /** A reply has come. */
  answered(answer: Answer, { payload, headers }: Parcel): void {
    const { maxReplies, stallMs } = this.#options;
    if (!answer.ok) {
      const { subject } = this.#request as CheckedRequest;
      this.#end(remoteError(subject, answer.code, answer.message));
      return;
    }
    this.#inbox.push({ payload, headers: toHeaders(headers) });
    this.#count += 1;
    if (this.#count === maxReplies) this.#end();
    else if (stallMs !== undefined) {
      this.#stall?.cancel();
      this.#stall = this.#clock.setTimer(() => this.#end(), stallMs);
    }
  }

  /** The bus is closed. */
  close(): void {
    this.#end(closedError("the bus"));
  }

  #start(): void {
    const { maxReplies, stallMs } = this.#options;
    const request = this.#parts.check();
    if (maxReplies !== undefined) {
      checkInteger("maxReplies", maxReplies, 1, Number.MAX_SAFE_INTEGER);
    }
    if (stallMs !== undefined) checkDuration("stallMs", stallMs, 1, MAX_STALL_MS);
    this.#request = request;
    this.deadlineMs = this.#clock.monotonic() + request.timeoutMs;
    this.#parts.send(request, this);
    this.#timer = this.#clock.setTimer(() => this.#end(), request.timeoutMs);
    request.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  readonly #onAbort = (): void => {
    this.#end(this.#request?.signal?.reason);
  };

  #end(error?: unknown): void {
    if (this.#inbox.ended) return;
    if (error === undefined) this.#inbox.end();
    else this.#inbox.fail(error);
    this.#timer?.cancel();
    this.#stall?.cancel();
    this.#request?.signal?.removeEventListener("abort", this.#onAbort);
    this.#parts.over(this);
  }
}
