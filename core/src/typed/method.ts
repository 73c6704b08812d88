import type { Bus } from "../bus.ts";
import { BusError, isBusError } from "../errors.ts";
import type { RequestOptions, RpcRequest, RpcServer, ServeOptions } from "../request-reply.ts";
import type { MethodDefinition } from "./define.ts";
import { type OnInvalid, report } from "./invalid.ts";
import { Port } from "./port.ts";
import type { SchemaInput, SchemaOutput, StandardSchemaV1 } from "./standard-schema.ts";
import { concreteSubject, narrowedSubject } from "./subject-choice.ts";

/** Options of {@link TypedMethod.request}. */
export interface TypedRequestOptions extends RequestOptions {
  /** The subject to ask: needed where the method's has wildcards, and covered by it. */
  readonly subject?: string;
}

/** Options of {@link TypedMethod.serve}. */
export interface TypedServeOptions extends ServeOptions {
  /** A subject that the method's covers, to serve less than all of it. Default: the method's. */
  readonly subject?: string;
  /** Told of requests that were refused. Their callers are told in any case. */
  readonly onInvalid?: OnInvalid<RpcRequest>;
}

/**
 * Answers one request. What it throws arrives at the caller as `REMOTE`, without the stack.
 * A reply that does not fit arrives as `REMOTE` with `details.code` `INTERNAL`.
 */
export type TypedHandler<Request extends StandardSchemaV1, Reply extends StandardSchemaV1> = (
  value: SchemaOutput<Request>,
  request: RpcRequest,
) => SchemaInput<Reply> | Promise<SchemaInput<Reply>>;

/** A method on a bus. */
export interface TypedMethod<Request extends StandardSchemaV1, Reply extends StandardSchemaV1> {
  /** What it was made of. */
  readonly definition: MethodDefinition<Request, Reply>;
  /**
   * Asks, and gives the value of the reply.
   * @throws BusError `INVALID_ARGUMENT` with `details.issues`: of the request, before anything is
   *   sent, or of the reply, which `details.part` (`request`, `reply`) tells; `REMOTE` with
   *   `details.code` `INVALID_ARGUMENT` if the server's schema refuses the request; and as
   *   {@link RequestReply.request}
   */
  request(value: SchemaInput<Request>, options?: TypedRequestOptions): Promise<SchemaOutput<Reply>>;
  /** Serves. A request that does not fit never reaches the handler. */
  serve(handler: TypedHandler<Request, Reply>, options?: TypedServeOptions): Promise<RpcServer>;
}

export class BusMethod<Request extends StandardSchemaV1, Reply extends StandardSchemaV1>
  implements TypedMethod<Request, Reply>
{
  readonly definition: MethodDefinition<Request, Reply>;
  readonly #bus: Bus;
  readonly #request: Port<Request>;
  readonly #reply: Port<Reply>;

  constructor(bus: Bus, definition: MethodDefinition<Request, Reply>) {
    const { subject, request, requestCodec, reply, replyCodec } = definition;
    this.#bus = bus;
    this.definition = definition;
    this.#request = new Port(request, requestCodec, `the requests of ${subject}`);
    this.#reply = new Port(reply, replyCodec, `the replies of ${subject}`);
  }

  async request(
    value: SchemaInput<Request>,
    options: TypedRequestOptions = {},
  ): Promise<SchemaOutput<Reply>> {
    const { subject: given, ...rest } = options;
    const subject = concreteSubject(this.definition.subject, given);
    const payload = await ofPart(
      "request",
      this.#request.encode(value, `the request to ${subject}`),
    );
    const reply = await this.#bus.rpc.request(subject, payload, rest);
    return ofPart("reply", this.#reply.read(reply.payload, `the reply of ${subject}`));
  }

  async serve(
    handler: TypedHandler<Request, Reply>,
    options: TypedServeOptions = {},
  ): Promise<RpcServer> {
    const { subject, onInvalid, ...rest } = options;
    return this.#bus.rpc.serve(
      narrowedSubject(this.definition.subject, subject),
      (request) => this.#answer(handler, request, onInvalid),
      rest,
    );
  }

  async #answer(
    handler: TypedHandler<Request, Reply>,
    request: RpcRequest,
    onInvalid: OnInvalid<RpcRequest> | undefined,
  ): Promise<Uint8Array> {
    const { subject } = request;
    const decoded = await this.#request.decode(request.payload, `the request to ${subject}`);
    if (!decoded.ok) {
      report(onInvalid, decoded.error, request);
      throw decoded.error;
    }
    const reply = await handler(decoded.value, request);
    try {
      return await this.#reply.encode(reply, `the handler's reply on ${subject}`);
    } catch (cause) {
      // Not `INVALID_ARGUMENT`: to the caller that would mean its own request.
      throw new BusError("INTERNAL", cause instanceof Error ? cause.message : "no reply", {
        cause,
      });
    }
  }
}

/** Says in the error whether it is about the request or the reply. */
async function ofPart<Value>(part: "request" | "reply", work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (error) {
    if (!isBusError(error) || error.code !== "INVALID_ARGUMENT") throw error;
    throw new BusError(error.code, error.message, { details: { ...error.details, part } });
  }
}
