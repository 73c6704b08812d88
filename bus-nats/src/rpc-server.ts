import type { BusError, CloseOptions, CloseReport, RpcHandler, RpcServer } from "@busbar/core";
import {
  type Owned,
  type ResolvedServeOptions,
  resolveDrain,
  RpcExecutor,
  within,
} from "@busbar/core/adapter";
import type { Msg, Subscription } from "@nats-io/transport-node";
import type { NatsContext } from "./context.ts";
import { fromClientError } from "./errors.ts";
import { ownBytes } from "./wire/bytes.ts";
import { userHeaders } from "./wire/headers.ts";
import { flat } from "./wire/names.ts";
import { encodeOutcome } from "./wire/reply.ts";

/** How long the server is waited for, so that what it has sent before is handled. */
const DRAIN_LIMIT_MS = 250;

/**
 * A subscription whose messages an {@link RpcExecutor} answers.
 *
 * States: *serving* -> `close()`, the signal, or the end of the bus -> *draining* (what the server
 * sent before it heard of it is handled) -> *stopped*.
 */
export class NatsRpcServer implements RpcServer, Owned {
  readonly #context: NatsContext;
  readonly #subject: string;
  readonly #signal: AbortSignal | undefined;
  readonly #executor: RpcExecutor;
  readonly #subscription: Subscription;
  #failure: BusError | undefined;
  #closing: Promise<CloseReport> | undefined;

  constructor(
    context: NatsContext,
    subject: string,
    handler: RpcHandler,
    options: ResolvedServeOptions,
  ) {
    this.#context = context;
    this.#subject = subject;
    this.#signal = options.signal;
    const { link, names, capabilities } = context;
    this.#executor = new RpcExecutor(handler, options, {
      clock: link.clock,
      maxPayloadBytes: capabilities.maxPayloadBytes,
    });
    this.#subscription = link.connection.subscribe(names.rpcPrefix + subject, {
      ...(options.group === false ? {} : { queue: flat(options.group) }),
      callback: (error, message) => {
        if (error) this.#failure = fromClientError(error, `serve ${subject}`);
        else this.#accept(message);
      },
    });
    context.lifecycle.add(this);
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Resolves when requests can arrive. @throws BusError `PERMISSION_DENIED`, `DISCONNECTED` */
  async ready(): Promise<void> {
    await this.#context.link.flush(`serve ${this.#subject}`);
    // The server refuses a subscription before it answers the flush behind it.
    if (this.#failure) throw this.#failure;
  }

  close(options: CloseOptions = {}): Promise<CloseReport> {
    return this.stop(resolveDrain(options.drainMs, 0));
  }

  stop(drainMs: number): Promise<CloseReport> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #onAbort = (): void => {
    void this.close();
  };

  #accept(message: Msg): void {
    const { connection } = this.#context.link;
    this.#executor.accept({
      subject: message.subject.slice(this.#context.names.rpcPrefix.length),
      payload: ownBytes(message.data),
      headers: userHeaders(message.headers),
      answer: (outcome) => {
        if (!message.reply) return;
        const [payload, options] = encodeOutcome(outcome);
        connection.publish(message.reply, payload, options);
      },
    });
  }

  async #close(drainMs: number): Promise<CloseReport> {
    const { link, lifecycle } = this.#context;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    const deadline = link.clock.monotonic() + drainMs;
    if (link.connected && !this.#subscription.isClosed()) {
      const drained = this.#subscription.drain();
      await within(link.clock, drained, DRAIN_LIMIT_MS);
    }
    this.#subscription.unsubscribe();
    const report = await this.#executor.stop(Math.max(0, deadline - link.clock.monotonic()));
    lifecycle.remove(this);
    return report;
  }
}
