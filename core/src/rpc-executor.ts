import type { Clock } from "./clock.ts";
import type { CloseReport } from "./close.ts";
import { closedError, describeThrown } from "./failures.ts";
import { within } from "./lifecycle.ts";
import { checkHeaders, type Headers, NO_HEADERS, type Payload, payloadBytes } from "./payload.ts";
import type { RpcHandler, RpcRequest, RpcResult } from "./request-reply.ts";
import type { ResolvedServeOptions } from "./resolve.ts";

/** What goes back to the caller. */
export type RpcOutcome =
  | { readonly ok: true; readonly payload: Uint8Array; readonly headers: Headers }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** A request that came over the wire, and how to answer it. */
export interface IncomingRequest extends Omit<RpcRequest, "signal"> {
  /** Sends the outcome; called once. */
  answer(outcome: RpcOutcome): void;
}

/**
 * Runs the handler of one server of requests, at most `concurrency` at a time, with a bounded queue.
 *
 * States: *serving* -> `stop()` -> *draining* (new requests are not taken) -> *stopped* (signals of
 * handlers that still run are aborted).
 */
export class RpcExecutor {
  readonly #handler: RpcHandler;
  readonly #options: ResolvedServeOptions;
  readonly #clock: Clock;
  readonly #maxPayloadBytes: number;
  readonly #waiting: IncomingRequest[] = [];
  readonly #abort = new AbortController();
  #running = 0;
  readonly #onIdle: (() => void)[] = [];
  #stopping = false;

  constructor(
    handler: RpcHandler,
    options: ResolvedServeOptions,
    context: { readonly clock: Clock; readonly maxPayloadBytes: number },
  ) {
    this.#handler = handler;
    this.#options = options;
    this.#clock = context.clock;
    this.#maxPayloadBytes = context.maxPayloadBytes;
  }

  /** Takes a request. */
  accept(request: IncomingRequest): void {
    if (this.#stopping) {
      answer(request, { ok: false, code: "CLOSED", message: "the server was closed" });
      return;
    }
    if (this.#running < this.#options.concurrency) {
      void this.#run(request);
      return;
    }
    if (this.#waiting.length < this.#options.maxQueued) {
      this.#waiting.push(request);
      return;
    }
    answer(request, {
      ok: false,
      code: "LIMIT_EXCEEDED",
      message: `the server of ${request.subject} has ${this.#running} running and ${this.#waiting.length} waiting requests`,
    });
  }

  /** Waits up to `drainMs` for running and queued requests, then aborts them. */
  async stop(drainMs: number): Promise<CloseReport> {
    this.#stopping = true;
    if (this.#running > 0 && drainMs > 0) {
      const idle = new Promise<void>((resolve) => {
        this.#onIdle.push(resolve);
      });
      await within(this.#clock, idle, drainMs);
    }
    const abandoned = this.#running + this.#waiting.length;
    for (const request of this.#waiting.splice(0)) {
      answer(request, { ok: false, code: "CLOSED", message: "the server was closed" });
    }
    if (abandoned > 0) this.#abort.abort(closedError("the server of requests"));
    return { abandoned };
  }

  async #run(request: IncomingRequest): Promise<void> {
    this.#running += 1;
    answer(request, await this.#outcome(request));
    this.#running -= 1;
    const next = this.#waiting.shift();
    if (next) void this.#run(next);
    else if (this.#running === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  async #outcome(request: IncomingRequest): Promise<RpcOutcome> {
    try {
      const { subject, payload, headers } = request;
      const result = await this.#handler({ subject, payload, headers, signal: this.#abort.signal });
      return this.#toOutcome(subject, result);
    } catch (thrown) {
      return { ok: false, ...describeThrown(thrown) };
    }
  }

  #toOutcome(subject: string, result: RpcResult): RpcOutcome {
    const bare = result === undefined || typeof result === "string" || result instanceof Uint8Array;
    const payload: Payload = bare ? (result ?? "") : result.payload;
    return {
      ok: true,
      payload: payloadBytes(payload, this.#maxPayloadBytes, `the reply of ${subject}`),
      headers: bare ? NO_HEADERS : checkHeaders(result.headers),
    };
  }
}

/** An answer that cannot be sent is the caller's timeout; the next request is handled all the same. */
function answer(request: IncomingRequest, outcome: RpcOutcome): void {
  try {
    request.answer(outcome);
  } catch {
    // The connection is gone.
  }
}
