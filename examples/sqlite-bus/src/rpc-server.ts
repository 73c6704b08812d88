import type { CloseOptions, CloseReport, RpcHandler, RpcServer } from "@busbar/core";
import {
  type Owned,
  type ResolvedServeOptions,
  resolveDrain,
  RpcExecutor,
  type RpcOutcome,
} from "@busbar/core/adapter";
import { type BusContext, toHeaders } from "./context.ts";
import type { Parcel, PostOffice, Route } from "./post-office.ts";
import type { Answer, RequestNote } from "./reply-stream.ts";

/** A route of requests into an executor. */
export class SqliteRpcServer implements RpcServer, Owned {
  readonly #context: BusContext;
  readonly #post: PostOffice;
  readonly #executor: RpcExecutor;
  readonly #route: Route;
  readonly #signal: AbortSignal | undefined;
  #closing: Promise<CloseReport> | undefined;

  constructor(
    context: BusContext,
    post: PostOffice,
    pattern: string,
    parts: { readonly handler: RpcHandler; readonly resolved: ResolvedServeOptions },
  ) {
    const { handler, resolved } = parts;
    const { clock, config } = context;
    this.#context = context;
    this.#post = post;
    this.#signal = resolved.signal;
    const { maxPayloadBytes } = config;
    this.#executor = new RpcExecutor(handler, resolved, { clock, maxPayloadBytes });
    const group = resolved.group === false ? undefined : resolved.group;
    this.#route = post.open("rpc", { pattern, group }, (parcel) => this.#onRequest(parcel));
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
    context.lifecycle.add(this);
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
    this.#signal?.removeEventListener("abort", this.#onAbort);
    // What lies in the box was sent to this server and to no other one.
    this.#route.receive();
    this.#route.close();
    const report = await this.#executor.stop(drainMs);
    this.#context.lifecycle.remove(this);
    return report;
  }

  #onRequest({ subject, payload, headers, note }: Parcel): void {
    const request = JSON.parse(note) as RequestNote;
    const answer = (outcome: RpcOutcome): void => this.#answer(request, subject, outcome);
    this.#executor.accept({ subject, payload, headers: toHeaders(headers), answer });
  }

  #answer({ id, replyTo, timeoutMs }: RequestNote, subject: string, outcome: RpcOutcome): void {
    const answer: Answer = outcome.ok
      ? { id, ok: true }
      : { id, ok: false, code: outcome.code, message: outcome.message };
    const parcel: Parcel = {
      subject,
      payload: outcome.ok ? outcome.payload : new Uint8Array(),
      headers: outcome.ok ? JSON.stringify(outcome.headers) : "{}",
      note: JSON.stringify(answer),
    };
    this.#context.file.write(() => this.#post.sendTo(replyTo, parcel, timeoutMs));
  }
}
