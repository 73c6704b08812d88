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
  noResponders,
  payloadBytes,
  resolveServeOptions,
  resolveTimeout,
} from "@busbar/core/adapter";
import type { NatsContext } from "./context.ts";
import { type OutgoingRequest, RpcMany } from "./rpc-many.ts";
import { NatsRpcServer } from "./rpc-server.ts";
import { encodeHeaders } from "./wire/headers.ts";
import { parseReply } from "./wire/reply.ts";

/** {@link RequestReply} on core NATS. */
export class NatsRequestReply implements RequestReply {
  readonly #context: NatsContext;

  constructor(context: NatsContext) {
    this.#context = context;
  }

  async request(subject: string, payload: Payload, options: RequestOptions = {}): Promise<Reply> {
    return this.#context.link.requester.request({
      ...this.#outgoing(subject, payload, options),
      timeoutMs: resolveTimeout(options.timeoutMs),
      what: `request to ${subject}`,
      parse: (message) => parseReply(message, subject),
      onNoResponders: () => noResponders(subject),
      signal: options.signal,
    });
  }

  requestMany(
    subject: string,
    payload: Payload,
    options: RequestManyOptions = {},
  ): AsyncIterable<Reply> {
    return {
      // Each iteration is a request of its own, sent when it begins.
      [Symbol.asyncIterator]: () =>
        new RpcMany(this.#context, subject, () => ({
          ...this.#outgoing(subject, payload, options),
          ...RpcMany.resolve(options),
        })),
    };
  }

  async serve(
    subject: string,
    handler: RpcHandler,
    options: ServeOptions = {},
  ): Promise<RpcServer> {
    this.#context.lifecycle.checkOpen();
    checkSubjectPattern(subject);
    if (typeof handler !== "function") {
      throw new TypeError(`handler must be a function, got ${typeof handler}`);
    }
    const resolved = resolveServeOptions(options);
    resolved.signal?.throwIfAborted();
    const server = new NatsRpcServer(this.#context, subject, handler, resolved);
    try {
      await server.ready();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  #outgoing(subject: string, payload: Payload, options: RequestOptions): OutgoingRequest {
    const { lifecycle, capabilities, names } = this.#context;
    lifecycle.checkOpen();
    checkSubject(subject);
    return {
      subject: names.rpcPrefix + subject,
      payload: payloadBytes(payload, capabilities.maxPayloadBytes, subject),
      headers: encodeHeaders(checkHeaders(options.headers)),
    };
  }
}
