/// <reference lib="esnext.disposable" preserve="true" />
import type { CloseOptions, CloseReport } from "./close.ts";
import type { Headers, Payload } from "./payload.ts";

/** Options of {@link RequestReply.request}. */
export interface RequestOptions {
  /**
   * How long to wait for the reply, in milliseconds, 1 or more.
   * @defaultValue 5_000
   */
  readonly timeoutMs?: number;
  /** Headers to send along. */
  readonly headers?: Headers;
  /** Stops waiting; rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Options of {@link RequestReply.requestMany}. */
export interface RequestManyOptions extends RequestOptions {
  /** Ends after this many replies, 1 or more. Default: no limit but the time. */
  readonly maxReplies?: number;
  /** Ends when no further reply came for this many milliseconds after one. Default: off. */
  readonly stallMs?: number;
}

/** One reply. */
export interface Reply {
  /** The bytes; the receiver owns them. */
  readonly payload: Uint8Array;
  /** The headers. */
  readonly headers: Headers;
}

/** A request as its handler sees it. */
export interface RpcRequest {
  /** The subject it was sent to. */
  readonly subject: string;
  /** The bytes; the handler owns them. */
  readonly payload: Uint8Array;
  /** The headers. */
  readonly headers: Headers;
  /** Aborts when the server is closed and its drain time is over. */
  readonly signal: AbortSignal;
}

/** What a handler may answer: a payload, or a payload with headers. Nothing is an empty payload. */
export type RpcResult =
  | Payload
  | { readonly payload: Payload; readonly headers?: Headers }
  | undefined
  | void;

/** Answers one request. What it throws arrives at the caller as `REMOTE`, without the stack. */
export type RpcHandler = (request: RpcRequest) => RpcResult | Promise<RpcResult>;

/** Options of {@link RequestReply.serve}. */
export interface ServeOptions {
  /**
   * Servers with one group share: each request goes to one of them. `false`: this server gets
   * every request, beside all groups.
   * @defaultValue "default"
   */
  readonly group?: string | false;
  /**
   * How many requests are handled at a time, 1 or more.
   * @defaultValue 64
   */
  readonly concurrency?: number;
  /**
   * How many requests wait for a free place at most, 0 or more. Beyond it the caller gets `REMOTE`
   * with `details.code` `LIMIT_EXCEEDED` at once.
   * @defaultValue 1_024
   */
  readonly maxQueued?: number;
  /** Closes the server. */
  readonly signal?: AbortSignal;
}

/** A running server of requests. */
export interface RpcServer extends AsyncDisposable {
  /**
   * Takes no new requests, waits up to `drainMs` for the running ones, then aborts their signals
   * and reports them as abandoned. Idempotent.
   */
  close(options?: CloseOptions): Promise<CloseReport>;
}

/** Request and reply: at most once, no storage. */
export interface RequestReply {
  /**
   * Sends a request and waits for one reply: the first one, where several answer.
   * @throws BusError `NO_RESPONDERS` at once if nobody serves the subject, `TIMEOUT`, `REMOTE`
   *   (`details.code`, `details.message` of the handler's error), `DISCONNECTED`,
   *   `PAYLOAD_TOO_LARGE`, `INVALID_ARGUMENT`, `CLOSED`
   */
  request(subject: string, payload: Payload, options?: RequestOptions): Promise<Reply>;
  /**
   * Sends one request and yields every reply until the time, the count or the stall ends it.
   * Replies that carry an error throw `REMOTE`.
   */
  requestMany(
    subject: string,
    payload: Payload,
    options?: RequestManyOptions,
  ): AsyncIterable<Reply>;
  /**
   * Serves a subject, which may have wildcards. Resolves when requests can arrive.
   */
  serve(subject: string, handler: RpcHandler, options?: ServeOptions): Promise<RpcServer>;
}
