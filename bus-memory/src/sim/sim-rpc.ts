import type {
  Payload,
  Reply,
  RequestManyOptions,
  RequestOptions,
  RequestReply,
  RpcHandler,
  RpcRequest,
  RpcResult,
  RpcServer,
  ServeOptions,
} from "@busbar/core";
import { DEFAULT_TIMEOUT_MS, resolveTimeout, timeoutError } from "@busbar/core/adapter";
import { digest, owned } from "./digest.ts";
import type { Link } from "./link.ts";
import { SimStream } from "./sim-stream.ts";

/** Request and reply over a {@link Link}, on both sides. */
export class SimRpc implements RequestReply {
  readonly #link: Link;
  readonly #inner: RequestReply;

  constructor(link: Link, inner: RequestReply) {
    this.#link = link;
    this.#inner = inner;
  }

  async request(subject: string, payload: Payload, options?: RequestOptions): Promise<Reply> {
    const timeoutMs = resolveTimeout(options?.timeoutMs);
    const own = owned(this.#link, payload);
    const call = { op: "rpc.request", about: subject, data: this.#facts(own), timeoutMs };
    const asked = this.#link.request(
      call,
      () => this.#inner.request(subject, own, options),
      (reply) => ({ payload: digest(reply.payload) }),
    );
    // Without delays the inner request keeps the time.
    return this.#link.isInstant ? asked : this.#inTime(asked, subject, timeoutMs);
  }

  requestMany(
    subject: string,
    payload: Payload,
    options?: RequestManyOptions,
  ): AsyncIterable<Reply> {
    const link = this.#link;
    const own = owned(link, payload);
    const timeoutMs = options?.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const call = { op: "rpc.requestMany", about: subject, data: this.#facts(own), timeoutMs };
    return {
      [Symbol.asyncIterator]: () => {
        const inner = this.#inner.requestMany(subject, own, options)[Symbol.asyncIterator]();
        const stream = new SimStream<Reply, Reply>(link, inner as never, {
          op: "reply",
          about: subject,
          lossy: true,
          ahead: MAX_AHEAD,
          whileDown: "lose",
          arrived: (reply) => {
            link.recorder.delivered(link.name, "reply", subject, () => ({
              payload: digest(reply.payload),
            }));
            return reply;
          },
        });
        let sent: Promise<void> | undefined;
        return {
          next: async () => {
            sent ??= link.request(call, () => Promise.resolve());
            await sent;
            return stream.next();
          },
          return: async () => {
            stream.end();
            await inner.return?.();
            return { done: true, value: undefined };
          },
        };
      },
    };
  }

  async serve(subject: string, handler: RpcHandler, options?: ServeOptions): Promise<RpcServer> {
    const call = { op: "rpc.serve", about: subject, timeoutMs: DEFAULT_TIMEOUT_MS };
    const brought =
      typeof handler === "function"
        ? (request: RpcRequest) => this.#handle(request, handler)
        : handler;
    return this.#link.request(call, () => this.#inner.serve(subject, brought, options));
  }

  /** A handler that never answers stands for a request or a reply that was lost. */
  #handle(request: RpcRequest, handler: RpcHandler): Promise<RpcResult> {
    const link = this.#link;
    return new Promise((resolve, reject) => {
      const lost = (): void => undefined;
      const arrive = (): void => {
        link.gate.pass(() => {
          link.recorder.delivered(link.name, "request", request.subject, () => ({
            payload: digest(request.payload),
          }));
          void run(handler, request).then(
            (result) => link.reply({ arrive: () => resolve(result), lost }),
            (error: unknown) => link.reply({ arrive: () => reject(error as Error), lost }),
          );
        });
      };
      link.deliver({ arrive, lost }, "dropDelivery");
    });
  }

  #inTime<T>(asked: Promise<T>, subject: string, timeoutMs: number): Promise<T> {
    const { clock } = this.#link;
    return new Promise((resolve, reject) => {
      const timer = clock.setTimer(
        () => reject(timeoutError(`the request to ${subject}`, timeoutMs)),
        timeoutMs,
      );
      asked.then(
        (value) => {
          timer.cancel();
          resolve(value);
        },
        (error: unknown) => {
          timer.cancel();
          reject(error as Error);
        },
      );
    });
  }

  #facts(payload: Payload): Readonly<Record<string, unknown>> {
    return this.#link.recorder.isWatched ? { payload: digest(payload) } : {};
  }
}

/** How many replies may be under way or wait for the process. */
const MAX_AHEAD = 1_024;

async function run(handler: RpcHandler, request: RpcRequest): Promise<RpcResult> {
  return handler(request);
}
