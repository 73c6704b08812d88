import type { CloseOptions, CloseReport, RpcHandler, RpcServer } from "@busbar/core";
import {
  type Owned,
  type ResolvedServeOptions,
  resolveDrain,
  RpcExecutor,
} from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import type { Responder } from "./engine/namespace.ts";
import type { Route } from "./engine/router.ts";

/** A route of requests into an executor. */
export class MemoryRpcServer implements RpcServer, Owned {
  readonly #context: BusContext;
  readonly #route: Route<Responder>;
  readonly #executor: RpcExecutor;
  readonly #signal: AbortSignal | undefined;
  #closing: Promise<CloseReport> | undefined;

  constructor(
    context: BusContext,
    pattern: string,
    parts: { readonly handler: RpcHandler; readonly resolved: ResolvedServeOptions },
  ) {
    const { handler, resolved } = parts;
    const { clock, config, lifecycle, namespace } = context;
    this.#context = context;
    this.#signal = resolved.signal;
    // Never on the stack of the caller, who may be in the middle of something.
    const later: RpcHandler = (request) => Promise.resolve().then(() => handler(request));
    const { maxPayloadBytes } = config;
    this.#executor = new RpcExecutor(later, resolved, { clock, maxPayloadBytes });
    const group = resolved.group === false ? undefined : resolved.group;
    this.#route = { pattern, group, target: (request) => this.#executor.accept(request) };
    namespace.responders.add(this.#route);
    lifecycle.add(this);
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  async close(options?: CloseOptions): Promise<CloseReport> {
    return this.stop(resolveDrain(options?.drainMs, 0));
  }

  stop(drainMs: number): Promise<CloseReport> {
    this.#closing ??= this.#stop(drainMs);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #onAbort = (): void => {
    void this.close();
  };

  async #stop(drainMs: number): Promise<CloseReport> {
    this.#context.namespace.responders.remove(this.#route);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    const report = await this.#executor.stop(drainMs);
    this.#context.lifecycle.remove(this);
    return report;
  }
}
