import type {
  Payload,
  Reply,
  RequestManyOptions,
  RequestOptions,
  RequestReply,
  RpcHandler,
  RpcServer,
  ServeOptions,
} from "@busbar/core";
import {
  checkHeaders,
  checkSubject,
  checkSubjectPattern,
  resolveServeOptions,
  resolveTimeout,
} from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import { type CheckedRequest, Exchange, type ExchangeContext } from "./exchange.ts";
import { MemoryRpcServer } from "./memory-rpc-server.ts";
import { PendingRequests } from "./pending-requests.ts";
import { ReplyStream } from "./reply-stream.ts";

/** Request and reply on a namespace's responders. */
export class MemoryRpc implements RequestReply {
  readonly #context: BusContext;
  readonly #parts: ExchangeContext;

  constructor(context: BusContext) {
    this.#context = context;
    this.#parts = { context, pending: new PendingRequests(context) };
    context.lifecycle.add(this.#parts.pending);
  }

  /** How many requests wait for a reply. */
  get pendingRequests(): number {
    return this.#parts.pending.size;
  }

  async request(subject: string, payload: Payload, options?: RequestOptions): Promise<Reply> {
    const request = this.#check(subject, payload, options);
    return new Promise((resolve, reject) => {
      // What the constructor throws rejects.
      void new Exchange(request, this.#parts, {
        reply: (reply) => {
          resolve(reply);
          return true;
        },
        error: reject,
        timeOver: reject,
      });
    });
  }

  requestMany(
    subject: string,
    payload: Payload,
    options: RequestManyOptions = {},
  ): AsyncIterable<Reply> {
    const check = (): CheckedRequest => this.#check(subject, payload, options);
    return {
      [Symbol.asyncIterator]: () => new ReplyStream(check, this.#parts, options),
    };
  }

  async serve(subject: string, handler: RpcHandler, options?: ServeOptions): Promise<RpcServer> {
    this.#context.enter();
    checkSubjectPattern(subject);
    if (typeof handler !== "function") {
      throw new TypeError(`handler must be a function, got ${typeof handler}`);
    }
    const resolved = resolveServeOptions(options);
    resolved.signal?.throwIfAborted();
    return new MemoryRpcServer(this.#context, subject, { handler, resolved });
  }

  #check(subject: string, payload: Payload, options: RequestOptions = {}): CheckedRequest {
    this.#context.enter();
    checkSubject(subject);
    const { timeoutMs, headers, signal } = options;
    const checked = {
      subject,
      payload: this.#context.bytes(payload, subject),
      headers: checkHeaders(headers),
      timeoutMs: resolveTimeout(timeoutMs),
      signal,
    };
    signal?.throwIfAborted();
    return checked;
  }
}
